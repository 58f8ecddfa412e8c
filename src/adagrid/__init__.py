"""adagrid: bounds on the Type I Error of a clinical-trial design over a whole region of parameters."""

# JAX, pandas and SciPy take a second to import, and `adagrid --help` needs none of them. So every package here loads a
# module when one of its names is first used (SPEC 1 of Scientific Python). `__init__.pyi` lists the names, for type
# checkers too. Designs and families are also found by their files, listed or not.

import pkgutil as _pkgutil

import lazy_loader as _lazy

from adagrid import _forks as _forks
from adagrid import families as _families
from adagrid import models as _models

_listed, _, _names = _lazy.attach_stub(__name__, __file__)
_found, _, _by_file = _lazy.attach(
    __name__,
    submod_attrs={
        "families": list(_families.CLASSES.values()),
        "models": list(_models.CLASSES.values()),
    },
)
_modules = {module.name for module in _pkgutil.iter_modules(__path__)}

__all__ = sorted(({*_names, *_by_file} - _modules - {"__version__"}) | {"errors"})


def __getattr__(name: str) -> object:
    return (_found if name in _by_file else _listed)(name)


def __dir__() -> list[str]:
    return sorted({*_names, *_by_file})
