"""The log-rank test of two arms with administrative censoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers
from adagrid.errors import InvalidInputError
from adagrid.families import Exponential
from adagrid.models._two_arms import two_arms
from adagrid.models.design import Design
from adagrid.models.model import RejectWhen


@final
class LogRank(Design):
    """One-sided log-rank test of two arms of exponential survival.

    Large values reject that the treatment's hazard is at least the control's. Patients enter at uniform times during
    the accrual. Those alive `follow_up` after its end are censored. At each death, Y0 and Y1 patients are at risk,
    including the one who dies. The death is in the treatment arm with the expected probability Y1 / (Y0 + Y1) and the
    hypergeometric variance Y0 Y1 / (Y0 + Y1)^2. The statistic is
    Z = (expected - observed deaths in the treatment arm) / sqrt(sum of variances) (Mantel 1966, Cancer Chemotherapy
    Reports 50:163; Peto and Peto 1972, JRSS A 135:185). If no death had patients of both arms at risk, Z is 0. Times
    are continuous. If two are equal as floats, each death counts by itself.

    The family is the distribution of complete survival times, although the trial does not observe them all. The
    observed deaths and exposures are a curved family, which the bounds do not cover. The survival times of all
    patients, censored or not, are exponential with the hazards as natural parameters. The times of entry are
    independent of them, and have a distribution without parameters. Z is a function of both. The bounds hold for any
    function of the data, so `Exponential(n)` with all patients is exact, however many are censored. The price: cells
    are as small as if all deaths were observed.

    The parameters are the hazards, the control's first. Hazards and durations have the same unit of time.

    Args:
        n: patients per arm: a number for both, or (control, treatment).
        accrual: duration of the accrual, zero if all enter at once.
        follow_up: duration from the end of the accrual to the analysis; infinite if every death is awaited.

    Raises:
        InvalidInputError: with everything that is wrong with the arguments.

    Examples:
        Hazards per month, a year of accrual and two of follow-up:

        >>> design = ada.LogRank(n=100, accrual=12, follow_up=24)
        >>> ada.cartesian_grid([0.02, 0.02], [0.04, 0.04], n=2, null_hypos=design.null_hypos)
        <Grid: 3 tiles, theta0 0.02 to 0.04, theta1 0.02 to 0.04; null: theta0 - theta1 <= 0>
    """

    reject_when: ClassVar[RejectWhen] = "large"
    # Z has few values in small trials: in single precision, rounding could move one across a threshold near it.
    precision: ClassVar[Literal["single", "double"]] = "double"

    def __init__(self, n: int | Sequence[int], accrual: float, follow_up: float) -> None:
        sizes, problems = two_arms("LogRank", n), []
        if np.ndim(accrual) or not 0 <= real_numbers("accrual", accrual) < np.inf:
            problems.append(f"accrual must be one finite duration of at least 0; got accrual={accrual}.")
        if np.ndim(follow_up) or not real_numbers("follow_up", follow_up) >= 0:
            problems.append(f"follow_up must be one duration of at least 0; got follow_up={follow_up}.")
        if not problems and accrual == follow_up == 0:
            problems.append("accrual and follow_up must not both be 0: nobody would be observed; got 0 and 0.")
        if problems:
            raise InvalidInputError(problems)
        self.family = Exponential(sizes)
        self._treated = np.repeat(np.array([0, 1], np.int32), sizes)
        self._accrual, self._follow_up = float(accrual), float(follow_up)

    @property
    def null_hypos(self) -> list[str]:
        """The null hypothesis that the treatment's hazard is no lower, for `cartesian_grid`."""
        return ["theta1 >= theta0"]

    @override
    def draw(self, key: jax.Array) -> tuple[Any, jax.Array]:
        """Return the family's draw, and times from entry to the analysis, shape (n0 + n1,)."""
        survival, entry = jax.random.split(key)
        waiting = self._accrual * jax.random.uniform(entry, self._treated.shape)
        return self.family.draw(survival), self._follow_up + waiting

    @override
    def data(self, draw: tuple[Any, jax.Array], theta: jax.Array) -> tuple[Any, jax.Array]:
        """Return the survival times of every arm, and times from entry to the analysis."""
        survival, observed = draw
        return super().data(survival, theta), observed

    @override
    def sufficient(self, data: tuple[Any, jax.Array]) -> jax.Array:
        return super().sufficient(data[0])

    @override
    def statistic(self, data: tuple[Any, jax.Array], null_truth: jax.Array) -> jax.Array:
        arms, observed = data
        survival = jnp.concatenate(arms)
        # arm and death in one number, so that sorting moves one array less
        labels = jnp.asarray(2 * self._treated) + (survival <= observed).astype(jnp.int32)
        _, labels = jax.lax.sort((jnp.minimum(survival, observed), labels), num_keys=1)
        treated, death = labels >> 1, (labels & 1).astype(bool)
        at_risk = np.arange(len(self._treated), 0, -1)
        share = jnp.cumsum(treated[::-1])[::-1] / at_risk
        excess = jnp.sum(jnp.where(death, share - treated, 0))
        variance = jnp.sum(jnp.where(death, share * (1 - share), 0))
        return jnp.where(variance > 0, excess / jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
