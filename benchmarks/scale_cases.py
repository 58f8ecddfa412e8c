"""Large jobs for `scale.py`: rows written in bulk, results that are made up, and the naive form of a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, final

import numpy as np
import pandas as pd
from typing_extensions import override

import adagrid as ada
from adagrid.engine import Simulator
from adagrid.estimation import calibration_rank
from adagrid.grid import Tiles
from adagrid.grid.grid import refine
from adagrid.methods._common import Convergence
from adagrid.methods.classic import Classic
from adagrid.methods.tiles.algorithm import Choice, FractionBelow, StepWork, TileAlgorithm
from adagrid.methods.tiles.calibration import TileCalibration
from adagrid.methods.tiles.frontier import Frontier, Layout
from adagrid.methods.tiles.policies import CalibrationState, ClassicCalibration
from adagrid.runtime.job import Job
from adagrid.runtime.journal import Journal
from adagrid.runtime.progress import ProgressDisplay
from adagrid.runtime.work import Work
from adagrid.runtime.workers import WorkerInfo, WorkerPool
from adagrid.settings.goals import Calibration
from adagrid.settings.settings import Settings
from adagrid.stores import Schema, Store
from adagrid.stores.layouts.tiles import TileLayout

N_SIMS = 8192
PARENTS = 10_000
# All chosen tiles are refined: four children each, the most rows that a step of a job in two dimensions inserts.
METHOD = Classic(init_sims=N_SIMS, max_sims=N_SIMS, step_size=PARENTS)
SETTINGS = Settings(goal=Calibration(), method=METHOD, packet_size=10**6)
_ALGORITHM = TileCalibration(SETTINGS)
SCHEMA = Schema(2, 1, TileLayout(), {"results": _ALGORITHM.result_columns(np.dtype(np.float32))})
# Of the tiles of the initial grid, so many have been refined.
_REFINED = 0.1
_ROWS_AT_ONCE = 2**19


def made_up(tiles: Tiles, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return result columns: thresholds are lowest in the middle of the region, with noise, as resamples have."""
    n = len(tiles)
    star = np.float32(-2 + 0.3 * (tiles.theta**2).sum(axis=1) + rng.normal(0, 0.02, n)).astype(float)
    alpha0 = 0.025 - np.minimum(0.015, 0.002 + 3 * tiles.radius[:, 0]) * rng.uniform(0.9, 1, n)
    bias = (star[:, None] + rng.normal(0, 0.02, (n, METHOD.n_bootstrap)).astype(np.float32)).astype(np.float32)
    return {
        "alpha0": alpha0,
        "rank": calibration_rank(tiles.n_sims, alpha0),
        "lambda_star": star,
        "grid_cost": SETTINGS.calibration.alpha - alpha0,
        "impossible": np.zeros(n, np.uint8),
        "tilewise_mean": star + rng.normal(0, 0.003, n),
        "tilewise_min": star - 0.05 + rng.normal(0, 0.01, n),
        **{f"bootstrap{b}": bias[:, b] for b in range(METHOD.n_bootstrap)},
    }


@final
class MadeUp(TileAlgorithm):
    """The calibration as it is, but for simulating."""

    settings = SETTINGS
    first_stream = TileCalibration.first_stream

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    @override
    def result_columns(self, dtype: np.dtype[Any]) -> Mapping[str, type]:
        return _ALGORITHM.result_columns(dtype)

    @property
    @override
    def layout(self) -> Layout:
        return _ALGORITHM.layout

    @override
    def simulate(self, simulator: Simulator, packet: StepWork) -> Mapping[str, np.ndarray]:
        return made_up(packet.tiles, self._rng)

    @override
    def convergence(self, frontier: Frontier, fraction_below: FractionBelow) -> Convergence:
        return _ALGORITHM.convergence(frontier, fraction_below)

    @override
    def choose(self, frontier: Frontier) -> Choice:
        return _ALGORITHM.choose(frontier)


class _Statistics:
    """In place of a simulator, for the check of the targets."""

    def __init__(self) -> None:
        self._sorted = np.sort(np.random.default_rng(0).normal(size=N_SIMS)).astype(np.float32)

    def smallest(self, theta: Any, null_truth: Any, n_sims: int, at_most: int, begin: int) -> np.ndarray:  # noqa: ARG002
        return self._sorted[None, :at_most]


def job(store: Store, seed: int = 1) -> Job[TileAlgorithm]:
    """Return a job on a store with made-up results; the targets are out of its reach."""
    record: Any = SimpleNamespace(settings=SETTINGS, design=0, n_zones=1, coordinate_every=10**6)
    simulator: Any = _Statistics()
    return Job(
        store=store,
        work=Work(record, MadeUp(seed), simulator, None, (), WorkerPool(0, 2, WorkerInfo(1, {}))),
        backend=ada.LocalBackend(),
        journal=Journal(store, 1),
        display=ProgressDisplay(show=False, direction=1.0),
    )


def fill(store: Store, n_tiles: int) -> None:
    """Write a job: an initial grid, and the children of a tenth of its tiles, step by step; in all so many tiles."""
    side = int((n_tiles / (1 + 4 * _REFINED)) ** 0.5)
    rng = np.random.default_rng(0)
    roots = ada.cartesian_grid([-1, -1], [1, 1], n=side).tiles.with_n_sims(N_SIMS)
    parents = roots.take(np.sort(rng.choice(len(roots), int(_REFINED * len(roots)), replace=False)))
    store.create(SCHEMA)
    _write(store, roots, np.zeros(len(roots), np.int64), rng)
    step = 1 + np.arange(len(parents)) // PARENTS
    children, parent = refine(parents, ())
    _write(store, children, step[parent], rng)
    n_steps = 1 + int(step.max())
    place = {"coordination_id": 0, "zone_id": 0, "worker_id": 1, "time": 0.0}
    done = pd.DataFrame({"id": parents.id, "step_id": step, "active": 0, "refine": 4, "deepen": 0, "split": 0})
    counts = np.bincount(step, minlength=n_steps)
    rows = pd.DataFrame({"step_id": np.arange(n_steps), "n_tiles": 4 * counts, "n_done": counts})
    rows.loc[0, "n_tiles"] = len(roots)
    coordination = pd.DataFrame([place | {"kind": "search", "n_zones": 1}])
    store.append({"done": done.assign(**place), "steps": rows.assign(**place), "coordinations": coordination})


def _write(store: Store, tiles: Tiles, step: np.ndarray, rng: np.random.Generator) -> None:
    position = np.arange(len(tiles)) - np.searchsorted(step, step)
    for begin in range(0, len(tiles), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        frame = tiles.take(rows).to_frame().assign(position=position[rows], step_id=step[rows])
        frame = frame.assign(coordination_id=0, zone_id=0, worker_id=1, time=0.0)
        results = pd.concat([frame, pd.DataFrame(made_up(tiles.take(rows), rng))], axis=1)
        store.append({"tiles": frame, "results": results})


@final
class Naive:
    """A step's questions asked of everything: all columns of all active tiles, and whole tables.

    Args:
        store: the job's.
    """

    def __init__(self, store: Store) -> None:
        self._store: Any = store
        self._columns: dict[str, np.ndarray] = {}

    def read(self) -> None:
        """Read all active tiles as one data frame."""
        names = ["id", *(name for name in _ALGORITHM.layout.columns), "n_sims"]
        frame = self._store._query(
            f"select {', '.join(dict.fromkeys(names))} from results where id not in "
            "(select id from done where active = 0)"
        ).drop_duplicates("id")
        finished = self._store._query("select id from done where active = 1")
        frame["eligible"] = ~np.isin(frame["id"].to_numpy(), finished["id"].to_numpy())
        self._columns = {name: frame[name].to_numpy() for name in frame}

    def converged(self) -> Sequence[float]:
        """Return the worst tile and all minima."""
        columns = self._columns
        worst = first(columns["lambda_star"], columns["id"], 1)[0]
        bootstrap = [columns[name].min() for name in columns if name.startswith("bootstrap")]
        return [float(worst), float(columns["impossible"].sum()), *map(float, bootstrap)]

    def choose(self) -> np.ndarray:
        """Return the positions of the tiles to work on."""
        columns = self._columns
        some = np.flatnonzero(columns["eligible"])
        state = CalibrationState(
            grid_cost=columns["grid_cost"][some],
            impossible=columns["impossible"][some] > 0,
            tilewise_mean=columns["tilewise_mean"][some],
            n_sims=columns["n_sims"][some],
            least_mean=float(columns["tilewise_mean"].min()),
        )
        some = some[np.logical_or(*ClassicCalibration().decide(state, SETTINGS.calibration, METHOD))]
        key = np.where(columns["impossible"][some] > 0, -np.inf, columns["tilewise_min"][some])
        return some[first(key, columns["id"][some], PARENTS)]

    def parents(self, chosen: np.ndarray) -> pd.DataFrame:
        """Return the parents' rows."""
        return self._store.rows("results", self._columns["id"][chosen])

    def known(self, children: np.ndarray, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the ids that are there already: of tiles twice, before they are inserted and for collisions."""
        for name, ids in (("tiles", children), ("tiles", children), ("results", children)):
            yield self._store.known(name, ids)
        yield self._store.known("done", self._columns["id"][chosen])

    def advance(self, chosen: np.ndarray, children: int) -> Mapping[str, np.ndarray]:
        """Return the columns with children in place of the chosen tiles."""
        keep = np.ones(len(self._columns["id"]), bool)
        keep[chosen] = False
        return {
            name: np.concatenate([column[keep], np.resize(column[chosen], children)])
            for name, column in self._columns.items()
        }


def first(key: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the smallest keys in order; ties go to the lower id."""
    limit = np.partition(key, count - 1)[count - 1]
    some = np.flatnonzero(key <= limit)
    return some[np.lexsort((ids[some], key[some]))[:count]]
