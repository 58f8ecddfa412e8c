"""Several binomial arms compared with one control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._checks import whole_numbers
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families import Binomial
from adagrid.models._binomial import binomial_counts
from adagrid.models._family_wise import largest_of_true
from adagrid.models.model import Model, RejectWhen
from adagrid.models.pooled_z import PooledZ


@final
class ManyToOne(Model):
    """Pooled z-tests of several response rates against one control.

    This is Dunnett's comparison for binomial arms. The design compares every treatment with the control by the z of
    `PooledZ`. Each z above the threshold rejects its null hypothesis: the treatment responds at most as often as the
    control. The statistic is the largest z of a true null hypothesis, so the error is the family-wise error rate.

    The parameters are logits, the control's first. `null_hypos` lists the hypotheses in the order that the statistic
    expects.

    Args:
        n: patients per arm: a number for all, or (control, every treatment).
        treatments: how many treatments.

    Examples:
        >>> design = ada.ManyToOne(n=(40, 20), treatments=2)
        >>> design.null_hypos
        ['theta1 <= theta0', 'theta2 <= theta0']
        >>> grid = ada.cartesian_grid([-1] * 3, [0] * 3, n=1, null_hypos=design.null_hypos)
    """

    reject_when: ClassVar[RejectWhen] = "large"
    precision: ClassVar[Literal["single", "double"]] = "double"
    family: Binomial
    z: FloatArray
    """z for every outcome of the control and one treatment, shape (n + 1 in control, n + 1 in treatment)."""

    def __init__(self, n: int | Sequence[int], treatments: int) -> None:
        sizes, count = whole_numbers("n", n).tolist(), whole_numbers("treatments", treatments).tolist()
        if len(sizes) > 2 or len(count) != 1:
            raise InvalidInputError(
                "ManyToOne needs n for all arms or (control, every treatment), and one number of treatments; got "
                f"n={n}, treatments={treatments}."
            )
        control, treated = sizes[0], sizes[-1]
        self.family = Binomial((control, *[treated] * count[0]))
        self.z = PooledZ((control, treated)).table(control, treated)

    @property
    def null_hypos(self) -> list[str]:
        """The null hypotheses, for `cartesian_grid`."""
        return [f"theta{i} <= theta0" for i in range(1, self.family.dim)]

    @override
    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.bits(key, (self.family.dim,), "uint32")

    @override
    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        columns = np.int32(self.z.shape[1])
        control, *treated = binomial_counts(draw, self.family.patients, theta)
        z = jnp.asarray(self.z.ravel())
        return largest_of_true([z[control * columns + count] for count in treated], null_truth)
