"""Clusters and databases that are shared."""

from tests.support.cluster_fixtures import clusters, on_server, opened  # noqa: F401 - fixtures
