"""TileValidation: criteria and choices, against a plain reading of the design."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adagrid.methods.tiles.frontier import Frontier
from adagrid.methods.tiles.validation import TileValidation
from tests.support import flat

SETTINGS = flat.settings(
    "validate", "classic", threshold=1.0, max_target=0.002, global_target=0.005, step_size=4, init_sims=64, max_sims=256
)


def never(*_):
    raise AssertionError("a validation needs no statistics to check its targets")


def columns_of(rows):
    """rows: (id, eligible, estimate, sim_cost, grid_cost, n_sims)"""
    ids, eligible, estimate, sim, grid, n_sims = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "id": ids.astype(np.uint64),
        "eligible": eligible.astype(bool),
        "tie_estimate": estimate.astype(float),
        "sim_cost": sim.astype(float),
        "grid_cost": grid.astype(float),
        "total_cost": sim + grid.astype(float),
        "tie_bound": estimate + sim + grid.astype(float),
        "n_sims": n_sims.astype(np.int64),
    }


def ids_at(frontier, positions):
    return frontier.take(["id"], positions)["id"].tolist()


cost = st.sampled_from([0.0, 0.0001, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.02])
tiles = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.01, 0.02, 0.023, 0.025]), cost, cost, st.sampled_from([64, 128, 256])),
    min_size=1,
    max_size=12,
).map(lambda rows: columns_of([(i + 1, *row) for i, row in enumerate(rows)]))


@given(tiles)
@settings(max_examples=300)
def test_convergence_and_choice(columns):
    algorithm = TileValidation(SETTINGS)
    frontier = Frontier(algorithm.layout, [columns])
    largest = max(columns["tie_estimate"])
    over_global, over_max = [], []
    for k in range(len(columns["id"])):
        total, bound = columns["total_cost"][k], columns["tie_bound"][k]
        if total > 0.005:
            over_global.append((-total, k))
        elif bound > largest and total > 0.002:
            over_max.append((-bound, k))
    convergence = algorithm.convergence(frontier, never)
    assert convergence.converged == (not over_global and not over_max)
    assert convergence.figures["over target"] == len(over_global) + len(over_max)
    choice = algorithm.choose(frontier)
    fate = {}
    for k in range(len(columns["id"])):
        sim, grid, n_sims = columns["sim_cost"][k], columns["grid_cost"][k], columns["n_sims"][k]
        target = 0.002 if columns["tie_bound"][k] > largest else 0.005
        deepen = sim > grid and n_sims < 256
        fate[k] = (not deepen and (grid > target or grid > sim / 5), deepen)
    order = [k for _, k in [*sorted(over_global), *sorted(over_max)] if columns["eligible"][k] and any(fate[k])]
    assert ids_at(frontier, choice.chosen) == [k + 1 for k in order[:4]]
    assert list(zip(choice.refine, choice.deepen, strict=True)) == [fate[k] for k in order[:4]]


def test_tiles_that_cannot_be_improved_are_not_chosen():
    """They stay eligible: with other targets the policy may want them."""
    algorithm = TileValidation(SETTINGS)
    columns = columns_of([(1, True, 0.02, 0.01, 0.0001, 256), (2, True, 0.02, 0.01, 0.0001, 128)])
    frontier = Frontier(algorithm.layout, [columns])
    choice = algorithm.choose(frontier)
    assert ids_at(frontier, choice.chosen) == [2]
    assert choice.deepen.tolist() == [True]
    assert not algorithm.convergence(frontier, never).converged
