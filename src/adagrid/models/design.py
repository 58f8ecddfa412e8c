"""The extension point for designs whose data the family draws."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from adagrid.models.model import Model

if TYPE_CHECKING:
    import jax


class Design(Model):
    """A trial design, written for ONE trial as one pure function of its data, in JAX.

    The family draws the data: the sample size is what is drawn, parameters are nobody's business, and the statistic
    cannot depend on them. So the family that carries the bounds is the distribution of the data. Example::

        class TwoMeans(ada.Design):
            family = ada.Normal(sd=1.0, n=(20, 20))
            reject_when = "large"

            def statistic(self, data, null_truth):
                control, treatment = data  # 20 observations each
                return (treatment.mean() - control.mean()) / (2 / 20) ** 0.5

    `family`, `reject_when`, `precision`, `value_range`, constructor arguments and `null_truth` are those of `Model`.
    The data are what `family.data` returns: for most families one array per arm with an entry for each patient; for
    `Product` a tuple of its parts' data.

    A design may draw in another way: to be faster (counts instead of patients), or because its trials have randomness
    without parameters (times of entry, randomisation). It then overrides `draw`, `data` and, if `family.sufficient`
    does not take such data, `sufficient`. `adagrid.testing.ModelContract` checks that they have the family's law.
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
        """Return the family's sufficient statistic T of the data of one trial, shape (family.dim,)."""
        draws: Any = self.family
        return draws.sufficient(data)

    @abstractmethod
    @override
    def statistic(self, data: Any, null_truth: jax.Array) -> jax.Array:
        """Return one trial's test statistic.

        Args:
            data: what `data` returned.
            null_truth: which null hypotheses are true, booleans of shape (hypotheses,). Only rejections of true ones
                count: a trial that rejects still does where more of them are true.

        Returns:
            A real scalar, never NaN.
        """

    @final
    @override
    def seen(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> tuple[Any, jax.Array]:
        return self.data(draw, theta), null_truth
