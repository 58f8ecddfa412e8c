"""Group-sequential tests of one mean, with any boundaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from adagrid._checks import real_numbers, whole_numbers
from adagrid._typing import FloatArray
from adagrid.errors import InvalidInputError
from adagrid.families import Normal
from adagrid.models.design import Design
from adagrid.models.model import RejectWhen

# Wang and Tsiatis's exponents of the two classical shapes.
_SHAPES = {"pocock": 0.5, "obrien-fleming": 0.0}


@final
class GroupSequential(Design):
    """Group-sequential z-test of a normal mean with known variance.

    The null hypothesis is that the mean is at most zero. At look k, with the share t_k of all observations, the trial
    stops and rejects if Z_k > threshold * c_k. It stops without rejection if Z_k is at or below its futility bound. The
    statistic is the largest Z_k / c_k of the looks that the trial reaches, so large values reject. The Z_k have
    independent increments of information (Jennison and Turnbull 1999, Group Sequential Methods with Applications to
    Clinical Trials, chapter 3).

    The constants c_k may follow a shape of Wang and Tsiatis (1987, Biometrics 43:193): c_k = t_k^(D - 1/2), and the
    threshold is the boundary of the last look. D = 1/2 is Pocock's shape (1977, Biometrika 64:191). D = 0 is the shape
    of O'Brien and Fleming (1979, Biometrics 35:549). The constants may also be the boundaries themselves, with a
    threshold of 1. An infinite constant means that the trial never rejects at this look.

    Args:
        looks: how many, equally spaced; or the share of the observations at each, increasing to 1.
        boundary: "pocock", "obrien-fleming", the number D, or one positive constant c_k per look.
        futility: one bound per look but the last; -inf for a look without a bound. The bounds are binding: the error
            assumes that the trial obeys them.
        two_sided: whether small means also reject: |Z_k| instead of Z_k.
        n: observations at the last look.
        sd: standard deviation of one observation.

    Attributes:
        shares: share of the observations at every look.

    Raises:
        InvalidInputError: with everything that is wrong with the arguments.

    Examples:
        Two looks with O'Brien and Fleming's boundaries, and a futility bound at the first:

        >>> design = ada.GroupSequential(2, "obrien-fleming", futility=[0.0], n=100)
        >>> design.shares
        [0.5, 1.0]
        >>> grid = ada.cartesian_grid([-0.5], [0], null_hypos=["theta0 <= 0"])
        >>> run = ada.ada_calibrate(design, alpha=0.025, grid=grid)  # doctest: +SKIP
    """

    reject_when: ClassVar[RejectWhen] = "large"

    def __init__(
        self,
        looks: int | Sequence[float],
        boundary: str | float | Sequence[float] = "obrien-fleming",
        *,
        futility: Sequence[float] | None = None,
        two_sided: bool = False,
        n: int = 1,
        sd: float = 1.0,
    ) -> None:
        self.family = Normal(sd=sd, n=n)
        shares = _shares(looks)
        self._two_sided = two_sided
        self._constants, problems = _constants(boundary, shares)
        self._futility, more = _futility(futility, len(shares), two_sided)
        if problems + more:
            raise InvalidInputError(problems + more)
        if self.family.dim != 1:
            raise InvalidInputError(f"GroupSequential tests one mean; got n={n}, sd={sd}.")
        self.shares: list[float] = shares.tolist()
        self._root_increments = np.sqrt(np.diff(shares, prepend=0.0)).tolist()
        self._roots = np.sqrt(shares).tolist()
        self._per_unit = 1 / float(self.family.standard_errors[0])

    @override
    def draw(self, key: jax.Array) -> tuple[jax.Array, ...]:
        """Return Z_k under a mean of zero, one array per look."""
        score = jnp.zeros(())
        z = []
        for noise, step, root in zip(
            jax.random.normal(key, (len(self._roots),)), self._root_increments, self._roots, strict=True
        ):
            score = score + step * noise
            z.append(score / root)
        return tuple(z)

    @override
    def data(self, draw: tuple[jax.Array, ...], theta: jax.Array) -> tuple[jax.Array, ...]:
        """Return Z_k, one array per look."""
        drift = theta[0] * self._per_unit
        return tuple(null + root * drift for null, root in zip(draw, self._roots, strict=True))

    @override
    def sufficient(self, data: tuple[jax.Array, ...]) -> jax.Array:
        return data[-1][None] * self._per_unit

    @override
    def statistic(self, data: tuple[jax.Array, ...], null_truth: jax.Array) -> jax.Array:
        largest, going = jnp.full_like(data[0], -jnp.inf), jnp.ones((), bool)
        for scaled, futile in self.at_looks(data):
            largest = jnp.where(going, jnp.maximum(largest, scaled), largest)
            going = going & ~futile
        return largest

    def at_looks(self, data: tuple[jax.Array, ...]) -> Iterator[tuple[jax.Array, jax.Array]]:
        """Yield, for every look, Z_k / c_k (|Z_k| / c_k if two-sided) and whether the trial stops for futility.

        Args:
            data: Z_k, one array per look.
        """
        for z, constant, futile in zip(data, self._constants, self._futility, strict=True):
            scaled = (abs(z) if self._two_sided else z) * np.float32(1 / constant)
            # z / inf is 0, which a threshold below 0 would reject
            yield scaled if constant < np.inf else jnp.full_like(z, -jnp.inf), z <= futile


def _shares(looks: int | Sequence[float]) -> FloatArray:
    """Return the share of the observations at every look."""
    if np.ndim(looks) == 0:
        count = int(whole_numbers("looks", looks)[0])
        return np.arange(1, count + 1) / count
    shares = real_numbers("looks", looks)
    if shares.ndim != 1 or not (np.diff(shares, prepend=0.0) > 0).all() or shares[-1:].tolist() != [1.0]:
        raise InvalidInputError(
            f"looks must be a number of looks, or shares of the observations that increase from above 0 to 1; "
            f"got looks={looks}."
        )
    return shares


def _constants(boundary: str | float | Sequence[float], shares: FloatArray) -> tuple[list[float], list[str]]:
    """Return the constants c_k, and what is wrong with them."""
    if isinstance(boundary, str):
        if boundary not in _SHAPES:
            return [], [
                f"boundary must be 'pocock', 'obrien-fleming', a number, or one constant per look; got {boundary!r}."
            ]
        boundary = _SHAPES[boundary]
    given = real_numbers("boundary", boundary)
    constants = shares ** (given - 0.5) if given.ndim == 0 else given
    wrong = constants.shape != shares.shape or not (constants > 0).all() or np.isinf(constants).all()
    if wrong or np.isinf(given).all():
        return [], [
            f"boundary must be one finite number or {len(shares)} constants above zero, one per look and not all "
            f"infinite; got boundary={boundary}. A look without rejection has the constant inf."
        ]
    return constants.tolist(), []


def _futility(futility: Sequence[float] | None, looks: int, two_sided: bool) -> tuple[list[float], list[str]]:
    """Return a futility bound for every look, and what is wrong with them."""
    if futility is None:
        return [-np.inf] * looks, []
    bounds = real_numbers("futility", futility)
    problems = []
    if bounds.shape != (looks - 1,) or not (bounds < np.inf).all():
        problems.append(
            f"futility must be {looks - 1} numbers, one per look but the last; got futility={futility}. Give -inf "
            "where there is no bound."
        )
    if two_sided:
        problems.append("futility bounds are for one-sided tests; got two_sided=True. Leave one of them out.")
    return ([] if problems else [*bounds.tolist(), -np.inf]), problems
