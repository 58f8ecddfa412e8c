"""Designs whose exact error is known everywhere, and the problems they are compared on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, ndtr
from scipy.stats import binom
from typing_extensions import override

from adagrid import Binomial, FisherExact, Grid, ManyToOne, Model, Normal, Run, ZTest, cartesian_grid
from adagrid._typing import BoolArray, FloatArray
from adagrid.models._binomial import binomial_counts


@final
class Means(Model):
    """One-sided z-tests that means with known standard deviations are above zero: the largest observed mean.

    Args:
        n_means: parameters, in units of their standard errors,
        n_tests: the first so many of which are tested.
    """

    reject_when: ClassVar[Literal["small", "large"]] = "large"

    def __init__(self, n_means: int, n_tests: int) -> None:
        self.family = Normal(sd=1.0, n=(1,) * n_means)
        self._tested = n_tests

    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key, (self._tested,))

    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        return jnp.max(jnp.where(null_truth[: self._tested], draw + theta[: self._tested], -jnp.inf))


@final
class SingleArms(Model):
    """Arms judged each for itself, as in a basket trial: the largest number of responders of an arm whose null is true.

    Args:
        n: patients per arm.
        n_arms: arms.
    """

    reject_when: ClassVar[Literal["small", "large"]] = "large"
    precision: ClassVar[Literal["single", "double"]] = "double"

    def __init__(self, n: int, n_arms: int) -> None:
        self.family = Binomial((n,) * n_arms)
        self.n, self.n_arms = n, n_arms

    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.bits(key, (self.n_arms,), "uint32")

    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        counts = binomial_counts(draw, (self.n,) * self.n_arms, theta)
        return jnp.max(jnp.where(null_truth, counts, np.int32(-1)))


@dataclass(frozen=True)
class Problem:
    """A design, a region and what is asked of it.

    Args:
        name: short name.
        title: what it is.
        job: "validate" with `level` as the threshold, or "calibrate" with `level` as alpha.
        model: makes the design.
        low: corner of the region,
        high: and the opposite one.
        nulls: null hypotheses.
        level: threshold or alpha.
        error: exact errors for parameters (points, dim), null truth (points, nulls) and a threshold.
        worst: a curve from [0, 1] into the region on which the error has its maximum, all nulls being true.
        initial: tiles per dimension that a classic job begins with.
        required: how many times fewer simulations interpolation should need at the default targets.
    """

    name: str
    title: str
    job: Literal["validate", "calibrate"]
    model: Callable[[], Model]
    low: tuple[float, ...]
    high: tuple[float, ...]
    nulls: tuple[str, ...]
    level: float
    error: Callable[[FloatArray, BoolArray, float], FloatArray]
    worst: Callable[[FloatArray], FloatArray]
    initial: int = 4
    required: float = 1.0

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return len(self.low)

    def grid(self, n: int) -> Grid:
        """Return the region as a grid of n tiles per dimension."""
        return cartesian_grid(list(self.low), list(self.high), n=n, null_hypos=list(self.nulls))

    def truth(self, threshold: float) -> float:
        """Return the largest exact error in the region for a threshold in the design's own direction.

        All errors here grow with the treatments' parameters, so the maximum is on a curve: a fine search on it.
        """

        def error(place: FloatArray) -> FloatArray:
            return self.error(self.worst(place), np.ones((len(place), len(self.nulls)), bool), threshold)

        places = np.linspace(0, 1, 4001)
        best = places[error(places).argmax()]
        step = places[1]
        found = minimize_scalar(
            lambda place: -error(np.array([place]))[0],
            bounds=(max(best - step, 0.0), min(best + step, 1.0)),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return float(max(-found.fun, error(places).max()))

    def exceeded(self, run: Run, n: int = 20_000, seed: int = 0) -> float:
        """Return the share of random parameter values in a validation's cells whose exact error is above the bound."""
        cells, points = run.results(), run.table("vertices").set_index("id")
        rng = np.random.default_rng(seed)
        cells = cells.iloc[rng.integers(0, len(cells), n)]
        share = rng.dirichlet(np.ones(self.dim + 1), n)
        coordinates = [f"theta{i}" for i in range(self.dim)]
        vertices = [points.loc[cells[f"point{j}"], coordinates].to_numpy() for j in range(self.dim + 1)]
        theta = sum(share[:, [j]] * vertices[j] for j in range(self.dim + 1))
        truth = cells[[f"null_truth{i}" for i in range(len(self.nulls))]].to_numpy().astype(bool)
        return float(np.mean(self.error(theta, truth, self.level) > cells["tie_bound"].to_numpy()))


@final
class Masses:
    """Binomial probabilities of every number of responders."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __call__(self, logit: FloatArray) -> FloatArray:
        """Return shape (points, n + 1)."""
        mass: FloatArray = binom.pmf(np.arange(self._n + 1), self._n, expit(logit)[:, None])
        return mass


def means_error(theta: FloatArray, null_truth: BoolArray, threshold: float) -> FloatArray:
    """Return the exact error of `Means` with one test per null hypothesis."""
    accepted = ndtr(threshold - theta[:, : null_truth.shape[1]])
    return 1 - np.where(null_truth, accepted, 1.0).prod(axis=1)


@final
class PairsError:
    """The exact error where every treatment is compared with the control by itself.

    Args:
        n: patients per arm.
        statistic: for every outcome, shape (n + 1 in control, n + 1 in treatment).
        reject_when: which statistics reject.
    """

    def __init__(self, n: int, statistic: FloatArray, reject_when: Literal["small", "large"]) -> None:
        self._masses, self._statistic, self._small = Masses(n), statistic, reject_when == "small"

    def __call__(self, theta: FloatArray, null_truth: BoolArray, threshold: float) -> FloatArray:
        """Return the probability that some true null is rejected, by summing over all outcomes."""
        rejects = self._statistic < threshold if self._small else self._statistic > threshold
        accepted = self._masses(theta[:, 0])
        for i in range(null_truth.shape[1]):
            given_control = 1 - self._masses(theta[:, i + 1]) @ rejects.T
            accepted = accepted * np.where(null_truth[:, [i]], given_control, 1.0)
        return 1 - accepted.sum(axis=1)


@final
@dataclass(frozen=True)
class SingleArmsError:
    """The exact error of `SingleArms`, which factorises."""

    n: int

    def __call__(self, theta: FloatArray, null_truth: BoolArray, threshold: float) -> FloatArray:
        """Return the probability that some arm whose null is true has more responders than the threshold."""
        accepted = binom.cdf(np.floor(threshold), self.n, expit(theta))
        return 1 - np.where(null_truth, accepted, 1.0).prod(axis=1)


@final
class Fixed:
    """A curve that is one point."""

    def __init__(self, *theta: float) -> None:
        self._theta = np.array(theta)

    def __call__(self, place: FloatArray) -> FloatArray:
        """Return the point, once for every place."""
        return np.tile(self._theta, (len(place), 1))


@final
@dataclass(frozen=True)
class Diagonal:
    """Equal parameters from one value to another."""

    dim: int
    low: float = -1.0
    high: float = 1.0

    def __call__(self, place: FloatArray) -> FloatArray:
        """Return the points at places in [0, 1]."""
        return np.tile((self.low + place * (self.high - self.low))[:, None], (1, self.dim))


@final
class Problems:
    """The problems of `selection.py`, by name."""

    @cached_property
    def all(self) -> dict[str, Problem]:
        """Return them in the order they are shown."""
        fisher, z35 = FisherExact(50), ManyToOne(35, 2).z
        fisher_error = PairsError(50, fisher.table(50, 50), "small")
        line, square, cube = ((-1.0,), (0.0,)), ((-1.0, -1.0), (1.0, 1.0)), ((-1.0,) * 3, (1.0,) * 3)
        below_control = ("theta1 <= theta0", "theta2 <= theta0")
        listed = (
            Problem("V1", "z-test, threshold 1.96", "validate", ZTest, *line, ("theta0 <= 0",), 1.96, means_error,
                    Fixed(0.0), required=10),
            Problem("V2", "z-test of one of two means, threshold 1.96", "validate", lambda: Means(2, 1), (-1.0, -1.0),
                    (0.0, 1.0), ("theta0 <= 0",), 1.96, means_error, Fixed(0.0, 0.0), required=50),
            Problem("V3", "Fisher's exact test, 2 arms of 50, threshold 0.025", "validate", lambda: FisherExact(50),
                    *square, ("theta1 <= theta0",), 0.025, fisher_error, Diagonal(2), required=50),
            Problem("V4", "control and 2 treatments of 35, pooled z above 2.2", "validate", lambda: ManyToOne(35, 2),
                    *cube, below_control, 2.2, PairsError(35, z35, "large"), Diagonal(3), required=200),
            Problem("C1", "z-test, alpha 0.025", "calibrate", ZTest, *line, ("theta0 <= 0",), 0.025, means_error,
                    Fixed(0.0), required=10),
            Problem("C3", "Fisher's exact test, 2 arms of 50, alpha 0.025", "calibrate", lambda: FisherExact(50),
                    *square, ("theta1 <= theta0",), 0.025, fisher_error, Diagonal(2), required=300),
        )  # fmt: skip
        return {problem.name: problem for problem in listed}
