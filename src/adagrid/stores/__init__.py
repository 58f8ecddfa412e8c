"""Append-only storage of jobs. The only place with SQL; knows no statistics."""

from adagrid.stores._clickhouse_url import is_url
from adagrid.stores.base import Method, Place, Schema, Store, ZoneView
from adagrid.stores.open import open_store

__all__ = ["Method", "Place", "Schema", "Store", "ZoneView", "is_url", "open_store"]
