"""TileCalibration: criteria and choices, against a plain reading of the design."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.methods.tiles.algorithm import StepWork
from adagrid.methods.tiles.calibration import TileCalibration
from adagrid.methods.tiles.frontier import Frontier
from tests.support import flat

SETTINGS = flat.settings("calibrate", "classic", n_bootstrap=3, step_size=3, init_sims=64, max_sims=256)

row = st.tuples(
    st.booleans(),
    st.sampled_from([-2.0, -1.9, -1.8]),
    st.sampled_from([0.0005, 0.0015]),
    st.booleans(),
    st.sampled_from([64, 128, 256]),
    st.lists(st.sampled_from([-2.1, -2.0, -1.9]), min_size=3, max_size=3),
)


def columns_of(rows):
    eligible, star, grid, impossible, n_sims, bootstrap = zip(*rows, strict=True)
    bootstrap = np.array(bootstrap)
    return {
        "id": np.arange(1, len(rows) + 1, dtype=np.uint64),
        "eligible": np.array(eligible),
        "lambda_star": np.array(star),
        "grid_cost": np.array(grid),
        "impossible": np.array(impossible).astype(np.uint8),
        "n_sims": np.array(n_sims),
        "tilewise_mean": np.array(star) + 0.01,
        "tilewise_min": np.array(star) - 0.1,
        **{f"bootstrap{b}": bootstrap[:, b] for b in range(3)},
    }


def ids_at(frontier, positions):
    return frontier.take(["id"], positions)["id"].tolist()


@given(st.lists(row, min_size=1, max_size=8).map(columns_of), st.floats(0.02, 0.03), st.floats(0, 0.003))
@settings(max_examples=300)
def test_convergence_and_choice(columns, level, slope):
    algorithm = TileCalibration(SETTINGS)
    frontier = Frontier(algorithm.layout, [columns])
    star = columns["lambda_star"].tolist()
    worst = min(range(len(star)), key=lambda k: (star[k], k))
    asked = []

    def fraction_below(position, values):
        asked.extend(ids_at(frontier, np.array([position])))
        return level + slope * (values - star[worst])

    convergence = algorithm.convergence(frontier, fraction_below)
    if columns["impossible"].any():
        assert not convergence.converged
        assert not asked
    else:
        assert asked == [worst + 1]
        resampled = [level + slope * (min(columns[f"bootstrap{b}"]) - star[worst]) for b in range(3)]
        bias, std = level - np.mean(resampled), np.std(resampled)
        assert convergence.figures["bias"] == pytest.approx(bias)
        assert convergence.figures["std"] == pytest.approx(std)
        assert convergence.converged == (bias < 0.001 and std < 0.002 and columns["grid_cost"][worst] < 0.001)
    choice = algorithm.choose(frontier)
    fate = {}
    for k in range(len(star)):
        decisive = columns["impossible"][k] or star[k] <= min(star)
        deepest = columns["n_sims"][k] == 256
        refine = columns["grid_cost"][k] > 0.001 and bool(decisive or deepest)
        fate[k] = (refine, not refine and not deepest)
    eligible = [k for k in range(len(star)) if columns["eligible"][k] and any(fate[k])]
    eligible.sort(key=lambda k: (not columns["impossible"][k], columns["impossible"][k] or star[k], k))
    assert ids_at(frontier, choice.chosen) == [k + 1 for k in eligible[:3]]
    assert list(zip(choice.refine, choice.deepen, strict=True)) == [fate[k] for k in eligible[:3]]


def test_impossible_tiles():
    """alpha0 < (min_rank + 1) / (n_sims + 1), and rank 0 gives -inf everywhere."""
    tiles = ada.create_grid([[-0.5], [-0.5], [-0.5]], [[1e-6], [0.3], [2.0]]).tiles.with_n_sims(2048)
    algorithm = TileCalibration(flat.settings("calibrate", "classic", n_bootstrap=4, min_rank=40))
    answer = algorithm.simulate(Simulator(ada.ZTest(), 0, 1), StepWork.fresh(tiles))
    np.testing.assert_array_equal(answer["impossible"], answer["alpha0"] < 41 / 2049)
    assert answer["impossible"].tolist() == [0, 1, 1]
    assert answer["rank"][2] == 0
    for name in ("lambda_star", "tilewise_mean", "tilewise_min", "bootstrap0"):
        assert answer[name][2] == -np.inf
        assert np.isfinite(answer[name][0])


def test_thresholds_are_order_statistics_of_each_tile():
    """Tiles of different sizes have different ranks."""
    tiles = ada.create_grid([[-0.5], [-0.4], [-0.3]], [[1e-6], [0.1], [0.2]]).tiles.with_n_sims(2048)
    simulator = Simulator(ada.ZTest(), 0, 1)
    answer = TileCalibration(flat.settings("calibrate", "classic", n_bootstrap=4)).simulate(
        simulator, StepWork.fresh(tiles)
    )
    assert len(set(answer["rank"].tolist())) == 3
    every = simulator.smallest(tiles.theta, tiles.null_truth, 2048, 2048)
    np.testing.assert_array_equal(answer["lambda_star"], every[np.arange(3), answer["rank"] - 1])
