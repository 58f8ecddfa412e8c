"""A job asks its database little: few statements, and checks of what is new that notice all that is wrong with it."""

from __future__ import annotations

from functools import cache

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adagrid as ada
from adagrid.errors import CorruptStoreError
from adagrid.methods.cells import rounds as rounds
from adagrid.methods.cells.finished_rounds import FinishedRounds
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.layout import Checked
from adagrid.stores.store import StepKey
from adagrid.testing.pandas_store import PandasStore
from adagrid.testing.stores import JOBS, coordination_row, done_rows, fill, results_of, step_row, tile_rows
from tests.support import flat
from tests.support.jobcases import assert_same, run_case, tables

# Few statements


class Counted:
    """A connection whose statements are counted, also those that are sent together; begin and commit are not."""

    def __init__(self, connection, statements):
        self._connection, self._statements = connection, statements

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *values):
        kinds = [statement.type for statement in self._connection.extract_statements(sql)]
        self._statements += [sql for kind in kinds if kind != duckdb.StatementType.TRANSACTION]
        return self._connection.execute(sql, *values)


@pytest.fixture
def statements(monkeypatch):
    """The statements of all DuckDB databases that are opened."""
    found, connect = [], duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *where, **how: Counted(connect(*where, **how), found))
    return found


def test_a_small_job_needs_few_statements(statements, tmp_path):
    """Its tables are created by 15 of them."""
    grid = ada.cartesian_grid([-1], [0], n=1, null_hypos=["theta0 <= 0"])
    with flat.ada_validate(
        ada.ZTest(), threshold=1.96, grid=grid, method="interpolated", db=tmp_path / "job.duckdb"
    ) as run:
        assert run.converged
        assert len(run.table("coordinations")) > 2
    assert 40 < len(statements) <= 80


def test_steps_need_few_statements(statements, tmp_path):
    """Rows of tiles, results, done, steps, and reports with the results and with the next step's tiles."""
    backend, counts = ada.LocalBackend(coordinate_every=100), []
    for n_steps in (3, 6):
        statements.clear()
        run_case(
            "validate_z", db=tmp_path / f"{n_steps}.duckdb", n_steps=n_steps, backend=backend, packet_size=100
        ).close()
        counts.append(sum("insert into logs" not in sql for sql in statements))
    assert counts[1] - counts[0] <= 3 * 6


@pytest.mark.parametrize("job", JOBS)
def test_a_finished_job_is_checked_by_one_statement(job, statements):
    store = DuckDBStore()
    fill(store, job)
    if job == "interpolated":  # whose last stage is planned, but not begun
        store._connection.execute("delete from points where id = 401; delete from cells where id = 2111")
    statements.clear()
    store.verify()
    assert len(statements) == 1


# What is carried on in memory


def arrays(value):
    """Yield all arrays of a state, and all else that it has."""
    if hasattr(value, "__dict__") or isinstance(value, dict):
        for each in (value if isinstance(value, dict) else vars(value)).values():
            yield from arrays(each)
    else:
        yield value


@pytest.mark.parametrize("case", ["staged_validate_z", "staged_calibrate_fisher"])
def test_what_is_carried_on_is_what_is_stored(case, monkeypatch):
    """To the last bit, types included."""
    finish, kinds = rounds._finish_own, []

    def compare(job, begun, plan, found):
        found = finish(job, begun, plan, found)
        for carried, read in zip(arrays(found.state), arrays(FinishedRounds.read(job.store).state), strict=True):
            np.testing.assert_array_equal(carried, read, strict=isinstance(read, np.ndarray))
        kinds.append(begun.kind)
        return found

    monkeypatch.setattr(rounds, "_finish_own", compare)
    run_case(case, db=PandasStore(), backend=ada.LocalBackend(n_zones=2), packet_size=5)
    assert {"pilot", "pass"} <= set(kinds)


def test_another_process_that_goes_on_meanwhile():
    """Nothing is planned from what it has made old, and nothing is written twice."""
    store, last, asked = PandasStore(), PandasStore.last_coordination, 0

    def meanwhile():
        nonlocal asked
        asked += 1
        if asked == 2:
            run_case("staged_validate_z", db=store)
        return last(store)

    store.last_coordination = meanwhile
    run = run_case("staged_validate_z", db=store)
    assert asked > 2
    assert_same(run, tables(run_case("staged_validate_z")))
    assert len(run.table("config")) == 2


# Checks of what is new


@cache
def grown() -> list[dict[str, pd.DataFrame]]:
    """Return what a classic job appends in four coordinations: it refines, deepens, prunes and leaves tiles.

    Nobody may change the frames.
    """
    roots = tile_rows([1, 2, 3, 4, 5])
    parts = [
        {"coordinations": coordination_row(0, "search", 1), "tiles": roots, "results": results_of(roots, [0.5] * 5)}
    ]
    parts[0]["steps"] = step_row(StepKey(0, 0, 0), 5, 0)
    refined, deepened = 1, 2
    for number in (1, 2, 3):
        place, first = StepKey(number, 0, number), 100 * number
        halves = tile_rows([first + 1, first + 2], place, parent=refined, volume=0.5**number)
        deeper = tile_rows([first + 3], place, parent=deepened).assign(position=2)
        done = [done_rows([refined], place, refine=2), done_rows([deepened], place).assign(deepen=1)]
        done += [done_rows([first + 2], place), done_rows([2 + number], place, active=1)]
        parts.append(
            {
                "coordinations": coordination_row(number, "search", 1),
                "tiles": pd.concat([halves, deeper], ignore_index=True),
                "results": results_of(pd.concat([halves[:1], deeper], ignore_index=True), [0.5, 0.5]),
                "done": pd.concat(done, ignore_index=True),
                "steps": step_row(place, 3, 4),
            }
        )
        refined, deepened = first + 1, first + 3
    return parts


def filled(store, parts):
    for rows in parts:
        store.append(rows)
    return store


def created(store):
    store.create(JOBS["classic"][0])
    return store


def test_what_is_added_is_checked_from_an_earlier_check(statements):
    store, parts, checked = created(DuckDBStore()), grown(), Checked()
    for number, rows in enumerate(parts):
        store.append(rows)
        statements.clear()
        checked = store.verify(checked)
        assert len(statements) == 1
        assert checked.coordination == number + 1
    whole = store.verify()
    assert (checked.rows, checked.region, checked.covered) == (whole.rows, 5.0, 5.0)
    assert (whole.region, whole.covered) == (5.0, 5.0)


def whole(job):
    """Return the tables of a sound job whose steps are all finished."""
    schema, parts = JOBS[job]
    parts = parts[:-2] if job == "interpolated" else parts  # without the plan of a stage that has not begun
    names = [name for name in schema.tables if any(name in part for part in parts)]
    return {name: pd.concat([part[name] for part in parts if name in part], ignore_index=True) for name in names}


def changed(frame, where, **values):
    """Return rows with other values in those that meet a condition."""
    hit = frame.eval(where)
    assert hit.any()
    return frame.assign(**{name: frame[name].where(~hit, value) for name, value in values.items()})


def with_tiny_family(classic, active):
    """Return the tables of the classic job with a refined tile that is too small to count in sums of volumes."""
    root = tile_rows([50], volume=4e-10).assign(radius0=1e-5, radius1=1e-5)
    born = tile_rows([51, 52], StepKey(0, 0, 1), parent=50, volume=2e-10)
    done = done_rows([50], StepKey(0, 0, 1), refine=2, active=active)
    steps = changed(classic["steps"], "step_id == 0", n_tiles=4)
    return {
        "tiles": pd.concat([classic["tiles"], root, born]),
        "results": pd.concat([classic["results"], results_of(root, [0.5]), results_of(born, [0.5, 0.5])]),
        "done": pd.concat([classic["done"], done]),
        "steps": changed(steps, "step_id == 1", n_tiles=4, n_done=3),
    }


def lone_damages():
    """Yield what breaks one relation and spares as many others as can be: nobody else would notice it."""
    classic, certified, staged = (whole(job) for job in ("classic", "certified", "interpolated"))
    alone = {"tiles": changed(classic["tiles"], "id == 2", volume=2.0)}
    yield "classic", alone | {"results": changed(classic["results"], "id == 2", volume=2.0)}
    unknown = done_rows([99], StepKey(0, 0, 1), active=1)
    one_more = changed(classic["steps"], "step_id == 1", n_done=3)
    for done in (unknown, classic["done"].query("id == 2")):
        yield "classic", {"done": pd.concat([classic["done"], done]), "steps": one_more}
    yield "classic", {"results": classic["results"].query("id != 2")}
    yield "classic", {"results": pd.concat([classic["results"], classic["results"].query("id == 2")])}
    yield "classic", {"results": changed(classic["results"], "id == 2", n_sims=128)}
    yield "classic", {"done": changed(classic["done"], "id == 1", refine=3)}
    yield "classic", {"done": changed(classic["done"], "id == 1", active=1)}
    yield "classic", with_tiny_family(classic, active=1)
    for column in ("n_tiles", "n_done"):
        yield "classic", {"steps": changed(classic["steps"], "step_id == 1", **{column: 7})}
    yield "certified", {"certificate": certified["certificate"].query("id != 2")}
    yield "certified", {"certificate": pd.concat([certified["certificate"], certified["certificate"].query("id == 2")])}
    yield "certified", {"certificate": changed(certified["certificate"], "id == 2", n_sims=128)}
    again = certified["certificate"].query("id == 2").assign(id=np.uint64(1))
    yield "certified", {"certificate": pd.concat([certified["certificate"], again])}
    yield "interpolated", {"certificate": staged["certificate"].query("id != 31")}
    yield "interpolated", {"certificate": pd.concat([staged["certificate"], staged["certificate"].query("id == 31")])}
    yield "interpolated", {"certificate": changed(staged["certificate"], "id == 31", n_sims=128)}
    yield "interpolated", {"steps": changed(staged["steps"], "step_id == 2 and zone_id == 0", n_tiles=7)}
    idle = {name: pd.concat([staged[name], staged[name].query("id == 301").assign(id=np.uint64(302))])
            for name in ("points", "vertices")}  # fmt: skip
    yield "interpolated", idle | {"steps": changed(staged["steps"], "step_id == 2 and zone_id == 0", n_tiles=2)}
    for name in ("pilot", "vertices"):
        yield "interpolated", {name: changed(staged[name], "id == 101 or id == 202", n_sims=128)}
    of_pilot = {name: changed(staged[name], "id == 31", point1=np.uint64(101)) for name in ("cells", "certificate")}
    yield "interpolated", of_pilot
    misplaced = staged["vertices"].query("id == 202")[staged["pilot"].columns]
    moved = {"pilot": pd.concat([staged["pilot"], misplaced]), "vertices": staged["vertices"].query("id != 202")}
    yield "interpolated", moved
    shifted = {name: staged[name].assign(volume=staged[name]["volume"].where(staged[name]["id"] != 211, 0.75))
               for name in ("cells", "certificate")}  # fmt: skip
    yield "interpolated", {name: changed(frame, "id == 31", volume=0.25) for name, frame in shifted.items()}


def test_a_tiny_family_is_sound():
    store = created(DuckDBStore())
    store.append(whole("classic") | with_tiny_family(whole("classic"), active=0))
    assert store._accepted(Checked()) is not None


LONE = tuple(lone_damages())


@pytest.mark.parametrize(("job", "damage"), LONE, ids=map(str, range(len(LONE))))
def test_a_damage_that_breaks_nothing_else_is_noticed(job, damage):
    schema = JOBS[job][0]
    for store in (DuckDBStore(), PandasStore()):
        store.create(schema)
        store.append(whole(job) | damage)
        if isinstance(store, PandasStore):
            assert store.violations()
        else:
            assert store._accepted(Checked()) is None
            with pytest.raises(CorruptStoreError):
                store.verify()
        store.close()


@st.composite
def additions(draw):
    """Return how many coordinations were checked, and damaged rows that are added to them."""
    parts, number = grown(), draw(st.integers(1, 3))
    new = {name: pd.concat([part[name] for part in parts[number:]], ignore_index=True) for name in parts[-1]}
    name = draw(st.sampled_from(sorted(new)))
    rows = pd.concat([part[name] for part in parts if name in part], ignore_index=True)
    how = draw(st.sampled_from(["lost", "repeated", "late", "changed"]))
    one = rows.iloc[[draw(st.integers(0, len(rows) - 1))]]
    position = draw(st.integers(0, len(new[name]) - 1))
    if how == "lost":
        new[name] = new[name].drop(index=position)
    elif how == "repeated":  # of this or an earlier coordination
        new[name] = pd.concat([new[name], one])
    else:
        column = draw(st.sampled_from([column for column in rows if column not in ("worker_id", "time")]))
        values = [*rows[column].tolist(), *([] if column == "kind" else [0, 1, 6, 2**20])]
        value = np.array(draw(st.sampled_from(values))).astype(object if column == "kind" else rows[column].dtype)
        if how == "late":
            new[name] = pd.concat([new[name], one.assign(**{column: value})])
        else:
            alike = new[name]["id"][position] if "id" in rows and draw(st.booleans()) else None
            for each in [name] if alike is None else [each for each in ("tiles", "results") if column in new[each]]:
                here = new[each].index == position if alike is None else new[each]["id"] == alike
                new[each] = new[each].assign(**{column: new[each][column].where(~here, value)})
    return number, new


@pytest.fixture(scope="module")
def earlier():
    """Jobs of which so many coordinations have been checked."""
    stores = {number: filled(created(DuckDBStore()), grown()[:number]) for number in (1, 2, 3)}
    yield {number: (store, store.verify()) for number, store in stores.items()}
    for store in stores.values():
        store.close()


@settings(deadline=None, max_examples=60)
@given(added=additions())
def test_what_is_wrong_with_what_is_added_is_noticed(earlier, added):
    number, new = added
    store, checked = earlier[number]
    assert checked.coordination == number
    store.append({name: frame.assign(worker_id=2) for name, frame in new.items()})
    model = filled(created(PandasStore()), [*grown()[:number], new])
    broken = model.violations()
    try:
        store.verify(checked)
        noticed = False
    except CorruptStoreError:
        noticed = True
    assert noticed == bool(broken), broken
    for name in new:
        store._connection.execute(f"delete from {name} where worker_id = 2")


@pytest.mark.parametrize("damage", ["tiles", "done"])
def test_earlier_ids_are_looked_up(modern, damage):
    """Also by ClickHouse."""
    store, parts = created(modern()), grown()
    filled(store, parts[:2])
    checked = store.verify()
    filled(store, parts[2:3])
    checked = store.verify(checked)
    assert checked.coordination == 3
    rows = {name: frame.copy() for name, frame in parts[3].items()}
    if damage == "done":
        rows["done"] = rows["done"].assign(id=rows["done"]["id"].replace(5, 3))
    for name in ("tiles", "results") if damage == "tiles" else ():
        rows[name] = rows[name].assign(id=rows[name]["id"].replace(303, 102))
    store.append(rows)
    with pytest.raises(CorruptStoreError, match=f"{damage} has each id once"):
        store.verify(checked)
