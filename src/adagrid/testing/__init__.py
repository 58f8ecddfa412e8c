"""Contract tests for every extension point: subclass one per implementation and give its fixtures.

Needs pytest and hypothesis. Example::

    class TestMyModel(ModelContract):
        @pytest.fixture
        def model(self):
            return MyModel(n=20)
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
