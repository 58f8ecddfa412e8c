"""Trial designs, one per file, written for one trial at a time."""

from adagrid.models.base import Model
from adagrid.models.fisher_exact import FisherExact
from adagrid.models.pooled_z import PooledZ
from adagrid.models.z_test import ZTest

__all__ = ["FisherExact", "Model", "PooledZ", "ZTest"]
