"""Clusters, databases, and compiled designs that are shared."""

from tests.support.cluster_fixtures import clusters, on_server, opened  # noqa: F401 - fixtures
from tests.support.compiled import compiled_once  # noqa: F401 - a fixture
