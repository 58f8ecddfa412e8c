"""adagrid: bounds on the Type I Error of a clinical-trial design over a whole region of parameters."""

from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING

from adagrid import errors, models
from adagrid.api import ada_calibrate, ada_validate, bootstrap_calibrate, calibrate, validate
from adagrid.backends import AWSBackend, Backend, DaskBackend, LocalBackend, ModalBackend
from adagrid.errors import AdagridError
from adagrid.families import (
    Binomial,
    Exponential,
    Family,
    Gamma,
    LinearMap,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    NormalUnknownVariance,
    Poisson,
    Product,
    ScaledChiSquared,
)
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
from adagrid.models import ArrayModel, Model

__version__ = _version("adagrid")

__all__ = [
    "AWSBackend",
    "AdagridError",
    "ArrayModel",
    "Backend",
    "Binomial",
    "DaskBackend",
    "Ellipsoid",
    "Exponential",
    "Family",
    "Gamma",
    "Grid",
    "HalfSpace",
    "LinearMap",
    "LocalBackend",
    "Look",
    "ModalBackend",
    "Model",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "NormalUnknownVariance",
    "NullHypothesis",
    "Poisson",
    "Product",
    "RiskDifference",
    "Run",
    "ScaledChiSquared",
    "Status",
    "StepReport",
    "View",
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

for _name in models.__all__:  # every design that there is a file for
    globals()[_name] = getattr(models, _name)
__all__ = sorted({*__all__, *models.__all__})

if _TYPE_CHECKING:
    from adagrid.models import __getattr__ as __getattr__
