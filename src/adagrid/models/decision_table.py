"""Designs that are given as a table of outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Self, final

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from typing_extensions import override

from adagrid._typing import BoolArray, FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families import Binomial
from adagrid.models._binomial import binomial_counts
from adagrid.models._exact import exact_error, exact_threshold
from adagrid.models._family_wise import largest_of_true
from adagrid.models._outcome_files import read_file
from adagrid.models._outcome_rows import Missing, read_table
from adagrid.models._two_binomials import TwoBinomials
from adagrid.models.model import Model, RejectWhen

# With more patients, the rounding of probabilities would exceed the relative amount that their sums are raised by.
_MOST_PATIENTS = 100_000


@final
class DecisionTable(Model):
    """A design with binomial arms as a table of outcomes.

    The table has one row per outcome. The columns responders0, responders1, ... count the responders per arm. A further
    column is either `statistic`, or `reject`: 1 where the design rejects, else 0. With several null hypotheses, the
    columns are statistic0, statistic1, ... or reject0, reject1, ..., in the order of the grid's hypotheses. The error
    is then the family-wise error rate.

    The error of such a design is a sum over its outcomes. adagrid computes it instead of simulating: it rounds up, by
    a relative error of at most 1e-9. So the bound at each point is exact, and `sim_cost` is 0.

    Args:
        n: patients per arm: a number for one arm, or one per arm.
        table: the rows.
        reject_when: which statistics reject, compared with the threshold of a run: "small", "large", "at most" or "at
            least". None for a table of decisions, which needs no threshold.
        missing: what the design does at outcomes without a row. "reject" counts them as rejections for every finite
            threshold, which is always safe. "accept" declares that the design never rejects there. None refuses a table
            with missing outcomes.

    Raises:
        InvalidInputError: with everything that is wrong, and in which row.

    Examples:
        A single-arm trial that rejects a response rate of 20% if at least 5 of 10 patients respond:

        >>> import pandas as pd
        >>> table = pd.DataFrame({"responders0": range(11), "reject": [0] * 5 + [1] * 6})
        >>> design = ada.DecisionTable(10, table)
        >>> grid = ada.cartesian_grid([0.05], [0.2], n=1, null_hypos=["theta0 <= 0.2"], scale="probability")
        >>> round(ada.ada_validate(design, grid=grid).bound, 4)
        0.0328
    """

    precision = "double"
    family: Binomial

    def __init__(
        self,
        n: int | Sequence[int],
        table: pd.DataFrame,
        *,
        reject_when: RejectWhen | None = None,
        missing: Missing | None = None,
    ) -> None:
        self.family = Binomial(n)
        if sum(self.family.patients) > _MOST_PATIENTS:
            raise InvalidInputError(
                f"A decision table is for at most {_MOST_PATIENTS:,} patients in all, so that errors can be computed "
                f"to nine digits; got n={n}. Write the design as a Model, which is simulated."
            )
        if not isinstance(table, pd.DataFrame):
            raise InvalidInputError(f"table must be a data frame; got {type(table).__name__}. For files: from_csv.")
        for name, value, allowed in (
            ("reject_when", reject_when, ("small", "large", "at most", "at least", None)),
            ("missing", missing, ("reject", "accept", None)),
        ):
            if value not in allowed:
                raise InvalidInputError(f"{name} must be one of {allowed}; got {value!r}.")
        self.arguments["table"] = table.copy()  # the certified table must be the recorded one
        self.reject_when = reject_when or "large"  # type: ignore[misc]  # other designs cannot choose
        self.decision_threshold = 0.5 if reject_when is None else None
        never = self.direction * np.inf
        self._tables, decisions = read_table(table, self.family.patients, missing, (-never, never))
        if decisions != (reject_when is None):
            raise InvalidInputError(
                "reject_when says which statistics reject: 'small', 'large', 'at most' or 'at least'; it is None for "
                f"columns reject; got {reject_when!r}."
            )

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike[str],
        n: int | Sequence[int],
        *,
        reject_when: RejectWhen | None = None,
        missing: Missing | None = None,
    ) -> Self:
        """Read a table from a file whose first line names the columns.

        Commas, semicolons or tabs separate the columns. Numbers may have decimal commas, as R and spreadsheets write
        them in many countries. Row names are ignored. TRUE and FALSE are decisions, like 1 and 0.

        Raises:
            InvalidInputError: with everything that is wrong, and in which line.
        """
        return cls(n, read_file(path), reject_when=reject_when, missing=missing)

    @classmethod
    def of(cls, design: TwoBinomials) -> Self:
        """Return the table of a design that compares two binomial arms once."""
        patients = design.family.patients
        statistic = design.table(*patients)
        control, treatment = np.indices(statistic.shape).reshape(2, -1)
        columns = {"responders0": control, "responders1": treatment, "statistic": statistic.ravel()}
        return cls(patients, pd.DataFrame(columns), reject_when=design.reject_when)

    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.bits(key, (self.family.dim,), "uint32")

    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        outcome = jnp.zeros((), jnp.int32)
        counts = binomial_counts(draw, self.family.patients, theta)
        for arm, n in enumerate(self.family.patients):
            outcome = outcome * np.int32(n + 1) + counts[arm]
        found = [jnp.asarray(table)[outcome] for table in self._tables]
        if len(found) == 1:  # one decision, whatever is true
            return found[0]
        return -self.direction * largest_of_true([-self.direction * own for own in found], null_truth)

    @override
    def exact_error(self, theta: FloatArray, null_truth: BoolArray, threshold: float) -> FloatArray:
        cut = self.direction * threshold
        if self.is_weak:
            cut = np.nextafter(cut, np.inf)
        return exact_error(self.direction * self._tables, self.family.patients, theta, null_truth, cut)

    @override
    def exact_threshold(self, theta: FloatArray, null_truth: BoolArray, level: FloatArray) -> FloatArray:
        turned = exact_threshold(self.direction * self._tables, self.family.patients, theta, null_truth, level)
        return self.direction * turned
