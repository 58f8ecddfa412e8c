"""The contract of stores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from adagrid.errors import CorruptStoreError, StoreError
from adagrid.stores import Place, Schema, Store, ZoneView
from adagrid.stores.base import Table, zone_of

_SCHEMA = Schema(dim=2, n_nulls=1, results={"score": np.float64, "small": np.float32, "count": np.int64})
_HERE = Place(0, 0, 0)


def tile_rows(ids: list[int], place: Place = _HERE, parent: int = 0, volume: float = 1.0) -> pd.DataFrame:
    """Return rows for `tiles` (and, with more columns, for `results`)."""
    n = len(ids)
    return pd.DataFrame(
        {
            **{name: np.full(n, value) for name, value in vars(place).items()},
            "position": np.arange(n),
            "id": np.array(ids, np.uint64),
            "parent_id": np.full(n, parent, np.uint64),
            "n_sims": 64,
            "theta0": np.linspace(0, 1, n),
            "theta1": 0.1,
            "radius0": 0.5,
            "radius1": 0.5,
            "null_truth0": 1,
            "volume": np.full(n, volume),
            "worker_id": 1,
            "time": 0.0,
        }
    )


def result_rows(
    ids: list[int], scores: list[float], place: Place = _HERE, parent: int = 0, volume: float = 1.0
) -> pd.DataFrame:
    """Return rows for `results`."""
    return tile_rows(ids, place, parent, volume).assign(score=scores, small=0.1, count=2**40)


def done_rows(
    ids: list[int], place: Place = _HERE, *, active: int = 0, refine: int = 0, split: int = 0
) -> pd.DataFrame:
    """Return rows for `done`."""
    return pd.DataFrame(
        {
            "id": np.array(ids, np.uint64),
            **vars(place),
            "active": active,
            "refine": refine,
            "deepen": 0,
            "split": split,
            "worker_id": 1,
            "time": 0.0,
        }
    )


def step_row(place: Place, n_tiles: int, n_done: int) -> pd.DataFrame:
    """Return one row for `steps`."""
    return pd.DataFrame([vars(place) | {"n_tiles": n_tiles, "n_done": n_done, "worker_id": 1, "time": 0.0}])


def results_of(tiles: pd.DataFrame, scores: list[float]) -> pd.DataFrame:
    """Return the rows of `results` for rows of `tiles`."""
    return tiles.assign(score=scores, small=0.1, count=2**40)


def sound_job(store: Store) -> None:
    """Fill a store with a small job: roots 1 and 2 and pruned 3; 1 was refined into 11 and 12; 2 was kept."""
    later = Place(0, 0, 1)
    roots = tile_rows([1, 2, 3])
    store.append({"tiles": roots, "results": results_of(roots[:2], [0.5, 0.25])})
    store.append({"done": done_rows([3]), "steps": step_row(_HERE, 3, 1)})
    store.append({"tiles": tile_rows([11, 12], later, parent=1, volume=0.5)})
    store.append({"results": result_rows([11, 12], [0.75, 0.125], later, parent=1, volume=0.5)})
    store.append({"done": pd.concat([done_rows([1], later, refine=2), done_rows([2], later, active=1)])})
    store.append({"steps": step_row(later, 2, 2)})


def _result_unlike_its_tile() -> dict[Table, pd.DataFrame]:
    """Return a tile, and a result of it with another number of simulations."""
    tile = tile_rows([14], Place(0, 0, 2))
    return {"tiles": tile, "results": results_of(tile, [0.5]).assign(n_sims=128)}


class StoreContract:
    """Laws that every store keeps. Subclass and give the fixture `empty`, a new store without a job."""

    @pytest.fixture
    def empty(self) -> Iterator[Store]:
        """Yield a new store without a job."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, empty: Store) -> Store:
        """Return a store whose tables have been created."""
        empty.create(_SCHEMA)
        return empty

    def test_create(self, empty: Store) -> None:
        """A store exists once its tables do."""
        before = empty.exists
        empty.create(_SCHEMA)
        assert (before, empty.exists) == (False, True)
        assert empty.schema == _SCHEMA
        assert all(len(empty.table(name)) == 0 for name in _SCHEMA.tables if name != "schema")

    def test_what_is_appended_can_be_read(self, store: Store) -> None:
        """Exactly, with types, in the order of the keys; 64-bit ids and infinities included."""
        ids = [2**64 - 1, 1, 2**63 + 12345]
        rows = result_rows(ids, [np.inf, -np.inf, 1 / 3])
        store.append({"results": rows})
        read = store.table("results")
        columns = _SCHEMA.tables["results"]
        assert list(read.columns) == list(columns)
        for name, kind in columns.items():
            assert read[name].dtype == kind, name
            np.testing.assert_array_equal(read[name], rows[name].astype(kind), err_msg=name)

    def test_text(self, store: Store) -> None:
        """Text of any kind survives."""
        text = "quote ' \" ; drop table tiles; -- \n € \\ %s :name $1"
        row = pd.DataFrame([{"start": 0, "worker_id": 1, "time": 0.5, "record": text, "environment": ""}])
        store.append({"config": row})
        assert store.table("config")["record"].tolist() == [text]
        assert store.table("config")["environment"].tolist() == [""]

    def test_nan_is_refused(self, store: Store) -> None:
        """Nothing of the append is written."""
        with pytest.raises(StoreError, match="NaN"):
            store.append({"tiles": tile_rows([1]), "results": result_rows([1], [np.nan])})
        assert not len(store.table("tiles"))

    def test_missing_columns_are_refused(self, store: Store) -> None:
        """By name."""
        with pytest.raises(StoreError, match="volume"):
            store.append({"tiles": tile_rows([1]).drop(columns="volume")})

    def test_append_missing(self, store: Store) -> None:
        """Only rows whose ids are not there; running again adds nothing."""
        assert store.append_missing({"tiles": tile_rows([1, 2])}, key="tiles") == 2
        assert store.append_missing({"tiles": tile_rows([1, 2, 3])}, key="tiles") == 1
        assert store.append_missing({"tiles": tile_rows([1, 2, 3])}, key="tiles") == 0
        assert sorted(store.table("tiles")["id"]) == [1, 2, 3]

    def test_rows_by_id(self, store: Store) -> None:
        """In the order asked for; a missing one is an error."""
        store.append({"tiles": tile_rows([1, 2, 3])})
        assert store.rows("tiles", np.array([3, 1], np.uint64))["id"].tolist() == [3, 1]
        assert store.known("tiles", np.array([9, 2], np.uint64)).tolist() == [2]
        with pytest.raises(CorruptStoreError, match="9"):
            store.rows("tiles", np.array([1, 9], np.uint64))

    def test_step_rows(self, store: Store) -> None:
        """Only those of the place."""
        sound_job(store)
        assert store.step_rows("tiles", Place(0, 0, 1))["id"].tolist() == [11, 12]
        assert store.step_rows("done", Place(0, 0, 1))["id"].tolist() == [1, 2]
        assert not len(store.step_rows("tiles", Place(0, 1, 1)))

    def test_last_step_and_coordination(self, store: Store) -> None:
        """None before the first."""
        assert store.last_step(0, 0) is None
        assert store.last_coordination() is None
        sound_job(store)
        for number in (0, 1):
            row = {"coordination_id": number, "n_zones": 1, "worker_id": 1, "time": 0.0}
            store.append({"coordinations": pd.DataFrame([row])})
        assert store.last_step(0, 0) == 1
        assert store.last_step(0, 1) is None
        assert store.last_coordination() == 1

    def test_active_results(self, store: Store) -> None:
        """Replaced tiles are not active; kept ones are, but are not eligible."""
        sound_job(store)
        assert store.results(active=True)["id"].tolist() == [2, 11, 12]
        assert store.results(active=False)["id"].tolist() == [1, 2, 11, 12]
        expected = {"tiles": 5, "results": 4, "active": 3, "eligible": 2, "steps": 2, "pending": 0}
        assert {name: store.summary()[name] for name in expected} == expected
        assert store.summary()["simulations"] == 4 * 64

    def test_extreme(self, store: Store) -> None:
        """Of active tiles; ties go to the lower id; only known columns."""
        sound_job(store)
        assert store.extreme("score", largest=True)["id"].tolist() == [11]
        assert store.extreme("score", largest=False)["id"].tolist() == [12]
        assert store.extreme("count", largest=True)["id"].tolist() == [2]
        with pytest.raises(StoreError, match="no column"):
            store.extreme("score; drop table tiles", largest=True)

    def test_frontier_is_as_of_a_step(self, store: Store) -> None:
        """Rows of this and later steps are ignored, whatever was written since."""
        sound_job(store)
        now = store.frontier(ZoneView(0, 0, 1, 2), ["score"]).sort_values("id")
        assert now["id"].tolist() == [2, 11, 12]
        assert now["eligible"].tolist() == [False, True, True]
        assert now["score"].tolist() == [0.25, 0.75, 0.125]
        before = store.frontier(ZoneView(0, 0, 1, 1), ["score"]).sort_values("id")
        assert before["id"].tolist() == [1, 2]
        assert before["eligible"].all()

    @pytest.mark.parametrize("n_zones", [2, 3, 7])
    @pytest.mark.parametrize("coordination", [1, 2, 40])
    def test_zones_partition_the_tiles(self, store: Store, n_zones: int, coordination: int) -> None:
        """Old tiles are dealt by their ids; tiles of the current coordination stay in their zone."""
        rng = np.random.default_rng(0)
        old = rng.integers(0, 2**64, 200, np.uint64)
        store.append({"results": result_rows(old.tolist(), [0.0] * 200)})
        new = rng.integers(0, 2**64, 20, np.uint64)
        here = Place(coordination, 1, 10)
        store.append({"results": result_rows(new.tolist(), [0.0] * 20, here)})
        zones = [set(store.frontier(ZoneView(coordination, zone, n_zones, 11), [])["id"]) for zone in range(n_zones)]
        assert sorted(i for zone in zones for i in zone) == sorted([*old.tolist(), *new.tolist()])
        assert set(new.tolist()) <= zones[1]
        for zone, ids in enumerate(zones):
            dealt = old[zone_of(old, coordination, n_zones) == zone]
            assert set(dealt.tolist()) == ids - set(new.tolist())

    def test_sound_job_verifies(self, store: Store) -> None:
        """Nothing is wrong with an empty, a finished or an interrupted job."""
        store.verify()
        sound_job(store)
        store.verify()
        store.append({"tiles": tile_rows([111], Place(0, 0, 2), parent=11, volume=0.5)})
        store.verify()
        store.append({"results": result_rows([111], [0.1], Place(0, 0, 2), parent=11, volume=0.5)})
        store.verify()

    @pytest.mark.parametrize(
        ("relation", "culprit", "damage"),
        [
            ("tiles has each id once", 2, {"tiles": tile_rows([2])}),
            ("results has each id once", 12, {"results": result_rows([12], [0.1])}),
            ("done has each id once", 2, {"done": done_rows([2], active=1)}),
            ("every tile of a finished step has a result", 4, {"tiles": tile_rows([4])}),
            ("split or pruned has no result", 3, {"results": result_rows([3], [0.1])}),
            ("every result has its tile", 5, {"results": result_rows([5], [0.1])}),
            ("every row of done has its tile", 6, {"done": done_rows([6])}),
            ("every parent is a tile", 7, {"tiles": tile_rows([7], parent=99)}),
            ("a parent is in done, replaced", 8, {"tiles": tile_rows([8], parent=2)}),
            ("an active tile has no children", 11, {"tiles": tile_rows([9], Place(0, 0, 1), parent=11)}),
            ("as many children as done says", 12, {"done": done_rows([12], refine=2)}),
            ("children cover their parent", 1, {"tiles": tile_rows([13], parent=1, volume=0.1)}),
            ("results repeat the columns of their tiles", 14, _result_unlike_its_tile()),
            ("steps counts", 1, {"steps": step_row(Place(0, 0, 1), 2, 2)}),
            ("steps counts", 0, {"done": done_rows([12], active=1)}),
            ("steps counts", 2, {"steps": step_row(Place(0, 0, 2), 1, 0)}),
        ],
    )
    def test_verify_notices(self, store: Store, relation: str, culprit: int, damage: dict[Table, pd.DataFrame]) -> None:
        """Every relation that is broken, and who broke it."""
        sound_job(store)
        store.append(damage)
        broken = {name: ids for name, ids in store.violations().items() if relation in name}
        assert broken, store.violations()
        assert culprit in next(iter(broken.values()))
        with pytest.raises(CorruptStoreError, match=relation):
            store.verify()

    def test_verify_notices_a_gap(self, store: Store) -> None:
        """The active tiles must cover the region."""
        store.append({"tiles": tile_rows([1, 2]), "results": result_rows([1, 2], [0.5, 0.5])})
        store.append({"done": done_rows([2], refine=0), "steps": step_row(_HERE, 2, 1)})
        with pytest.raises(CorruptStoreError):
            store.verify()

    def test_close_twice(self, store: Store) -> None:
        """Closing is idempotent."""
        store.close()
        store.close()
