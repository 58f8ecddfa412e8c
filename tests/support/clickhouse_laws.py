"""What holds for jobs on any ClickHouse engine, today's in this process or an old server."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from clickhouse_connect.driver.exceptions import OperationalError

import adagrid as ada
from adagrid.errors import CorruptStoreError, NotAJobError, StoreError
from adagrid.results.run import Run
from adagrid.stores import ZoneView
from adagrid.stores.store import StepKey
from adagrid.stores.tables import INCIDENTAL
from adagrid.testing.pandas_store import PandasStore
from adagrid.testing.stores import DAMAGES, JOBS, StoreContract, fill, result_rows, step_row, tile_rows
from tests.support.jobcases import N_STEPS, assert_same, run_case, tables


def _is_repeat(job, damage):
    """Return whether a sound job already has all rows of a damage."""
    return all(
        rows.merge(pd.concat([part[name] for part in JOBS[job][1] if name in part]), how="inner").shape[0] == len(rows)
        for name, rows in damage.items()
    )


def _together(damages):
    """Return the rows of several damages, each once."""
    names = dict.fromkeys(name for damage in damages for name in damage)
    every = {name: pd.concat([damage[name] for damage in damages if name in damage]) for name in names}
    return {name: rows.drop_duplicates(ignore_index=True) for name, rows in every.items()}


REPEATS = [damage for damage in DAMAGES if _is_repeat(damage[0], damage[3])]
OTHERS = [damage for damage in DAMAGES if not _is_repeat(damage[0], damage[3])]


def all_tables(store):
    return {name: store.table(name) for name in store.schema.tables}


def signed_alike(frame):
    return frame.drop(columns=[name for name in INCIDENTAL if name in frame])


class ClickHouseContract(StoreContract):
    """A row that is there twice is no damage here; one that contradicts another is."""

    verify_every = 4

    @pytest.mark.parametrize("job", JOBS)
    def test_verify_notices(self, engine, job) -> None:
        """Many damages at once, because databases take long to create; those that hide each other one after another."""
        waiting = [[damage for damage in OTHERS if damage[0] == job]]
        while waiting:
            damages, found = waiting.pop(), []
            for store in (engine(), PandasStore()):
                fill(store, job)
                store.append(_together([rows for *_, rows in damages]))
                found.append({name: ids.tolist() for name, ids in store.violations().items()})
            assert found[0] == found[1]
            hidden = [
                damage
                for damage in damages
                if not any(damage[1] in name and damage[2] in ids for name, ids in found[0].items())
            ]
            assert not hidden or len(damages) > 1, hidden
            parts = [hidden] if len(hidden) < len(damages) else [hidden[::2], hidden[1::2]]
            waiting += [part for part in parts if part]

    @pytest.fixture
    def engine(self):
        """Opens jobs by their names, new ones without a name."""
        raise NotImplementedError

    @pytest.fixture
    def empty(self, engine):
        return engine()

    # Repeats

    @pytest.mark.parametrize("job", ["certified", "interpolated"])
    def test_repeated_rows_are_harmless(self, engine, job):
        store = engine()
        fill(store, job)
        before, counts = all_tables(store), store.summary()
        for rows in JOBS[job][1]:
            again = {name: frame.assign(worker_id=2, time=9.0) for name, frame in rows.items()}
            store.append(again)
        store.verify()
        assert store.summary() == counts
        for name, frame in all_tables(store).items():
            pd.testing.assert_frame_equal(signed_alike(frame), signed_alike(before[name]), check_exact=True, obj=name)
        rows = store.step_rows("tiles", StepKey(0, 0, 0))
        assert rows["id"].is_unique
        assert len(store.rows("tiles", rows["id"].to_numpy())) == len(rows)
        if job == "certified":
            assert sorted(pd.concat(store.frontier(ZoneView(1, 0, 1, 9), ["score"]))["id"]) == [2, 11, 12]
            assert store.results(active=True)["id"].tolist() == [2, 11, 12]

    def test_rows_that_contradict_each_other_are_told(self, engine):
        store = engine()
        fill(store, "classic")
        store.append({"results": result_rows([11], [0.5])})
        with pytest.raises(CorruptStoreError, match="results has each id once: 11"):
            store.verify()

    def test_empty_tables_have_types(self, engine):
        store, model = engine(), PandasStore()
        for each in (store, model):
            each.create(JOBS["classic"][0])
        for name in ("tiles", "results", "done", "steps", "coordinations"):
            kinds = JOBS["classic"][0].tables[name]
            frame = store.table(name)
            assert list(frame.columns) == list(kinds)
            assert all(frame[column].dtype == kind for column, kind in kinds.items() if kind is not str)
        none = np.empty(0, np.uint64)
        assert len(store.known("tiles", none)) == len(store.rows("tiles", none)) == 0
        assert store.rows("tiles", none).dtypes.tolist() == store.table("tiles").dtypes.tolist()

    def test_many_ids(self, engine):
        """More than fit into one query."""
        store = engine()
        store.create(JOBS["classic"][0])
        ids = np.random.default_rng(1).integers(1, 2**64, 25_001, np.uint64)
        store.append({"tiles": tile_rows(ids.tolist())})
        assert set(store.known("tiles", np.append(ids, np.uint64(0)))) == set(ids)
        np.testing.assert_array_equal(store.rows("tiles", ids[::-1])["id"], ids[::-1])

    # Whole jobs

    @pytest.mark.parametrize("case", ["validate_z", "calibrate_z", "staged_validate_z"])
    def test_a_job_gives_the_same_tables_as_in_memory(self, engine, case):
        expected = run_case(case)
        with run_case(case, db=engine(case)) as run:
            assert_same(run, tables(expected))
        again = Run(engine(case))
        assert_same(again, tables(expected))
        again.verify()

    @pytest.mark.smoke
    def test_a_job_is_continued(self, engine):
        run_case("validate_z", db=engine("cut"), n_steps=2).close()
        with run_case("validate_z", db=engine("cut"), n_steps=2, overrides={"n_steps": N_STEPS}) as run:
            assert_same(run, tables(run_case("validate_z")))

    # Opening

    def test_a_job_can_be_opened_again(self, engine):
        store = engine("again")
        assert not store.exists
        fill(store, "interpolated")
        assert engine("again").schema == JOBS["interpolated"][0]
        assert engine("again").summary() == store.summary()
        assert not engine("another").exists

    def test_an_interrupted_start(self, engine):
        """Without the row of `schema` there is no job yet; the same one can be started again, another cannot."""
        store = engine("begun")
        store.create(JOBS["classic"][0])
        store._connection.command("drop table schema")
        again = engine("begun")
        assert not again.exists
        with pytest.raises(StoreError, match="interrupted start of another job"):
            again.create(JOBS["interpolated"][0])
        again.create(JOBS["classic"][0])
        assert again.exists

    def test_other_databases_are_refused(self, engine):
        store = engine("other")
        store._connection.command("create database adagrid_other")
        store._connection.command("create table adagrid_other.people (name String) engine = MergeTree() order by name")
        with pytest.raises(NotAJobError, match="holds no adagrid job .*people"):
            engine("other")

    @pytest.mark.parametrize("how", ["a view", "another column", "a default"])
    def test_tables_that_somebody_changed_are_refused(self, engine, how):
        job_id = f"changed_{how.split()[1]}"
        store = engine(job_id)
        store.create(JOBS["classic"][0])
        command = store._connection.command
        if how == "a view":
            command(f"drop table adagrid_{job_id}.logs")
            columns = "toUInt32(1) as worker_id, 1.0 as time, 'x' as level, 'x' as logger, 'x' as message"
            command(f"create view adagrid_{job_id}.logs as select {columns}")
        elif how == "another column":
            command(f"alter table adagrid_{job_id}.logs add column more Float64")
        else:
            command(f"alter table adagrid_{job_id}.logs modify column message String default 'x'")
        with pytest.raises(CorruptStoreError, match="is not opened.*logs"):
            engine(job_id)

    def test_no_job_yet(self, engine):
        store = engine()
        with pytest.raises(NotAJobError, match="no job yet"):
            store._number("count(*) as n from tiles")

    def test_closed(self, engine):
        store = engine()
        store.create(JOBS["classic"][0])
        store.close()
        with pytest.raises(StoreError, match="is closed"):
            store.table("tiles")

    @pytest.mark.parametrize("arrived", [0, 2, 5])
    def test_only_what_did_not_arrive_is_sent_again(self, engine, monkeypatch, arrived):
        """Of every table, with ids or without."""
        store = engine()
        store.create(JOBS["classic"][0])
        client = store._connection._client
        insert, failed = client.insert_df, set()

        def failing(name, rows, **how):
            if name in failed:
                return insert(name, rows, **how)
            failed.add(name)
            insert(name, rows[:arrived], **how)
            raise OperationalError("the connection was lost")

        monkeypatch.setattr(client, "insert_df", failing)
        messages = {
            "worker_id": 1,
            "time": 0.5,
            "level": "INFO",
            "logger": "x",
            "message": ["a", "b 'c'", "d", "e", "f"],
        }
        report = {"kind": "step", "packet_id": 0, "content": ["a", "b", "c", "d", "e"]}
        steps = pd.concat([step_row(StepKey(0, 0, step), 1, 0) for step in range(5)])
        store.append(
            {
                "tiles": tile_rows([2**64 - 1, 2, 3, 4, 5]),
                "steps": steps,
                "reports": steps.assign(**report).drop(columns=["n_tiles", "n_done"]),
                "logs": pd.DataFrame(messages),
            }
        )
        assert failed == {"tiles", "steps", "reports", "logs"}
        for name in failed:
            assert store._number(f"count(*) as n from {name}") == len(store.table(name)) == 5

    def test_curved_boundaries(self, engine):
        grid = ada.cartesian_grid([-1, -1], [1, 1], n=2, null_hypos=[ada.RiskDifference(margin=0.03)], depth=1)
        expected = tables(run_case("validate_fisher", grid=grid, n_steps=4))
        with run_case("validate_fisher", grid=grid, n_steps=4, db=engine()) as run:
            run.verify()
            assert_same(run, expected)
