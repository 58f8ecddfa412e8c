"""Any sequence of operations gives the same answers on every store as on the model."""

from __future__ import annotations

import uuid
from pathlib import Path

import clickhouse_connect
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores import Schema, Store, ZoneView
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.duckdb import DuckDBStore
from adagrid.stores.store import StepKey
from adagrid.testing import PandasStore
from adagrid.testing.stores import JOBS
from tests.support.clickhouse_server import ClickHouseServer, connect_to_old_server

SCHEMAS = {name: JOBS[name][0] for name in ("classic", "interpolated")}
IDS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 2**32, 2**63 + 1, 2**64 - 1], np.uint64)
FLOATS = np.array([-np.inf, -1.5, 0.0, 1 / 3, 0.1, 2.0**60, np.inf])
PLACES = [StepKey(coordination, zone, step) for coordination in range(3) for zone in range(2) for step in range(4)]
TEXTS = ["", "plain", "quote ' \" \\ %s :name $1", "ä €\n\t", "select 1; drop table tiles"]

seeds = st.integers(0, 2**32 - 1)
views = st.builds(ZoneView, st.integers(0, 3), st.integers(0, 2), st.sampled_from([1, 2, 3]), st.integers(0, 5))


def random_rows(schema: Schema, name: str, ids: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Return rows of a table that may make sense or not."""
    n = len(ids)
    columns = {}
    for column, kind in schema.tables[name].items():
        if column.startswith(("parent_id", "point")):
            columns[column] = rng.choice(np.append(IDS, np.uint64(0)), n)
        elif column == "volume" or column.startswith("radius"):
            columns[column] = rng.choice([0.25, 0.5, 1.0, 2.0], n)  # sums are exact in any order
        elif np.issubdtype(kind, np.floating):
            columns[column] = rng.choice(FLOATS, n)
        else:
            columns[column] = rng.integers(0, 2 if kind is np.uint8 else 3, n)
    place = vars(PLACES[rng.integers(len(PLACES))])
    return pd.DataFrame({**columns, **place, "id": ids, "worker_id": 1, "time": rng.random(n)})


class Stores(RuleBasedStateMachine):
    """The model and other stores, side by side."""

    def __init__(self, opened):
        super().__init__()
        self.opened = opened  # for every store a function that opens it, again and again
        self.model = PandasStore()
        self.others: list[Store] = []
        self.places = set()
        self.numbers = set()
        self.clock = 0

    @initialize(method=st.sampled_from(sorted(SCHEMAS)))
    def create(self, method):
        self.schema = SCHEMAS[method]
        self.others = [opener() for opener in self.opened]
        for store in (self.model, *self.others):
            assert not store.exists
            store.create(self.schema)
            assert store.exists
        self.with_ids = [name for name, columns in self.schema.tables.items() if "id" in columns]

    def append(self, frames):
        for store in (self.model, *self.others):
            store.append(frames)

    def asked(self, question):
        """Ask every store and return what all of them answer."""
        answers = [question(store) for store in (self.model, *self.others)]
        for store, answer in zip(self.others, answers[1:], strict=True):
            if isinstance(answer, pd.DataFrame):
                pd.testing.assert_frame_equal(answer, answers[0], check_exact=True, obj=store.location)
            else:
                assert answer == answers[0], store.location
        return answers[0]

    @rule(seed=seeds)
    def append_missing(self, seed):
        rng = np.random.default_rng(seed)
        name = self.with_ids[rng.integers(len(self.with_ids))]
        rows = random_rows(self.schema, name, rng.permutation(IDS)[: rng.integers(1, 6)], rng)
        self.complete(name, rows)

    def complete(self, name, rows):
        """Append rows of a step, of which some may be there; ids of other steps are left alone, as jobs do."""
        there = self.model.table(name)
        places = ["coordination_id", "zone_id", "step_id"]
        elsewhere = there[(there[places] != rows[places].iloc[0]).any(axis=1)] if len(rows) else there
        rows = rows[~rows["id"].isin(elsewhere["id"])]
        if len(rows):
            missing = self.asked(lambda store: store.append_missing({name: rows}, key=name))
            assert missing == (~rows["id"].isin(there["id"])).sum()
            assert self.asked(lambda store: store.append_missing({name: rows}, key=name)) == 0

    @rule(seed=seeds)
    def copy_missing(self, seed):
        """Rows of one table reach another that repeats its columns, as simulating does."""
        rng = np.random.default_rng(seed)
        pairs = [("tiles", "results"), ("results", "certificate"), ("points", "pilot"), ("points", "vertices")]
        pairs += [("cells", "certificate")]
        pairs = [pair for pair in pairs if set(pair) <= set(self.schema.tables)]
        original, copy = pairs[rng.integers(len(pairs))]
        rows = self.model.table(original)
        rows = rows[rng.random(len(rows)) < 0.7]
        extra = random_rows(self.schema, copy, rows["id"].to_numpy(np.uint64), rng)
        rows = extra.assign(**{name: rows[name].to_numpy() for name in rows.columns if name in extra.columns})
        for _, some in rows.groupby(["coordination_id", "zone_id", "step_id"]):
            self.complete(copy, some)

    @rule(place=st.sampled_from(PLACES), counts=st.tuples(st.integers(0, 3), st.integers(0, 3)))
    def finish_step(self, place, counts):
        if place in self.places:
            return
        self.places.add(place)
        row = vars(place) | {"n_tiles": counts[0], "n_done": counts[1], "worker_id": 1, "time": 0.5}
        self.append({"steps": pd.DataFrame([row])})

    @rule(
        number=st.integers(0, 3), kind=st.sampled_from(["search", "certify", "pilot", "pass"]), zones=st.integers(1, 2)
    )
    def coordinate(self, number, kind, zones):
        if number in self.numbers:
            return
        self.numbers.add(number)
        row = {"coordination_id": number, "kind": kind, "n_zones": zones, "worker_id": 1, "time": 0.25}
        self.append({"coordinations": pd.DataFrame([row])})

    @rule(texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3))
    def log(self, texts):
        rows = []
        for text in texts:
            self.clock += 1
            rows.append({"worker_id": 1, "time": self.clock, "level": "INFO", "logger": "adagrid", "message": text})
        self.append({"logs": pd.DataFrame(rows)})

    @rule(seed=seeds)
    def nan_is_refused(self, seed):
        rows = random_rows(self.schema, "tiles", IDS[:1], np.random.default_rng(seed)).assign(theta0=np.nan)
        for store in (self.model, *self.others):
            with pytest.raises(StoreError, match="NaN"):
                store.append({"tiles": rows})

    @rule()
    def open_again(self):
        for i, store in enumerate(self.others):
            if store.location != ":memory:":
                store.close()
                self.others[i] = self.opened[i]()
                assert self.others[i].schema == self.schema

    @rule(data=st.data())
    def read_table(self, data):
        names = sorted(set(self.schema.tables) - {"schema"})
        name = data.draw(st.sampled_from(names))
        self.asked(lambda store: store.table(name))

    @rule(data=st.data(), wanted=st.lists(st.sampled_from(IDS.tolist()), unique=True))
    def read_ids(self, data, wanted):
        name, ids = data.draw(st.sampled_from(self.with_ids)), np.array(wanted, np.uint64)
        known = self.asked(lambda store: sorted(store.known(name, ids).tolist()))
        if len(known) == len(ids):
            self.asked(lambda store: store.rows(name, ids))
            return
        for store in (self.model, *self.others):
            with pytest.raises(CorruptStoreError, match="no rows"):
                store.rows(name, ids)

    @rule(data=st.data(), place=st.sampled_from(PLACES))
    def read_step(self, data, place):
        name = data.draw(st.sampled_from(self.with_ids))
        self.asked(lambda store: store.step_rows(name, place))
        self.asked(lambda store: store.last_step(place.coordination_id, place.zone_id))
        self.asked(lambda store: store.last_coordination())

    @precondition(lambda self: self.schema.layout.name == "tiles")
    @rule(view=views)
    def read_frontier(self, view):
        columns = ["score", "n_sims"]
        self.asked(lambda store: pd.concat(store.frontier(view, columns)).sort_values("id", ignore_index=True))

    @rule(data=st.data(), largest=st.booleans(), active=st.booleans())
    def read_results(self, data, largest, active):
        name = data.draw(st.sampled_from([name for name in ("results", "certificate") if name in self.schema.tables]))
        self.asked(lambda store: store.results(name, active=active))
        self.asked(lambda store: store.extreme("score", largest=largest, name=name))

    @invariant()
    def same_counts_and_relations(self):
        if self.others:
            self.asked(lambda store: dict(store.summary()))
            broken = self.asked(lambda store: {name: ids.tolist() for name, ids in store.violations().items()})
            for store in self.others if broken else ():
                with pytest.raises(CorruptStoreError):
                    store.verify()

    def teardown(self):
        for store in self.others:
            store.close()


def run(opened, examples: int) -> None:
    """Try random sequences; `opened` gives for a new name the functions that open the other stores."""
    run_state_machine_as_test(
        lambda: Stores(opened(uuid.uuid4().hex)),
        settings=settings(
            max_examples=examples,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # databases are too slow to shrink with
        ),
    )


def run_duckdb(folder: Path, examples: int) -> None:
    """In files, which can be opened again; in memory DuckDB runs the same statements."""
    run(lambda name: [lambda: DuckDBStore(folder / f"{name}.duckdb")], examples)


def run_clickhouse_of_today(folder: str, examples: int) -> None:
    connect = lambda address: clickhouse_connect.get_client(interface="chdb", path=folder)
    run(lambda name: [lambda: ClickHouseStore(f"clickhouse://localhost/{name}", connect=connect)], examples)


def run_clickhouse_of_2018(server: ClickHouseServer, examples: int) -> None:
    run(lambda name: [lambda: ClickHouseStore(server.url(name), connect=connect_to_old_server)], examples)
