"""Tiles around points of any family, and tilt bounds of them by brute force: what the contract compares with."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from scipy.optimize import minimize_scalar

from adagrid._programs import Program
from adagrid._typing import FloatArray
from adagrid.families import Family

# The share of the way to the end of the domain at which tiles stop.
_ROOM = 0.45
# The s with which the tilt bound replaces K(v) by -K(-s v)/s where no vertex is proven to be the worst.
_TANGENT = 2.0**-10


def boxes(radius: FloatArray) -> FloatArray:
    """Return the vertices of boxes around the origin, shape (points, 2^dim, dim)."""
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=radius.shape[1])))
    return corners * radius[:, None, :]


def rounding_of(family: Family, theta: FloatArray) -> FloatArray:
    """Return the rounding error that a difference of log-partitions may have."""
    return 16 * np.finfo(float).eps * (1 + np.abs(family.log_partition(theta)))


def gradients(family: Family, theta: FloatArray) -> FloatArray:
    """Return the gradient of A at points, shape (points, dim)."""
    traced: Any = family
    return np.asarray(Program(jax.vmap(jax.grad(traced.log_partition)), theta, double=True)(theta))


def axis_reach(family: Family, theta: FloatArray) -> FloatArray:
    """Return the way along each axis to the domain's nearer end, shape (points, dim)."""
    axes = np.eye(family.dim)
    return np.minimum(family.reach(theta[:, None, :], axes), family.reach(theta[:, None, :], -axes))


def _within(family: Family, theta: FloatArray, radius: FloatArray, share: float) -> FloatArray:
    """Return half-widths that are shrunk until the vertices are at most a share of the way to the domain's end."""
    reach = family.reach(theta[:, None, :], boxes(radius)).min(axis=1, keepdims=True)
    return radius * np.minimum(1.0, share * reach)


def half_widths(family: Family, theta: FloatArray, information: float) -> FloatArray:
    """Return half-widths with K(h) + K(-h) = information in each direction, or less if the domain ends before."""
    inside, outside = np.full_like(theta, 1e-14), np.minimum(_ROOM * axis_reach(family, theta), 1e9)
    for _ in range(60):
        middle = np.sqrt(inside * outside)
        enough = _information(family, theta, middle) >= information
        outside, inside = np.where(enough, middle, outside), np.where(enough, inside, middle)
    return _within(family, theta, outside, _ROOM)


def _information(family: Family, theta: FloatArray, step: FloatArray) -> FloatArray:
    """Return K(h e_i) + K(-h e_i) for every point and direction, shape (points, dim)."""
    along = step[:, :, None] * np.eye(family.dim)
    with np.errstate(over="ignore"):
        return family.cumulant(theta[:, None, :], along) + family.cumulant(theta[:, None, :], -along)


def largest_half_widths(family: Family, theta: FloatArray) -> FloatArray:
    """Return large half-widths: as far as the domain allows, 1e6 at most, and A stays far from overflow."""
    radius = _within(family, theta, np.minimum(axis_reach(family, theta), 1e6), 0.999)
    for _ in range(200):
        with np.errstate(over="ignore", invalid="ignore"):
            value = family.log_partition(theta[:, None, :] + boxes(radius))
        too_large = ~(np.abs(value).max(axis=1) < 1e100)
        if not too_large.any():
            break
        radius = np.where(too_large[:, None], radius / 2, radius)
    return radius


def log_bound(level: float, q: FloatArray, cost: FloatArray) -> FloatArray:
    """Return log U for every q and vertex, from costs K(q v)/q - K(v)."""
    return (1 - 1 / q) * np.log(level) + cost


def log_loss(level: float, q: FloatArray, cost: FloatArray) -> FloatArray:
    """Return -log U^-1 for every q and vertex."""
    return q / (q - 1) * (cost - np.log(level))


def tilt_cost(family: Family, theta: FloatArray, displacements: FloatArray, q: float) -> FloatArray:
    """Return K(q v)/q - K(v)."""
    return family.cumulant(theta, q * displacements) / q - family.cumulant(theta, displacements)


def least_and_proven(
    family: Family,
    theta: FloatArray,
    displacements: FloatArray,
    objective: Callable[[FloatArray, FloatArray], FloatArray],
) -> tuple[float, float]:
    """Minimise the largest objective at the vertices over all q, and over what is proven to be valid.

    That is every q for separable families; for others q up to `convex_up_to`, and every q with -K(-s v)/s for K(v).
    """
    least = least_objective(family, theta, displacements, objective)
    if family.separable:
        return least, least
    tangent = -family.cumulant(theta, -_TANGENT * displacements) / _TANGENT
    proven = least_objective(family, theta, displacements, objective, here=tangent)
    convex = float(family.convex_up_to(theta[None, None], displacements[None])[0])
    if convex > 1.001:
        proven = min(proven, least_objective(family, theta, displacements, objective, most=convex))
    return least, proven


def least_objective(
    family: Family,
    theta: FloatArray,
    displacements: FloatArray,
    objective: Callable[[FloatArray, FloatArray], FloatArray],
    here: FloatArray | None = None,
    most: float = np.inf,
    values: int = 301,
) -> float:
    """Minimise over q the largest over vertices of objective(q, K(q v)/q - K(v)): a dense grid, then Brent.

    Args:
        family: the family.
        theta: one point, shape (dim,).
        displacements: vertices minus the point, shape (vertices, dim).
        objective: of q, shape (n, 1), and the cost, shape (n, vertices).
        here: what stands for K(v), shape (vertices,).
        most: the largest q.
        values: size of the grid.
    """
    reach = float(family.reach(theta, displacements).min())
    highest = np.log(min(reach * (1 - 1e-9) - 1, most * (1 - 2e-6) - 1, 1e14))
    if here is None:
        here = family.cumulant(theta, displacements)

    def worst(log_excess: FloatArray) -> FloatArray:
        q = (1 + np.exp(log_excess))[:, None]
        with np.errstate(over="ignore"):
            cost = family.cumulant(theta, q[:, :, None] * displacements) / q - here
        return objective(q, cost).max(axis=1)

    grid = np.linspace(-16.0, highest, values)
    met = worst(grid)
    at = int(np.argmin(met))
    polished = minimize_scalar(
        lambda t: float(worst(np.array([t]))[0]),
        bounds=(grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]),
        method="bounded",
        options={"xatol": 1e-11},
    )
    return min(float(met[at]), float(polished.fun))
