"""Bad input: an error at once, with the rule, the value and the remedy; nothing is written, nothing is lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import adagrid as ada
from adagrid.errors import (
    CorruptStoreError,
    DomainError,
    InvalidInputError,
    ModelError,
    NotAJobError,
    ResumeError,
    StoreBusyError,
    StoreError,
)
from adagrid.stores.duckdb import DuckDBStore
from adagrid.testing.pandas_store import PandasStore
from tests.support import flat
from tests.support.jobcases import IN_JAX, N_STEPS, assert_same, expected, run_case

GRID = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0"])


def validate(**changes):
    return flat.ada_validate(ada.ZTest(), **({"threshold": 1.96, "grid": GRID} | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": float("nan")}, ["threshold", "nan", "finite"]),
        ({"threshold": float("inf")}, ["threshold", "inf"]),
        ({"threshold": "high"}, ["threshold", "'high'"]),
        ({"delta": 0}, ["delta", "got 0", "between 0 and 0.5"]),
        ({"delta": 1.5}, ["delta", "1.5"]),
        ({"delta": 0.99}, ["delta", "0.99", "one minus the confidence"]),
        ({"threshold": "1.96"}, ["threshold", "'1.96'"]),
        ({"threshold": True}, ["threshold", "True"]),
        ({"backend": "local"}, ["backend", "LocalBackend()", "local"]),
        ({"callback": 3}, ["callback", "3"]),
        ({"grid": [[-1], [1]]}, ["grid", "cartesian_grid", "list"]),
        ({"init_sims": 0}, ["init_sims", "got 0"]),
        ({"init_sims": 100, "max_sims": 300}, ["max_sims", "power of two", "init_sims=100", "max_sims=300"]),
        ({"init_sims": 100, "max_sims": 50}, ["max_sims", "power of two"]),
        ({"max_target": -1}, ["max_target", "-1"]),
        ({"step_size": 2.5}, ["step_size", "2.5"]),
        ({"timeout": 0}, ["timeout", "got 0"]),
        ({"model_seed": -1}, ["model_seed", "-1"]),
        ({"packet_size": 0}, ["packet_size", "got 0"]),
        ({"overrides": {"n_steps": 3}}, ["overrides", "new job"]),
        ({"overrides": ["n_steps"]}, ["overrides must be settings by name", "got ['n_steps']"]),
        ({"job_id": 3}, ["job_id must be a text", "got 3"]),
        ({"grid": None}, ["grid=", "holds no job"]),
        ({"threshold": None}, ["threshold="]),
        ({"model_kwargs": {"n": 3}}, ["model_kwargs", "the design itself"]),
        ({"db": 3}, ["db must be", "int"]),
        ({"db": "no/such/folder/job.duckdb"}, ["no/such/folder", "existing folder"]),
        ({"db": "."}, [f"'{Path.cwd()}' is a folder", "job.duckdb"]),
        ({"delta": "0.01"}, ["delta must be", "'0.01'", "str is no number"]),
        ({"model_seed": True}, ["model_seed must be", "bool is no number"]),
        ({"grid": ada.cartesian_grid([-1, -1], [0, 0])}, ["parameters", "got 2"]),
    ],
)
def test_settings(changes, words):
    with pytest.raises(InvalidInputError) as error:
        validate(**changes)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, float("nan")])
def test_alpha(alpha):
    with pytest.raises(InvalidInputError, match="alpha must be a level between 0 and 1; got"):
        flat.ada_calibrate(ada.ZTest(), alpha=alpha, grid=GRID)


def test_all_problems_at_once(tmp_path):
    path = tmp_path / "job.duckdb"
    with pytest.raises(InvalidInputError) as error:
        flat.ada_validate(ada.PooledZ(12), threshold=float("nan"), grid=GRID, delta=2, n_steps=0, db=path)
    assert len(error.value.problems) == 4
    for word in ("threshold", "delta", "n_steps", "parameters"):
        assert word in str(error.value)
    assert not path.exists()


def test_arguments_that_have_moved_are_refused_with_their_place():
    for name, place in (
        ("init_sims", "method=ada.Classic(init_sims=3)"),
        ("n_steps", "options=ada.RunOptions(n_steps=3)"),
    ):
        with pytest.raises(InvalidInputError, match=re.escape(f"{name} is given as {place}.")):
            ada.ada_validate(ada.ZTest(), **{name: 3})
    with pytest.raises(InvalidInputError, match="no argument 'init_sims'; got init_sims=3. Did you mean 'n_sims'"):
        ada.validate(ada.ZTest(), grid=GRID, init_sims=3)


def test_not_a_model():
    with pytest.raises(InvalidInputError, match=r"adagrid\.Model"):
        flat.ada_validate(lambda x: x, threshold=1, grid=GRID)
    with pytest.raises(TypeError, match="missing"):
        flat.ada_validate(ada.PooledZ, threshold=1, grid=GRID)


class Bounded(ada.Family):
    """An exponential distribution's rate, negated: natural parameters below zero only."""

    @property
    def dim(self):
        return 1

    @property
    def coordinates(self):
        return "negative rate"

    @property
    def domain(self):
        return np.array([-np.inf]), np.array([0.0])

    def log_partition(self, theta):
        return -np.log(-theta[..., 0])


class Exponential(ada.Model):
    family = Bounded()

    def draw(self, key):
        return jax.random.exponential(key)

    def statistic(self, draw, theta, null_truth):
        return -draw / theta[0]


@pytest.mark.parametrize("upper", [0.0, 0.5])
def test_outside_the_domain(upper):
    grid = ada.cartesian_grid([-1], [upper], n=4)
    with pytest.raises(DomainError, match=r"Bounded\(\) \(negative rate.*around theta="):
        flat.ada_validate(Exponential(), threshold=0.1, grid=grid)


class Faulty(ada.Model):
    """A design that fails in a chosen way."""

    family = ada.Normal()

    def __init__(self, how: str) -> None:
        self.how = how

    def draw(self, key):
        if self.how == "same draws":
            return np.random.default_rng(0).normal(size=())
        return {} if self.how == "no draw" else jax.random.normal(key)

    def statistic(self, draw, theta, null_truth):
        match self.how:
            case "vector":
                return jnp.stack([draw, draw])
            case "decision":
                return draw > 1.96
            case "if":
                return draw if draw > 0 else 0.0
            case "beyond theta":
                return draw + theta[1]
            case "beyond nulls":
                return jnp.where(null_truth[1], draw, jnp.inf)
            case "complex":
                return draw + 1j
            case "raises":
                raise RuntimeError("broken design")
            case "nan":
                return jnp.where(draw > 3.2, jnp.nan, draw)
            case "late nan":
                return jnp.where((draw > 3.2) & (theta[0] < -0.9), jnp.nan, draw)
        return draw


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("vector", ["Faulty.statistic", "scalar", r"\(2,\)"]),
        ("decision", ["Faulty.statistic", "not the decision", "jnp.where"]),
        ("if", ["Faulty.statistic", "TracerBool"]),
        ("same draws", ["Faulty.draw", "same for every key", "numpy.random"]),
        ("beyond theta", ["Faulty.statistic", "beyond", "theta has 1"]),
        ("beyond nulls", ["Faulty.statistic", "beyond", "null_truth 1"]),
        ("complex", ["Faulty.statistic", "real number", "complex64"]),
        ("raises", ["Faulty.statistic", "RuntimeError: broken design"]),
        ("no draw", ["Faulty.draw", "arrays"]),
    ],
)
def test_faulty_design_is_refused_before_anything_is_written(how, words, tmp_path):
    path = tmp_path / "job.duckdb"
    with pytest.raises(ModelError, match=".*".join(words)) as error:
        flat.ada_validate(Faulty(how), threshold=1.0, grid=GRID, db=path)
    assert ("In a design use jnp.where" in str(error.value)) == (how == "if")
    assert not path.exists()


@pytest.mark.parametrize("kind", ["validate", "calibrate"])
def test_nan_names_tile_and_simulation_and_loses_nothing(kind, tmp_path):
    path = tmp_path / "job.duckdb"
    grid = ada.create_grid([[0.0], [-0.5], [-0.95]], [0.01])
    job = flat.ada_validate if kind == "validate" else flat.ada_calibrate
    threshold = {"threshold": 1.0} if kind == "validate" else {"min_rank": 2}
    with pytest.raises(ModelError) as error:
        job(Faulty("late nan"), grid=grid, db=path, packet_size=1, init_sims=4096, max_sims=4096, **threshold)
    assert str(grid.tiles.id[2]) in str(error.value)
    assert "theta=[-0.95" in str(error.value)
    simulation = int(str(error.value).partition("simulation ")[2].split()[0])
    key = jax.random.key(np.uint32(0), impl="threefry2x32")
    draws = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i)))(jnp.arange(4096, dtype=jnp.uint32))
    assert simulation == int(np.argmax(np.asarray(draws) > 3.2))
    with ada.open_job(path) as run:
        assert len(run.results()) == 2
        assert (run.bound if kind == "validate" else -run.threshold) in (1.0, np.inf)
        assert "late nan" in str(run.table("config")["record"][0]["model"])
        assert run.table("logs")["message"].str.contains("stopped by").any()
        run.verify()


class Misstated(ada.Model):
    """A design whose declarations are wrong in every way."""

    family = ada.Normal
    reject_when = "Large"
    precision = "float64"

    def draw(self, key):
        return jax.random.normal(key)

    def statistic(self, draw, theta, null_truth):
        return draw


def test_misstated_designs(tmp_path):
    with pytest.raises(InvalidInputError) as error:
        flat.ada_validate(Misstated(), threshold=1.0, grid=GRID, db=tmp_path / "job.duckdb")
    assert len(error.value.problems) == 3
    with pytest.raises(TypeError, match=r"Misstated\(\) takes no arguments"):
        Misstated(3)
    assert not (tmp_path / "job.duckdb").exists()


def test_a_refused_call_leaves_no_file(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no job"):
        flat.ada_validate(ada.ZTest(), db=tmp_path / "typo.duckdb")
    assert not list(tmp_path.iterdir())


def test_the_same_file_twice_in_one_process(tmp_path):
    path = tmp_path / "job.duckdb"
    run = validate(db=path, n_steps=1)
    with pytest.raises(StoreBusyError, match=r"run\.close\(\)"):
        ada.open_job(path)
    run.close()
    with ada.open_job(path) as again:
        assert again.bound < 1


def test_an_unfinished_job_decides_nothing(tmp_path):
    with pytest.raises(ModelError):
        flat.ada_validate(Faulty("nan"), threshold=1.0, grid=GRID, db=tmp_path / "job.duckdb")
    with ada.open_job(tmp_path / "job.duckdb") as run:
        assert run.bound == 1.0
        assert run.status is ada.Status.NEW_STEP
        assert "NEW_STEP" in run.summary()
        with pytest.raises(StoreError, match="before the region is simulated"):
            run.worst_tile()


def test_a_grid_without_null_tiles():
    with pytest.raises(InvalidInputError, match="null hypothesis is true"):
        ada.cartesian_grid([-1], [0], null_hypos=["x >= 1"])


class TestDatabases:
    def test_no_database(self, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_text("I am no database.\n" * 1000)
        with pytest.raises(NotAJobError, match=r"notes\.txt.*no DuckDB database"):
            validate(db=path)
        assert path.read_text().startswith("I am no database.")

    def test_a_folder(self, tmp_path):
        with pytest.raises(InvalidInputError, match="must be a file"):
            validate(db=tmp_path)

    def test_another_database(self, tmp_path):
        path = tmp_path / "other.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("create table patients (id integer)")
        with pytest.raises(NotAJobError, match="holds no adagrid job.*patients"):
            validate(db=path)

    def test_another_version(self, tmp_path):
        """Whether it is an older or a newer one."""
        path = tmp_path / "old.duckdb"
        validate(db=path, n_steps=1).close()
        for version in (3, 99):
            with duckdb.connect(str(path)) as connection:
                connection.execute(f"update schema set version = {version}")
            for action in (lambda: validate(db=path), lambda: ada.open_job(path)):
                with pytest.raises(NotAJobError, match=rf"version {version} .*version 6"):
                    action()

    def test_no_job_to_open(self, tmp_path):
        with pytest.raises(NotAJobError, match="There is no database"):
            ada.open_job(tmp_path / "nothing.duckdb")
        assert not (tmp_path / "nothing.duckdb").exists()
        DuckDBStore(tmp_path / "empty.duckdb").close()
        with pytest.raises(NotAJobError, match="holds no job"):
            ada.open_job(tmp_path / "empty.duckdb")

    def test_altered_figures(self, tmp_path):
        path = tmp_path / "job.duckdb"
        for kind, change in (
            ("validate", "update results set tie_point_bound = 0.001, tie_bound = 0.001 where tie_bound > 0.01"),
            ("calibrate", "update results set rank = rank + 5"),
        ):
            path = tmp_path / f"{kind}.duckdb"
            job = ada.validate if kind == "validate" else ada.calibrate
            more = {"threshold": 1.96} if kind == "validate" else {}
            run = job(ada.ZTest(), grid=GRID, db=path, **more)
            run.verify()
            run.close()
            with duckdb.connect(str(path)) as connection:
                connection.execute(change)
            with ada.open_job(path) as run, pytest.raises(CorruptStoreError, match="do not follow"):
                run.verify()

    def test_two_processes(self, tmp_path):
        import subprocess
        import sys

        path = tmp_path / "job.duckdb"
        run = validate(db=path, n_steps=1)
        code = f"import adagrid as ada; ada.open_job({str(path)!r})"
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert answer.returncode == 1
        assert "StoreBusyError" in answer.stderr
        assert "open in another process" in answer.stderr
        run.close()

    def test_a_closed_run(self, tmp_path):
        run = validate(db=tmp_path / "job.duckdb", n_steps=1)
        run.close()
        run.close()
        with pytest.raises(StoreError):
            run.results()


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The file of a job of three steps."""
    path = tmp_path_factory.mktemp("begun") / "job.duckdb"
    run_case("validate_z", ada.ZTest(), db=path, n_steps=3).close()
    return path


class TestContinuing:
    @pytest.fixture
    def path(self, begun, tmp_path):
        return shutil.copy(begun, tmp_path)

    def test_without_a_grid_settings_come_from_the_database(self, path):
        run = flat.ada_validate(ada.ZTest(), db=path, overrides={"n_steps": N_STEPS})
        assert run.settings.method.init_sims == 512
        assert run.settings.n_steps == N_STEPS
        assert_same(run, expected("validate_z", model=IN_JAX["z"]))

    def test_the_same_call_again(self, path):
        run = run_case("validate_z", ada.ZTest(), db=path, n_steps=3)
        assert run.status is ada.Status.REACHED_N_STEPS
        assert_same(run, expected("validate_z", n_steps=3, model=IN_JAX["z"]))

    @pytest.mark.parametrize(
        ("overrides", "words"),
        [
            ({"alpha": 0.05}, ["no setting"]),
            ({"threshold": 2.5}, ["threshold", "depend on it"]),
            ({"model_seed": 7}, ["model_seed", "depend on it"]),
            ({"init_sims": 1024, "max_sims": 1024}, ["init_sims", "max_sims"]),
            ({"step_size": 7}, ["step_size"]),
            ({"delta": 0.4}, ["delta"]),
            ({"n_steps": 0}, ["n_steps", "got 0"]),
            ({"n_steps": 5, "stepsize": 3}, ["stepsize", "no setting"]),
        ],
    )
    def test_overrides_that_would_change_the_answer(self, path, overrides, words):
        with pytest.raises(ResumeError) as error:
            flat.ada_validate(ada.ZTest(), db=path, overrides=overrides)
        assert all(word in str(error.value) for word in words), str(error.value)
        with ada.open_job(path) as run:
            assert len(run.table("config")) == 1

    def test_other_settings(self, path):
        with pytest.raises(ResumeError, match="threshold=1.96, not 2.5"):
            flat.ada_validate(ada.ZTest(), db=path, threshold=2.5)
        with pytest.raises(ResumeError, match="overrides={'n_steps': 9}"):
            flat.ada_validate(ada.ZTest(), db=path, n_steps=9)

    def test_another_grid(self, path):
        with pytest.raises(ResumeError, match="grid is a different one"):
            flat.ada_validate(ada.ZTest(), db=path, grid=GRID)

    def test_another_kind(self, path):
        with pytest.raises(ResumeError, match="'validate', not 'calibrate'"):
            flat.ada_calibrate(ada.ZTest(), db=path)

    def test_another_model(self, path):
        with pytest.raises(ResumeError, match="arguments"):
            flat.ada_validate(ada.ZTest(n=2), db=path)
        with pytest.raises(ResumeError, match="source code"):
            flat.ada_validate(Faulty("not"), db=path)
        with pytest.raises(ResumeError, match="family"):  # never acceptable: it would misread the results
            flat.ada_validate(ada.ZTest(n=2), db=path, accept_changed_model=True)
        with pytest.raises(ResumeError, match="direction"):
            flat.ada_validate(Faulty("not"), db=path, accept_changed_model=True)

    def test_an_accepted_model(self, tmp_path):
        path = tmp_path / "job.duckdb"
        flat.ada_validate(Faulty("first"), threshold=-2.0, grid=GRID, db=path, n_steps=2).close()
        with pytest.raises(ResumeError, match="arguments"):
            flat.ada_validate(Faulty("second"), db=path)
        run = flat.ada_validate(Faulty("second"), db=path, accept_changed_model=True, overrides={"n_steps": 3})
        assert run.table("config")["record"][1]["model"]["arguments"] == {"how": "second"}

    def test_defaults_are_settings_too(self, tmp_path):
        """A call with a grid states a whole job: what equals a default is no less asked for."""
        path = tmp_path / "job.duckdb"
        grid = ada.cartesian_grid([-1], [0], n=2)
        flat.ada_calibrate(ada.ZTest(), alpha=0.2, grid=grid, db=path, n_steps=1).close()
        with pytest.raises(ResumeError, match=r"alpha=0\.2, not 0\.025"):
            flat.ada_calibrate(ada.ZTest(), grid=grid, db=path, n_steps=1)
        assert flat.ada_calibrate(ada.ZTest(), db=path).settings.calibration.alpha == 0.2
        with pytest.raises(ResumeError, match="job_id"):
            flat.ada_calibrate(ada.ZTest(), db=path, job_id="other")

    def test_another_backend(self, path):
        with pytest.raises(ResumeError, match="n_zones=1, but the backend has 2"):
            flat.ada_validate(ada.ZTest(), db=path, backend=ada.LocalBackend(n_zones=2))

    def test_interrupted_start_of_another_job(self, tmp_path):
        store = DuckDBStore(tmp_path / "job.duckdb")
        original = store._append

        def fails_at_config(frames):
            if "config" in frames:
                raise KeyboardInterrupt
            original(frames)

        store._append = fails_at_config
        with pytest.raises(KeyboardInterrupt):
            validate(db=store)
        store._append = original
        other = ada.cartesian_grid([-1], [0], n=5, null_hypos=["x <= 0"])
        with pytest.raises(InvalidInputError, match="interrupted start of another job"):
            validate(db=store, grid=other)
        assert validate(db=store, n_steps=1).results()["id"].tolist() == GRID.tiles.id.tolist()

    def test_interrupted_start_with_other_hypotheses(self):
        """Its tiles are the same; an engine without transactions may have written the hypotheses before the job."""
        store = PandasStore()
        original = store._append

        def loses_config(frames):
            original({name: rows for name, rows in frames.items() if name != "config"})
            if "config" in frames:
                raise KeyboardInterrupt

        store._append = loses_config
        with pytest.raises(KeyboardInterrupt):
            validate(db=store)
        store._append = original
        other = ada.cartesian_grid([-1], [0], n=4, null_hypos=["x <= 0.1"])
        assert other.tiles.id.tolist() == GRID.tiles.id.tolist()
        with pytest.raises(InvalidInputError, match="interrupted start of another job"):
            validate(db=store, grid=other)
        assert len(validate(db=store, n_steps=1).table("null_hypos")) == 1


def test_busy_error_is_a_store_error():
    assert issubclass(StoreBusyError, StoreError)
    assert issubclass(DomainError, ValueError)
