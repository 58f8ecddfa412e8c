"""The extension point for trial designs."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, final

from adagrid._typing import BoolArray, FloatArray
from adagrid.families import Family

if TYPE_CHECKING:
    import jax


# The characters of an argument that `repr` shows.
_LONGEST = 60

RejectWhen: TypeAlias = Literal["small", "large", "at most", "at least"]
"""Which statistics reject: below the threshold, above it, at most the threshold, at least it."""


def direction_of(reject_when: RejectWhen) -> float:
    """Return 1.0 if small statistics reject, -1.0 if large ones do."""
    return 1.0 if reject_when in ("small", "at most") else -1.0


def _short(value: Any) -> str:
    """Return a value as text for people, in one line."""
    if hasattr(value, "shape") and value.shape:
        return f"<{type(value).__name__} {' x '.join(map(str, value.shape))}>"
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class Model(ABC):
    """A trial design that draws its own data, in JAX.

    A subclass describes ONE trial by two pure functions of JAX arrays. First see `Design`, which needs one function,
    because its family draws the data. Use `Model` to draw data yourself: for speed, or to draw only the part that the
    statistic needs. The family is then your claim about the distribution of the data.

    The engine vectorises `draw` over simulations, and `statistic` over simulations and parameters. To add a design,
    write a subclass in its own file (in this package with the name of the class: `two_by_two.py` for `TwoByTwo`):

    - Set `family`, the distribution of the data (on the class or in `__init__`).
    - `draw(key)` returns all random numbers of one trial. It does not see the parameters: every tile gets the same
      draws (common random numbers).
    - `statistic(draw, theta, null_truth)` returns the test statistic of the trial under the parameters theta.
    - `reject_when` says which statistics reject: those below the threshold ("small"), above it ("large"), at most the
      threshold ("at most"), or at least the threshold ("at least").

    With several null hypotheses, `null_truth` marks the true ones, and only their rejections count. Return the
    statistic of the true hypothesis that is closest to rejection (the minimum if small statistics reject). If none is
    true, return +inf (-inf if large statistics reject). The certified error is then the family-wise error rate.

    With `quantity="power"`, `null_truth` marks the hypotheses whose alternatives hold. Power is the probability to
    reject at least one of them. With `quantity="mean"` nothing is rejected. The statistic is then a function of the
    data such as an estimate or a sample size (not the distance of an estimate from theta), and `value_range` has its
    least and its largest value.

    Both functions must be pure: no global state, and no randomness but from `key`. Compute sums of whole numbers as
    integers, which is faster and exact. Floats round them above 2^24, or above 2^53 in double precision. `arguments`
    keeps the constructor's arguments, and the job records them. They should be numbers, strings, or sequences of these.
    Check a design with `adagrid.testing.ModelContract`.

    Examples:
        A z-test of two means with 20 patients per arm, which draws the means instead of the patients:

        >>> import jax
        >>> class TwoMeans(ada.Model):
        ...     family = ada.Normal(sd=1.0, n=(20, 20))
        ...     reject_when = "large"
        ...
        ...     def draw(self, key):
        ...         return jax.random.normal(key, (2,)) / 20**0.5
        ...
        ...     def statistic(self, draw, theta, null_truth):
        ...         control, treatment = draw + theta
        ...         return (treatment - control) / (2 / 20) ** 0.5
        >>> design = TwoMeans()
        >>> design.statistic(design.draw(jax.random.key(0)), jax.numpy.zeros(2), None).shape
        ()
    """

    family: Family
    reject_when: ClassVar[RejectWhen] = "small"
    precision: ClassVar[Literal["single", "double"]] = "single"
    """Precision of theta and of everything that does not state its own type: float32 or float64.

    Random numbers of single precision have steps of about 1e-7: choose "double" where errors below 1e-5 matter.
    """
    value_range: ClassVar[tuple[float, float] | None] = None
    """Least and largest value of the statistic, where its mean is to be bounded (`quantity="mean"`)."""

    decision_threshold: float | None = None
    """The threshold of a design whose statistic is a decision: 0.5 if 0 and 1 are the decisions. Otherwise None."""

    arguments: dict[str, Any]
    """What the constructor was called with, by name."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the constructor's arguments for the record."""
        self = super().__new__(cls)
        if cls.__init__ is object.__init__:
            if args or kwargs:
                raise TypeError(f"{cls.__name__}() takes no arguments, but was called with {args or kwargs}.")
            object.__setattr__(self, "arguments", {})
            return self
        try:
            bound = inspect.signature(cls).bind(*args, **kwargs)
        except TypeError:
            return self  # __init__ raises the same with Python's own message
        bound.apply_defaults()
        object.__setattr__(self, "arguments", dict(bound.arguments))
        return self

    def __repr__(self) -> str:
        """Return the class and its arguments, the long ones by their type and size."""
        arguments = getattr(self, "arguments", {})
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in arguments.items())})"

    @abstractmethod
    def draw(self, key: jax.Array) -> Any:
        """Return one trial's randomness.

        Args:
            key: a JAX random key.

        Returns:
            A pytree of arrays, of the same shapes and types for every key.
        """

    @abstractmethod
    def statistic(self, *args: Any, **kwargs: Any) -> jax.Array:
        """Return one trial's test statistic.

        Write it as `statistic(self, draw, theta, null_truth)`. The arguments have no types here, because `Design` has
        different ones.

        Args:
            args: three arguments:
                draw: what `draw` returned.
                theta: the parameters, shape (family.dim,), in the family's coordinates.
                null_truth: which null hypotheses are true, booleans of shape (hypotheses,). Only rejections of true
                hypotheses count. A trial that rejects must also reject if more hypotheses are true.
            kwargs: nothing.

        Returns:
            A real scalar, never NaN.
        """

    def seen(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> tuple[Any, ...]:
        """Return the arguments of `statistic` for one trial.

        For a `Model` they are the same three. `Design` replaces draw and theta by the data.

        Args:
            draw: what `draw` returned.
            theta: the parameters, shape (family.dim,).
            null_truth: which null hypotheses are true, shape (hypotheses,).
        """
        return draw, theta, null_truth

    @final
    def statistic_at(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        """Return the statistic of one trial at given parameters.

        The engine calls this method for every kind of design.

        Args:
            draw: what `draw` returned.
            theta: the parameters, shape (family.dim,).
            null_truth: which null hypotheses are true, shape (hypotheses,).
        """
        return self.statistic(*self.seen(draw, theta, null_truth))

    def exact_error(self, theta: FloatArray, null_truth: BoolArray, threshold: float) -> FloatArray | None:
        """Return the probabilities of rejection, if the design computes them.

        Certificates then need no simulations. Override it together with `exact_threshold`.

        Args:
            theta: parameters, shape (points, family.dim).
            null_truth: which null hypotheses are true, shape (points, hypotheses).
            threshold: in the design's own direction.

        Returns:
            Shape (points,). Each value is rounded up, by a relative error of at most 1e-9. A value below 1e-290 stands
            for any probability up to 1e-290. None if the design does not compute its errors.
        """
        del theta, null_truth, threshold
        return None

    def exact_threshold(self, theta: FloatArray, null_truth: BoolArray, level: FloatArray) -> FloatArray | None:
        """Return the thresholds that keep a level and reject most.

        At each threshold, the probability of rejection, rounded up, is at most the level.

        Args:
            theta: parameters, shape (points, family.dim).
            null_truth: which null hypotheses are true, shape (points, hypotheses).
            level: shape (points,).

        Returns:
            Shape (points,), in the design's own direction. None if the design does not compute its errors.
        """
        del theta, null_truth, level
        return None

    @final
    @property
    def is_exact(self) -> bool:
        """Whether the design computes its errors, without simulations."""
        return type(self).exact_error is not Model.exact_error

    @final
    @property
    def direction(self) -> float:
        """1.0 if small statistics reject, -1.0 if large ones do.

        Small values of statistic * direction always reject.
        """
        return direction_of(self.reject_when)

    @final
    @property
    def is_weak(self) -> bool:
        """Whether a statistic that equals the threshold rejects."""
        return self.reject_when in ("at most", "at least")
