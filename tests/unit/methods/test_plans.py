"""What plans of jobs in stages are made of."""

from __future__ import annotations

import numpy as np
import pytest

import adagrid as ada
from adagrid.bounds.interpolated import interpolated_log_bound
from adagrid.grid.simplices import Simplices
from adagrid.methods.cells import algorithm as base
from adagrid.methods.cells.quadratic import estimated_log_bound


def simplices(dim, n, scale, seed=0):
    """Random simplices around -0.3, and logarithms of limits at their vertices."""
    rng = np.random.default_rng(seed)
    return -0.3 + scale * rng.normal(size=(n, dim + 1, dim)), np.log(0.03) + rng.normal(size=(n, dim + 1)) / 3


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_the_estimate_is_exact_where_the_log_partition_is_quadratic(dim):
    vertices, log_upper = simplices(dim, 100, 0.7)
    family = ada.Normal(sd=(1.0,) * dim)
    bound, estimate = (each(family, vertices, log_upper) for each in (interpolated_log_bound, estimated_log_bound))
    added = bound - log_upper.max(axis=1)
    assert (estimate <= bound + 1e-9).all()
    assert (estimate >= bound - 0.05 * added - 1e-4).all()
    assert np.median(bound - estimate) < 1e-5


@pytest.mark.parametrize("family", [ada.Binomial((20, 50, 35)), ada.Poisson((9.0, 20.0, 5.0))], ids=repr)
def test_the_estimate_is_close_on_simplices_of_about_a_standard_error(family):
    vertices, log_upper = simplices(3, 200, 0.12)
    bound, estimate = (each(family, vertices, log_upper) for each in (interpolated_log_bound, estimated_log_bound))
    added = bound - log_upper.max(axis=1)
    assert (np.abs(estimate - bound) <= 0.15 * added + 5e-3).all()


def test_the_estimate_of_points_and_lines():
    """Simplices without extent, or whose vertices coincide, add nothing."""
    vertices = np.zeros((2, 3, 2))
    vertices[1, 2] = 1e-12
    log_upper = np.log([[0.1, 0.2, 0.05], [0.3, 0.3, 0.3]])
    np.testing.assert_allclose(
        estimated_log_bound(ada.Binomial((9, 9)), vertices, log_upper), np.log([0.2, 0.3]), atol=1e-9
    )


@pytest.mark.parametrize("most", [None, 50])
def test_distinct_vertices_are_those_of_their_rows(monkeypatch, most):
    """As NumPy tells rows of numbers and truth values apart, and in the same order, however many there are."""
    if most:
        monkeypatch.setattr(base, "_MOST_PLACES", most)
    rng = np.random.default_rng(0)
    vertices = rng.choice([-1.0, -0.0, 0.0, 0.5, 2.0], (300, 4, 3))
    truth = rng.random((300, 2)) < 0.5
    cells = Simplices(vertices, truth, np.zeros(300, np.uint64))
    rows = np.concatenate([vertices.reshape(-1, 3) + 0.0, np.repeat(truth, 4, axis=0)], axis=1)
    expected, place = np.unique(rows, axis=0, return_inverse=True)
    theta, null_truth, vertex = base.distinct_vertices(cells)
    np.testing.assert_array_equal(np.concatenate([theta, null_truth], axis=1), expected)
    np.testing.assert_array_equal(vertex, place.reshape(300, 4))
