"""Designs with known error rates, the parameter values at which certificates are judged, and settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom

import adagrid as ada
from adagrid.models._binomial import binomial_counts
from tests.support.oracles import binomial_error, fisher_table, pooled_z_table, z_error

CRITICAL = 1.959964
# Parameter values on the diagonal of the region and elsewhere where the largest error is sought.
_DIAGONAL, _ELSEWHERE = 401, 100


@final
class ThreeArms(ada.Model):
    """Two treatments of 35 against one control of 35, each by the pooled z-test; either may reject."""

    family = ada.Binomial((35, 35, 35))
    reject_when: ClassVar[Literal["small", "large"]] = "large"
    precision: ClassVar[Literal["single", "double"]] = "double"

    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.bits(key, (3,), "uint32")

    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        control, *treated = binomial_counts(draw, (35,) * 3, theta)
        table = jnp.asarray(pooled_z_table(35).ravel())
        z = jnp.stack([table[control * np.int32(36) + count] for count in treated])
        return jnp.max(jnp.where(null_truth, z, -jnp.inf))


@final
@dataclass(frozen=True)
class Problem:
    """A design, a region, and what is true there.

    Args:
        name: what tables call it.
        model: the design, one instance for all runs.
        grid: the region.
        threshold: the rejection threshold that is validated.
        values: parameter values at which certificates are judged, chosen before any run, by name; the error with the
            threshold is largest at the first.
        error: the exact error at parameters (points, dim) under null configurations (points, hypotheses), for a
            threshold in the model's own direction.
        settings: targets of validations.
        calibration: targets of calibrations.
    """

    name: str
    model: ada.Model
    grid: ada.Grid
    threshold: float
    values: dict[str, tuple[float, ...]]
    error: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    settings: dict[str, Any]
    calibration: dict[str, Any]

    @property
    def judged(self) -> list[tuple[float, ...]]:
        """The parameter values, without their names."""
        return list(self.values.values())

    def null_truth(self, value: tuple[float, ...]) -> np.ndarray:
        """Return which hypotheses are true at a parameter value, those included on whose boundary it is."""
        return np.array([plane.dist(np.array([value]))[0] >= -1e-12 for plane in self.grid.hypotheses])

    def largest(self, threshold: float) -> float:
        """Return the largest exact error over the region, as a fixed look at it shows."""
        theta, null_truth = self._looked_at
        return float(self.error(theta, null_truth, threshold).max())

    @cached_property
    def _looked_at(self) -> tuple[np.ndarray, np.ndarray]:
        """Parameters where the error is sought: on the diagonal, where it is largest, and elsewhere."""
        tiles = self.grid.tiles
        low, high = (tiles.theta - tiles.radius).min(axis=0), (tiles.theta + tiles.radius).max(axis=0)
        elsewhere = np.random.default_rng(0).uniform(low, high, (_ELSEWHERE, self.grid.dim))
        theta = np.concatenate([np.linspace(low, high, _DIAGONAL), elsewhere, self.judged])
        null_truth = np.stack([plane.dist(theta) >= -1e-12 for plane in self.grid.hypotheses], axis=1)
        return theta[null_truth.any(axis=1)], null_truth[null_truth.any(axis=1)]

    def truth(self, value: tuple[float, ...], threshold: float | None = None) -> float:
        """Return the exact error at a parameter value."""
        limit = self.threshold if threshold is None else threshold
        return float(self.error(np.array([value]), self.null_truth(value)[None], limit)[0])


def _z_truth(theta: np.ndarray, null_truth: np.ndarray, threshold: float) -> np.ndarray:
    return z_error(theta[:, 0], threshold)


def _fisher_truth(theta: np.ndarray, null_truth: np.ndarray, threshold: float) -> np.ndarray:
    return binomial_error(_fisher_50() < threshold, theta)


@cache
def _fisher_50() -> np.ndarray:
    return fisher_table(50)


def _three_arms_truth(theta: np.ndarray, null_truth: np.ndarray, threshold: float) -> np.ndarray:
    """Given the control's responders the treatments are independent: 1 - P(neither rejects)."""
    reject = (pooled_z_table(35) > threshold).astype(float)
    rates = 1 / (1 + np.exp(-np.asarray(theta, float)))
    mass = binom.pmf(np.arange(36), 35, rates[:, :, None])
    # shape (points, treatments, responders in the control arm)
    accepts = 1 - np.einsum("ct,pat->pac", reject, mass[:, 1:]) * null_truth[:, :, None]
    return np.einsum("pc,pc->p", mass[:, 0], 1 - accepts.prod(axis=1))


Z_TEST = Problem(
    name="z-test",
    model=ada.ZTest(),
    grid=ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"]),
    threshold=CRITICAL,
    values={"worst": (0.0,), "on a face": (-0.25,), "interior": (-0.6,), "at the edge": (-1.0,)},
    error=_z_truth,
    settings={"max_target": 0.01, "global_target": 0.015},
    calibration={"grid_target": 0.002, "bias_target": 0.003, "std_target": 0.004},
)
FISHER = Problem(
    name="Fisher, n = 50",
    model=ada.FisherExact(50),
    grid=ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=["theta1 <= theta0"]),
    threshold=0.025,
    values={"worst": (0.0, 0.0), "null boundary": (0.45, 0.45), "interior": (0.3, 0.1), "far": (-0.2, -0.7)},
    error=_fisher_truth,
    settings={"max_target": 0.01, "global_target": 0.02},
    calibration={"grid_target": 0.003, "bias_target": 0.004, "std_target": 0.004},
)
THREE_ARMS = Problem(
    name="three arms, n = 35",
    model=ThreeArms(),
    grid=ada.cartesian_grid([-1, -1, -1], [1, 1, 1], n=1, null_hypos=["theta1 <= theta0", "theta2 <= theta0"]),
    threshold=2.2,
    values={
        "worst": (0.58, 0.58, 0.58),
        "null boundary": (0.0, 0.0, 0.0),
        "interior": (0.3, 0.15, 0.2),
        "one null true": (0.25, 0.1, 0.6),
    },
    error=_three_arms_truth,
    settings={"max_target": 0.02, "global_target": 0.03},
    calibration={"grid_target": 0.006, "bias_target": 0.006, "std_target": 0.006},
)
PROBLEMS = {problem.name: problem for problem in (Z_TEST, FISHER, THREE_ARMS)}
