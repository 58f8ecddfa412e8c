"""Lower bounds of simplices lose nothing to a search that leaves vertices out."""

from __future__ import annotations

import numpy as np
import pytest

import adagrid as ada
from adagrid.bounds import interpolated_lower_bound

FAMILIES = {
    "binomial": (ada.Binomial((35, 20, 50)), 0.35),
    "normal": (ada.Normal(sd=(1.0, 2.0)), 1.0),
    "exponential": (ada.Exponential((20, 30)), 0.1),
}


def by_brute_force(family, vertices, lower):
    """The bound of the module's first lines from every vertex, over many s: the largest of the least at vertices."""
    steps = np.geomspace(1e-2, 1e3, 1001)[:, None]
    best = np.zeros(len(vertices))
    for row, (simplex, levels) in enumerate(zip(vertices, lower, strict=True)):
        for vertex, level in zip(simplex, levels, strict=True):
            shifts = simplex - vertex
            behind = vertex - steps[:, :, None] * shifts
            inside = family.contains(behind).all(axis=1)
            here, there = family.log_partition(vertex), family.log_partition(simplex)
            back = (family.log_partition(behind[inside]) - here) / steps[inside]
            loss = (there - here + back).max(axis=1) - (1 + 1 / steps[inside, 0]) * np.log(level)
            best[row] = max(best[row], np.exp(-loss.min()))
    return best


@pytest.mark.parametrize("name", FAMILIES)
def test_no_vertex_is_left_out_that_tells_more(name):
    """Levels between the largest and a tenth of it, on simplices of up to about two standard errors."""
    family, unit = FAMILIES[name]
    rng = np.random.default_rng(0)
    n = 100
    middle = np.full(family.dim, 1.0 if name == "exponential" else -0.5)
    vertices = middle + unit * rng.uniform(0.1, 1.0, (n, 1, 1)) * rng.normal(size=(n, family.dim + 1, family.dim))
    lower = 0.05 * rng.uniform(0.1, 1.0, (n, 1)) ** rng.uniform(0, 1, (n, family.dim + 1))
    found, possible = interpolated_lower_bound(family, vertices, lower), by_brute_force(family, vertices, lower)
    assert (found <= 1.001 * possible).all()  # which tries some s only
    assert (found >= 0.99 * possible).all()
