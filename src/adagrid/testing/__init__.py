"""Contract tests for every extension point: subclass one per implementation and give its fixtures.

Needs pytest. Example::

    class TestMyModel(ModelContract):
        @pytest.fixture
        def model(self):
            return MyModel(n=20)
"""
