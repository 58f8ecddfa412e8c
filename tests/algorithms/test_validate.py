"""AdaValidate: criteria and choices, against a plain reading of the design."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adagrid.algorithms import AdaValidate, Frontier, ValidateSettings
from adagrid.algorithms.frontier import first

SETTINGS = ValidateSettings(
    threshold=1.0, max_target=0.002, global_target=0.005, step_size=4, init_sims=64, max_sims=256
)


def never(*_):
    raise AssertionError("a validation needs no statistics to check its targets")


def frontier_of(rows):
    """rows: (id, eligible, estimate, sim_cost, grid_cost, n_sims)"""
    ids, eligible, estimate, sim, grid, n_sims = (np.array(column) for column in zip(*rows, strict=True))
    return Frontier(
        {
            "id": ids.astype(np.uint64),
            "eligible": eligible.astype(bool),
            "tie_estimate": estimate.astype(float),
            "sim_cost": sim.astype(float),
            "grid_cost": grid.astype(float),
            "total_cost": sim + grid.astype(float),
            "tie_bound": estimate + sim + grid.astype(float),
            "n_sims": n_sims.astype(np.int64),
        }
    )


cost = st.sampled_from([0.0, 0.0001, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.02])
tiles = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.01, 0.02, 0.023, 0.025]), cost, cost, st.sampled_from([64, 128, 256])),
    min_size=1,
    max_size=12,
).map(lambda rows: frontier_of([(i + 1, *row) for i, row in enumerate(rows)]))


@given(tiles)
@settings(max_examples=300)
def test_convergence_and_choice(frontier):
    algorithm = AdaValidate(SETTINGS)
    largest = max(frontier["tie_estimate"])
    over_global, over_max = [], []
    for k in range(len(frontier)):
        total, bound = frontier["total_cost"][k], frontier["tie_bound"][k]
        if total > 0.005:
            over_global.append((-total, k))
        elif bound > largest and total > 0.002:
            over_max.append((-bound, k))
    convergence = algorithm.convergence(frontier, never)
    assert convergence.converged == (not over_global and not over_max)
    assert convergence.figures["over target"] == len(over_global) + len(over_max)
    choice = algorithm.choose(frontier)
    fate = {}
    for k in range(len(frontier)):
        sim, grid, n_sims = frontier["sim_cost"][k], frontier["grid_cost"][k], frontier["n_sims"][k]
        target = 0.002 if frontier["tie_bound"][k] > largest else 0.005
        deepen = sim > grid and n_sims < 256
        fate[k] = (not deepen and (grid > target or grid > sim / 5), deepen)
    order = [k for _, k in [*sorted(over_global), *sorted(over_max)] if frontier.eligible[k] and any(fate[k])]
    assert choice.chosen.tolist() == order[:4]
    assert list(zip(choice.refine, choice.deepen, strict=True)) == [fate[k] for k in order[:4]]


def test_tiles_that_cannot_be_improved_are_not_chosen():
    """They stay eligible: with other targets the policy may want them."""
    frontier = frontier_of([(1, True, 0.02, 0.01, 0.0001, 256), (2, True, 0.02, 0.01, 0.0001, 128)])
    algorithm = AdaValidate(SETTINGS)
    choice = algorithm.choose(frontier)
    assert choice.chosen.tolist() == [1]
    assert choice.deepen.tolist() == [True]
    assert not algorithm.convergence(frontier, never).converged


@given(
    st.lists(st.tuples(st.sampled_from([-np.inf, 0.0, 1.0, np.inf]), st.integers(0, 2**64 - 1)), max_size=30),
    st.integers(0, 12),
)
def test_first(pairs, count):
    key = np.array([k for k, _ in pairs], float)
    ids = np.array([i for _, i in pairs], np.uint64)
    expected = sorted(range(len(pairs)), key=lambda j: (pairs[j][0], pairs[j][1]))[:count]
    found = first(key, ids, count)
    assert [pairs[j] for j in found] == [pairs[j] for j in expected]


@pytest.mark.parametrize("size", [1, 3])
def test_advance_is_the_frontier_after_the_step(size):
    frontier = frontier_of([(i, True, 0.02, 0.01, 0.01, 64) for i in range(1, 5)])
    fresh = {name: np.repeat(frontier[name][:1], size, 0) for name in ("id", *AdaValidate(SETTINGS).frontier_columns)}
    fresh["id"] = np.arange(10, 10 + size, dtype=np.uint64)
    after = frontier.advance(np.array([2, 0]), np.array([True, False]), fresh)
    assert dict(zip(after.id.tolist(), after.eligible.tolist(), strict=True)) == (
        {1: False, 2: True, 4: True} | dict.fromkeys(range(10, 10 + size), True)
    )
