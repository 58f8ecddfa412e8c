"""The extension point for designs whose data the family draws."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from adagrid.models.model import Model

if TYPE_CHECKING:
    import jax


class Design(Model):
    """A trial design written as a function of its data.

    A subclass describes ONE trial by a pure function in JAX, `statistic`. The family draws the data, so the bounds
    always use the true distribution of the data. The statistic never sees the parameters.

    `family`, `reject_when`, `precision`, `value_range`, constructor arguments and `null_truth` work as in `Model`.
    `family.data` returns the data: for most families one array per arm, with an entry for each patient. For `Product`
    the data are a tuple with the data of each family.

    A design may replace the family's draws: for speed (counts instead of patients), or because its trials have
    randomness without parameters (times of entry, randomisation). Override `draw` and `data`. Also override
    `sufficient` if `family.sufficient` does not accept these data. `adagrid.testing.ModelContract` checks that the data
    have the distribution of the family.

    Examples:
        A z-test of two means with 20 patients per arm:

        >>> class TwoMeans(ada.Design):
        ...     family = ada.Normal(sd=1.0, n=(20, 20))
        ...     reject_when = "large"
        ...
        ...     def statistic(self, data, null_truth):
        ...         control, treatment = data  # 20 observations each
        ...         return (treatment.mean() - control.mean()) / (2 / 20) ** 0.5
        >>> grid = ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=["theta1 <= theta0"])
        >>> run = ada.ada_validate(TwoMeans(), threshold=1.96, grid=grid)  # doctest: +SKIP
    """

    @override
    def draw(self, key: jax.Array) -> Any:
        return self.family.draw(key)

    def data(self, draw: Any, theta: jax.Array) -> Any:
        """Return the data of one trial.

        Args:
            draw: what `draw` returned.
            theta: the parameters, shape (family.dim,), in the family's coordinates.

        Returns:
            A pytree of arrays.
        """
        draws: Any = self.family  # typed for NumPy
        return draws.data(draw, theta)

    def sufficient(self, data: Any) -> jax.Array:
        """Return the family's sufficient statistic T of one trial, shape (family.dim,)."""
        draws: Any = self.family
        return draws.sufficient(data)

    @abstractmethod
    @override
    def statistic(self, data: Any, null_truth: jax.Array) -> jax.Array:
        """Return one trial's test statistic.

        Args:
            data: what `data` returned.
            null_truth: which null hypotheses are true, booleans of shape (hypotheses,). Only rejections of true
                hypotheses count. A trial that rejects must also reject if more hypotheses are true.

        Returns:
            A real scalar, never NaN.
        """

    @final
    @override
    def seen(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> tuple[Any, jax.Array]:
        return self.data(draw, theta), null_truth
