"""Where the work of a job runs. Knows no statistics and no SQL."""

from adagrid.backends.base import Backend
from adagrid.backends.dask import DaskBackend
from adagrid.backends.local import LocalBackend

__all__ = ["Backend", "DaskBackend", "LocalBackend"]
