"""Where the work of a job runs. Knows no statistics and no SQL."""

from adagrid.backends.aws import AWSBackend
from adagrid.backends.base import Backend
from adagrid.backends.dask import DaskBackend
from adagrid.backends.local import LocalBackend
from adagrid.backends.modal import ModalBackend
from adagrid.backends.worker import Worker, check_wanted, current_worker, working

__all__ = [
    "AWSBackend",
    "Backend",
    "DaskBackend",
    "LocalBackend",
    "ModalBackend",
    "Worker",
    "check_wanted",
    "current_worker",
    "working",
]
