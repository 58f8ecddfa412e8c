"""adagrid: bounds on the Type I Error of a clinical-trial design over a whole region of parameters."""

from importlib.metadata import version as _version

from adagrid import errors
from adagrid.api import ada_calibrate, ada_validate, bootstrap_calibrate, calibrate, validate
from adagrid.backends import Backend, DaskBackend, LocalBackend
from adagrid.errors import AdagridError
from adagrid.families import Binomial, Family, Normal
from adagrid.grid import (
    Ellipsoid,
    Grid,
    HalfSpace,
    NullHypothesis,
    RiskDifference,
    cartesian_grid,
    create_grid,
    hypo,
)
from adagrid.jobs import (
    Look,
    Run,
    Status,
    StepReport,
    View,
    copy_job,
    drop_job,
    import_job,
    list_jobs,
    open_job,
    open_view,
)
from adagrid.models import FisherExact, Model, PooledZ, ZTest

__version__ = _version("adagrid")

__all__ = [
    "AdagridError",
    "Backend",
    "Binomial",
    "DaskBackend",
    "Ellipsoid",
    "Family",
    "FisherExact",
    "Grid",
    "HalfSpace",
    "LocalBackend",
    "Look",
    "Model",
    "Normal",
    "NullHypothesis",
    "PooledZ",
    "RiskDifference",
    "Run",
    "Status",
    "StepReport",
    "View",
    "ZTest",
    "ada_calibrate",
    "ada_validate",
    "bootstrap_calibrate",
    "calibrate",
    "cartesian_grid",
    "copy_job",
    "create_grid",
    "drop_job",
    "errors",
    "hypo",
    "import_job",
    "list_jobs",
    "open_job",
    "open_view",
    "validate",
]
