"""Jobs with curved null boundaries: the same answer on every way, and classes of users' own are never imported."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import textwrap

import duckdb
import numpy as np
import pytest

import adagrid as ada
from adagrid.errors import ResumeError
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.curved import Steep, Wave
from tests.support.jobcases import assert_same, run_case, tables
from tests.support.killed_store import Killed, KilledStore

CLASSIC = ("validate_fisher", "calibrate_fisher")
LOOSE = {
    "validate_fisher": {"n_steps": 5},
    "calibrate_fisher": {"n_steps": 5},
    "staged_validate_fisher": {"max_target": 0.01, "global_target": 0.02},
}
CURVED = tuple(LOOSE)


def grid_with(*null_hypos, depth=1):
    return ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=list(null_hypos), depth=depth)


GRID = grid_with(ada.RiskDifference(margin=0.03), ada.Ellipsoid((0.0, 0.0), (0.9, 0.9)), "x1 <= x0 - 1.5")
"""Two curved boundaries and a plane."""


@pytest.fixture(scope="module")
def expected():
    return {case: tables(run_case(case, grid=GRID, **LOOSE[case])) for case in CURVED}


@pytest.mark.parametrize("case", CURVED)
def test_every_store(case, expected, tmp_path):
    for db in (PandasStore(), tmp_path / "job.duckdb"):
        with run_case(case, grid=GRID, db=db, **LOOSE[case]) as run:
            assert_same(run, expected[case])
            run.verify()


@pytest.mark.parametrize("case", CLASSIC)
def test_refined_tiles_are_decided_anew(case, expected):
    """Later steps prune, and find on which side children lie; what is pruned has no result."""
    done, tiles, results = (expected[case][name] for name in ("done", "tiles", "results"))
    truth = tiles.filter(like="null_truth")
    later = tiles["step_id"] > 0
    pruned = tiles["id"][later & ~truth.any(axis=1).to_numpy(bool)]
    assert len(pruned)
    assert not results["id"].isin(pruned).any()
    own = done[done["id"].isin(pruned)]
    assert len(own) == len(pruned)
    assert not own[["active", "refine", "deepen", "split"]].any(axis=None)
    parents = tiles.set_index("id").loc[tiles["parent_id"][later]]
    before = parents.filter(like="null_truth").to_numpy()
    now = truth[later].to_numpy()
    assert (now <= before).all()
    assert (now < before)[now.any(axis=1)].any()


@pytest.mark.parametrize("half", [False, True])
def test_killed_anywhere_it_is_finished_to_the_same_answer(half, expected):
    case, after, finished = "validate_fisher", 0, False
    while not finished:
        after += 5
        store = KilledStore(after, half)
        try:
            run_case(case, grid=GRID, db=store, packet_size=40, **LOOSE[case])
            finished = True
        except Killed:
            store.verify()
            begun = len(store.table("config")) > 0
            run = run_case(case, db=store, grid=None if begun else GRID, packet_size=40, **LOOSE[case])
            assert_same(run, expected[case])
            run.verify()
    assert after > 9


def test_zones_and_certificates(tmp_path):
    backend = ada.LocalBackend(n_zones=3, coordinate_every=2)
    with run_case("validate_fisher", grid=GRID, backend=backend, db=tmp_path / "job.duckdb", n_steps=5) as run:
        run.certify()
        run.verify()
        assert run.guarantee == "certified"


def test_a_null_that_turns_out_to_be_nowhere():
    """A careless steepness leaves it possible at first; a bound on nothing is refused, not made up."""
    nowhere = Steep((1.0, 0.0), -1.5, lipschitz=2.0)
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=[nowhere], depth=0)
    run = run_case("validate_fisher", grid=grid, step_size=1024, max_target=1e-4, global_target=1e-4)
    run.verify()
    assert not len(run.results())
    for decide in (lambda: run.bound, run.worst_tile, run.summary):
        with pytest.raises(ada.errors.StoreError, match="no null hypothesis is true anywhere"):
            decide()


def test_grids_that_differ_in_a_hypothesis_only_are_told_apart():
    """Even if it is true on the same tiles, in the same words."""
    one, other = (ada.Ellipsoid((0.0, 0.0), (0.9, 0.9 + gap)) for gap in (0.0, 1e-13))
    assert one.describe() == other.describe()
    store = PandasStore()
    run_case("validate_fisher", grid=grid_with(one), db=store, n_steps=1)
    with pytest.raises(ResumeError, match="grid is a different one"):
        run_case("validate_fisher", grid=grid_with(other), db=store, n_steps=1)


MODULE = """
    from dataclasses import dataclass
    import numpy as np
    import adagrid as ada

    @dataclass(frozen=True)
    class Bowl(ada.NullHypothesis):
        depth: float
        lipschitz: float = 3.0

        def dist(self, theta):
            return self.depth * theta[..., 0] ** 2 + 0.1 - theta[..., 1]

        def describe(self):
            return f"theta1 <= {self.depth:g} theta0^2 + 0.1"
    """
JOB = """
    import sys
    import adagrid as ada
    from bowl_of_a_user import Bowl

    grid = ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=[Bowl(0.7)], depth=2)
    run = ada.ada_validate(
        ada.FisherExact(10), threshold=0.05, grid=grid, db=sys.argv[1], progress=False,
        method=ada.Classic(init_sims=512, max_sims=2048, step_size=6), options=ada.RunOptions(n_steps=2),
    )
    run.close()
    """


def test_classes_of_a_users_own(tmp_path, monkeypatch):
    """A job is read without its hypotheses' class, and continued only where somebody has imported it."""
    module = tmp_path / "bowl_of_a_user.py"
    module.write_text(textwrap.dedent(MODULE))
    (tmp_path / "job.py").write_text(textwrap.dedent(JOB))
    path = tmp_path / "job.duckdb"
    subprocess.run([sys.executable, "job.py", str(path)], cwd=tmp_path, check=True, timeout=300)
    monkeypatch.syspath_prepend(tmp_path)  # it could be imported

    def go_on(**more):
        return flat.ada_validate(
            ada.FisherExact(10), threshold=0.05, db=path, progress=False, overrides={"n_steps": 4}, **more
        )

    with ada.open_job(path) as run:
        run.verify()
        assert run.table("null_hypos")["description"].tolist() == ["theta1 <= 0.7 theta0^2 + 0.1"]
        definition = json.loads(run.table("null_hypos")["definition"][0])
        assert "class Bowl" in definition.pop("source")
        assert definition == {"type": "bowl_of_a_user:Bowl", "depth": 0.7, "lipschitz": 3.0}
        assert "theta1 <= 0.7 theta0^2 + 0.1" in run.summary()
    with pytest.raises(ResumeError, match="import bowl_of_a_user before, or give the job's grid= again"):
        go_on()
    assert "bowl_of_a_user" not in sys.modules
    importlib.import_module("bowl_of_a_user")
    try:
        with go_on() as run:
            assert run.table("steps")["step_id"].max() == 3
            run.verify()
        module.write_text(textwrap.dedent(MODULE.replace("0.1 - theta", "0.1 - 1e-9 - theta")))
        importlib.reload(sys.modules["bowl_of_a_user"])
        grid = ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=[sys.modules["bowl_of_a_user"].Bowl(0.7)], depth=2)
        for more in ({}, {"grid": grid, "init_sims": 512, "max_sims": 2048, "step_size": 6, "n_steps": 2}):
            with pytest.raises(ResumeError, match="The source of its null hypothesis .* has changed since"):
                go_on(**more)
        with go_on(accept_changed_model=True) as run:
            assert run.changed_model
    finally:
        del sys.modules["bowl_of_a_user"]


def test_a_class_that_is_given_with_the_grid(monkeypatch):
    """The grid brings the class: no other is looked for."""
    store = PandasStore()
    grid = grid_with(Wave(0.4, 2.0))
    whole = tables(run_case("validate_fisher", grid=grid, n_steps=4))
    run_case("validate_fisher", grid=grid, db=store, n_steps=2)
    monkeypatch.setattr("adagrid.launch.resume.read_hypotheses", None)
    run = run_case("validate_fisher", grid=grid, db=store, n_steps=2, overrides={"n_steps": 4})
    assert_same(run, whole)


def test_hypotheses_that_no_longer_make_sense_stop_nothing_but_continuing(tmp_path):
    """A definition that was tampered with is an error with its reason, and the results can still be read."""
    path = tmp_path / "job.duckdb"
    run_case("validate_fisher", grid=grid_with(ada.RiskDifference(margin=0.03)), db=path, n_steps=1).close()
    wrong = json.dumps({"type": "RiskDifference", "treatment": 1, "control": 1, "margin": 0.03})
    with duckdb.connect(str(path)) as connection:
        connection.execute("update null_hypos set definition = ?", [wrong])
    with pytest.raises(ResumeError, match="two parameters"):
        run_case("validate_fisher", grid=None, db=path, n_steps=1, overrides={"n_steps": 3})
    with ada.open_job(path) as run:
        assert np.isfinite(run.bound)
