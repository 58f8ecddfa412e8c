"""What `scaling.py` lets workers do: a heavy design, or sleep instead of simulating."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import adagrid as ada
from adagrid.engine import Shape

HEAVY_PATIENTS = 500


class Heavy(ada.Model):
    """A z-test from single patients, drawn and summed one by one for every point."""

    family = ada.Normal(sd=1.0, n=HEAVY_PATIENTS)
    reject_when = "large"

    def draw(self, key: jax.Array) -> jax.Array:
        """Return what chance adds to every patient, in few bits: what is drawn is shared by all points."""
        return jax.random.normal(key, (HEAVY_PATIENTS,)).astype(jnp.float16)

    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:  # noqa: ARG002
        """Return the z-statistic of responses that are cut off, so that no sum can be taken once for all points."""
        return jnp.clip(draw + theta[0], -3, 3).sum(dtype=jnp.float32) / HEAVY_PATIENTS**0.5


def use_one_processor(dask_worker: Any) -> int:
    """Keep a worker's compiled code to one processor; call it before the worker's first simulation."""
    here = int(dask_worker.name) % (os.cpu_count() or 1)
    os.sched_setaffinity(0, {here})
    return here


class Sleeper:
    """In place of a simulator: a tile takes so many seconds, and its rejections are made up from its parameters."""

    seconds = 1.0

    def __init__(self, model: ada.Model, seed: int, n_nulls: int, *, shape: Shape) -> None:
        self.model, self.seed, self.n_nulls, self.shape = model, seed, n_nulls, shape
        self.dtype = np.dtype(np.float32)

    def represented(self, theta: np.ndarray) -> np.ndarray:
        """Return parameters as they are."""
        return theta

    def count(self, theta: np.ndarray, null_truth: np.ndarray, threshold: float, begin: Any, end: Any) -> np.ndarray:  # noqa: ARG002
        """Sleep, and return rejections."""
        time.sleep(self.seconds * len(theta))
        rate = 0.02 + 0.01 * np.abs(np.sin(1e4 * theta.sum(axis=1)))
        return np.floor(rate * (np.asarray(end) - np.asarray(begin))).astype(np.int64)


def sleep_instead(seconds: float, at_once: int = 1) -> int:
    """Let a worker sleep instead of simulating, or as many of them as share its process."""
    import adagrid.backends.dask
    import adagrid.runtime.sent_design

    adagrid.backends.dask._TURN = threading.Semaphore(at_once)  # type: ignore[assignment]
    Sleeper.seconds = seconds
    adagrid.runtime.sent_design.Simulator = Sleeper  # type: ignore[misc, assignment]
    return os.getpid()
