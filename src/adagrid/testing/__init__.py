"""Contract tests for every extension point: subclass one per implementation and give its fixtures.

Needs pytest and hypothesis. Example::

    class TestMyModel(ModelContract):
        @pytest.fixture
        def model(self):
            return MyModel(n=20)
"""

from adagrid.testing.backends import BackendContract
from adagrid.testing.families import FamilyContract
from adagrid.testing.models import ArrayModelContract, ModelContract
from adagrid.testing.policies import PolicyContract
from adagrid.testing.stores import StoreContract

__all__ = [
    "ArrayModelContract",
    "BackendContract",
    "FamilyContract",
    "ModelContract",
    "PolicyContract",
    "StoreContract",
]
