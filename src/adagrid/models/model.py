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
    """A trial design, written for ONE trial as two pure functions of JAX arrays.

    First see `Design`, which needs one function: the family draws the data. This form is for data that are drawn by
    hand, for speed, or because only a part of them is needed. The family is then a claim about what is drawn.

    The engine runs `draw` for many simulations and `statistic` for many simulations and parameters at once;
    neither needs to know. To add a design, subclass this in a file of its own (in this package named as the class:
    `two_by_two.py` for `TwoByTwo`):

    - set `family`, the distribution of the data (on the class or in `__init__`);
    - `draw(key)` makes all the randomness of one trial, without knowing the parameters: every tile sees the
      same draws (common random numbers);
    - `statistic(draw, theta, null_truth)` turns it into the trial's test statistic under the parameters theta;
    - `reject_when` says which statistics reject: those below the threshold ("small") or above it ("large"), or these
      and those that equal it ("at most", "at least").

    With several null hypotheses the statistic may count only rejections of true ones: return, over the
    hypotheses that `null_truth` marks, the one closest to rejection (the minimum when small rejects), and
    +inf (-inf when large rejects) if there is none. The certified error is then the family-wise error rate.

    Where power is asked for, `null_truth` marks the hypotheses whose alternatives hold: power is then the probability
    to reject at least one of them. Where the mean of the statistic is asked for, nothing is rejected: the statistic is
    an estimate or a sample size, say (not its distance from theta, which is no function of the data), and `value_range`
    has its least and its largest value.

    Both functions must be pure: no global state, no randomness but from `key`. Sums of whole numbers are faster and
    exact as integers (below 2^24, or 2^53 in double precision, where they would be rounded). Constructor arguments
    are kept in `arguments` and recorded with the job, so they should be numbers, strings, or sequences of these.
    Check a design with `adagrid.testing.ModelContract`.
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
    """The threshold of designs whose statistic is a decision, such as 0.5 where it is 0 or 1; None for all others."""

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
        """Return one trial's test statistic: written as `statistic(self, draw, theta, null_truth)`.

        (`Design` has another form, so that type checkers know no arguments here.)

        Args:
            args: three arguments:
                draw: what `draw` returned.
                theta: the parameters, shape (family.dim,), in the family's coordinates.
                null_truth: which null hypotheses are true, booleans of shape (hypotheses,). Only rejections of true
                ones count: a trial that rejects still does where more of them are true.
            kwargs: nothing.

        Returns:
            A real scalar, never NaN.
        """

    def seen(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> tuple[Any, ...]:
        """Return the arguments of `statistic` for one trial: the same three, or other ones in other forms of designs.

        Args:
            draw: what `draw` returned.
            theta: the parameters, shape (family.dim,).
            null_truth: which null hypotheses are true, shape (hypotheses,).
        """
        return draw, theta, null_truth

    @final
    def statistic_at(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        """Return the statistic of one trial at some parameters, whatever form the design has: what the engine calls.

        Args:
            draw: what `draw` returned.
            theta: the parameters, shape (family.dim,).
            null_truth: which null hypotheses are true, shape (hypotheses,).
        """
        return self.statistic(*self.seen(draw, theta, null_truth))

    def exact_error(self, theta: FloatArray, null_truth: BoolArray, threshold: float) -> FloatArray | None:
        """Return the probabilities of rejection where they can be computed: certificates then need no simulations.

        Override together with `exact_threshold`.

        Args:
            theta: parameters, shape (points, family.dim).
            null_truth: which null hypotheses are true, shape (points, hypotheses).
            threshold: in the design's own direction.

        Returns:
            Shape (points,), rounded up by at most 1e-9 of it; less than 1e-290 stands for anything up to that. None if
            the design cannot tell.
        """
        del theta, null_truth, threshold
        return None

    def exact_threshold(self, theta: FloatArray, null_truth: BoolArray, level: FloatArray) -> FloatArray | None:
        """Return the thresholds that reject most while the probability of rejection, rounded up, is at most a level.

        Args:
            theta: parameters, shape (points, family.dim).
            null_truth: which null hypotheses are true, shape (points, hypotheses).
            level: shape (points,).

        Returns:
            Shape (points,), in the design's own direction; None if the design cannot tell.
        """
        del theta, null_truth, level
        return None

    @final
    @property
    def is_exact(self) -> bool:
        """Whether the design's errors are computed, not simulated."""
        return type(self).exact_error is not Model.exact_error

    @final
    @property
    def direction(self) -> float:
        """1.0 if small statistics reject, -1.0 if large ones do: statistic * direction rejects when small."""
        return direction_of(self.reject_when)

    @final
    @property
    def is_weak(self) -> bool:
        """Whether a statistic that equals the threshold rejects."""
        return self.reject_when in ("at most", "at least")
