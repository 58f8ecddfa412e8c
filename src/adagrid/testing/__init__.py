"""Contract tests for every extension point, and a store in data frames for tests.

Subclass the contract test of an extension point once per implementation and give its fixtures. Contract tests need
pytest and hypothesis. Example::

    class TestMyModel(ModelContract):
        @pytest.fixture
        def model(self):
            return MyModel(n=20)

`PandasStore()` keeps a job in data frames: pass a new one as `db` of each test's job.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
