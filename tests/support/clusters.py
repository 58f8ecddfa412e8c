"""A cluster on this machine, and a design that fails on it as anywhere."""

from __future__ import annotations

from contextlib import contextmanager

import distributed
import jax.numpy as jnp

import adagrid as ada


@contextmanager
def local_cluster(n_workers: int):
    """A cluster on this machine."""
    with distributed.LocalCluster(
        n_workers=n_workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


class NotEverywhere(ada.ZTest):
    def statistic(self, draw, theta, null_truth):
        return jnp.where(theta[0] > -0.5, jnp.nan, super().statistic(draw, theta, null_truth))
