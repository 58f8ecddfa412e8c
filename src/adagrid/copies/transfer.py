"""Copies a job from one store to another, exactly: whole, or what the other lacks.

Two rules make a copy sound at every moment, while the job runs and wherever the copy is cut short. It writes in the
order in which a job writes, so the copy only ever stands as the job itself stood: it verifies, and can be continued.
And it first looks, in the reverse of that order, at what there is: whatever the job adds meanwhile, nothing is seen
without what it rests on. Rows never change, so they can be fetched later, in parts that fit in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import pandas as pd

from adagrid._typing import FloatArray, IdArray
from adagrid.errors import CorruptStoreError, InvalidInputError, NotAJobError
from adagrid.records import JobRecord
from adagrid.stores import Store
from adagrid.stores.layout import WriteOrder
from adagrid.stores.store import StepKey
from adagrid.stores.tables import Table, key_of

Advance: TypeAlias = Callable[[int], object]
"""Called with the number of rows that were copied just now."""

# The commit records, which tell of everything else.
_RECORDS: Sequence[Table] = ("config", "coordinations", "steps")
_MESSAGES: Sequence[Table] = ("reports", "logs")
# Numbers that are in memory at once.
_AT_ONCE = 4_000_000
# Servers may round a number that they are asked for: rows near it are looked at, too (seconds).
_MARGIN = 0.001


def transfer(source: Store, target: Store, advance: Advance = lambda _: None) -> Mapping[Table, int]:
    """Copy what a store lacks of a job. Repeated, it neither reads nor sends finished steps again.

    Args:
        source: a store with a job, which may be under way.
        target: an empty store, or one with an earlier copy.
        advance: called with the number of rows after each write; an error that it raises ends the copy.

    Returns:
        How many rows of every table were copied.

    Raises:
        NotAJobError: if there is no job.
        InvalidInputError: if the target holds another job, or the same one that went on by itself.
        StoreError: if a database fails; what was copied stays, and is not copied again.
    """
    moment = _moment_of(source)
    check_copy(target, source, moment)
    if not target.exists:
        target.create(source.schema)
    copying = _Copying(source, target, advance)
    copying.begin(moment)
    copying.committed(moment)
    copying.write(moment.unfinished)
    for name, times in moment.messages.items():
        copying.messages(name, times)
    return copying.copied


def check_copy(target: Store, source: Store | None, moment: _Moment | None = None) -> None:
    """Refuse a target that holds anything but a part of a job.

    Args:
        target: an open store.
        source: a store with the job; None for one that is yet to be started.
        moment: what was seen of the job, if it was looked at.

    Raises:
        InvalidInputError: if it does.
    """
    if not target.exists:
        return
    if source is None:
        raise InvalidInputError(
            f"{target.location} already holds a job, and a new one would be backed up there. Give another place; to "
            "go on with the job that is there, copy it back with adagrid.copy_job first."
        )
    moment = moment or _moment_of(source)
    own = _record(moment.config).job_id
    config = target.table("config")
    other = _record(config).job_id if len(config) else own
    started = target.table("tiles")["id"].to_numpy(np.uint64) if not len(config) else np.empty(0, np.uint64)
    if other != own or target.schema != source.schema or len(source.known("tiles", started)) < len(started):
        raise InvalidInputError(
            f"{target.location} holds another job{'' if other == own else f' ({other!r})'}, and {source.location} "
            f"holds {own!r}. Give an empty database, or one with an earlier copy of this job."
        )
    for name in _RECORDS:
        if _tuples(target.table(name)) - _tuples(moment.records[name]):
            raise InvalidInputError(
                f"{target.location} holds the job {own!r}, but went on by itself: its table {name} has rows that "
                f"{source.location} lacks. Copy in the other direction, or give an empty database."
            )


@final
@dataclass(frozen=True)
class _Part:
    """What a job writes in one step: one table, bit by bit, or several that must come together."""

    key: StepKey
    tables: Sequence[Table]


@final
@dataclass(frozen=True)
class _Moment:
    """A job as it stood at one moment, in narrow columns.

    Args:
        records: the rows of the commit records.
        unfinished: what has no commit record yet, in the order of writing, with the ids of its rows.
        told: the times of reports and log messages.
    """

    records: Mapping[Table, pd.DataFrame]
    unfinished: Sequence[tuple[_Part, Mapping[Table, IdArray]]]
    messages: Mapping[Table, FloatArray]

    @property
    def config(self) -> pd.DataFrame:
        """One row per start, and per worker that joined it."""
        return self.records["config"]

    @property
    def zones(self) -> range:
        """The job's zones."""
        return range(_record(self.config).n_zones)

    @property
    def kinds(self) -> Mapping[int, str]:
        """The kinds of coordinations."""
        coordinations = self.records["coordinations"]
        return dict(zip(coordinations["coordination_id"].tolist(), coordinations["kind"].tolist(), strict=True))


def _moment_of(source: Store) -> _Moment:
    """See how a job stands, without what it adds meanwhile.

    Raises:
        NotAJobError: if there is none.
    """
    if not source.exists:
        raise NotAJobError(f"{source.location} holds no job yet.")
    messages = {name: source.between(name, {}, ["time"])["time"].to_numpy(float) for name in _MESSAGES}
    while True:
        config = source.table("config")
        if not len(config):
            raise NotAJobError(f"{source.location} holds no job yet.")
        coordinations, steps = source.table("coordinations"), source.table("steps")
        if strange := set(coordinations["kind"]) - source.schema.layout.order.steps.keys():
            raise CorruptStoreError(f"{source.location} has coordinations of kinds that no job has: {strange}.")
        last = int(coordinations["coordination_id"].max()) if len(coordinations) else -1
        steps = steps[steps["coordination_id"] <= last].reset_index(drop=True)
        moment = _Moment({"config": config, "coordinations": coordinations, "steps": steps}, (), messages)
        parts = list(_unfinished(source, moment, last))
        seen = [(part, {name: _ids(source, name, part.key) for name in part.tables[::-1]}) for part in parts[::-1]]
        if len(source.table("config")) == len(config):  # or what is unfinished was begun with other settings
            return _Moment(moment.records, seen[::-1], messages)


def _unfinished(source: Store, moment: _Moment, last: int) -> Iterator[_Part]:
    """Yield what may have been written since the last commit records, in the order of writing.

    Args:
        source: a store.
        moment: the job.
        last: its last coordination, -1 before the first.
    """
    order, kind = source.schema.layout.order, moment.kinds.get(last)
    steps = moment.records["steps"]
    steps = steps[steps["coordination_id"] == last]
    finished = steps.groupby("zone_id")["step_id"].max()
    for zone in moment.zones if kind else ():
        if zone in finished and not order.many_steps:
            continue
        step = int(finished[zone]) + 1 if zone in finished else _first_step(moment, order, last)
        yield from (_Part(StepKey(last, zone, step), [name]) for name in order.steps[str(kind)])
    yield from _ending(moment, order, last)
    yield _tested(moment, last)
    yield from _planned(moment, order, last + 1)


def _first_step(moment: _Moment, order: WriteOrder, coordination: int) -> int:
    return order.first_step(coordination, _record(moment.config).coordinate_every)


def _tested(moment: _Moment, last: int) -> _Part:
    """Return what the family was tested with after a coordination: lines before the first one, spots after others."""
    if last < 0:
        return _Part(StepKey(0, 0, 0), ["lines"])
    return _Part(StepKey(last, 0, last * _record(moment.config).coordinate_every), ["spots"])


def _ending(moment: _Moment, order: WriteOrder, coordination: int) -> Iterator[_Part]:
    """Yield what is written when all zones of a coordination have finished."""
    if tables := order.endings.get(moment.kinds.get(coordination, "")):
        yield _Part(StepKey(coordination, 0, _first_step(moment, order, coordination)), tables)


def _planned(moment: _Moment, order: WriteOrder, coordination: int) -> Iterator[_Part]:
    """Yield what is written before a coordination is begun."""
    step = _first_step(moment, order, coordination)
    for name, by_zone in order.plans.items():
        yield from (_Part(StepKey(coordination, zone, step), [name]) for zone in (moment.zones if by_zone else [0]))


def _in_order(moment: _Moment) -> list[tuple[Table, int]]:
    """Return the commit records (table and row) after the first start, in the order in which they were written.

    As far as their times tell: zones work at the same time, and clocks differ. So a record never comes before what it
    rests on: the earlier steps of its zone, its coordination, and all of the coordination before.
    """
    config, coordinations, steps = (moment.records[name] for name in _RECORDS)
    records: list[tuple[float, Table, int]] = [(when, "config", i) for i, when in enumerate(config["time"]) if i]
    steps_of, zones, times = (steps[name].tolist() for name in ("coordination_id", "zone_id", "time"))
    latest, row = -np.inf, 0
    for i, (number, when) in enumerate(zip(coordinations["coordination_id"], coordinations["time"], strict=True)):
        began = latest = max(latest, float(when))
        records.append((began, "coordinations", i))
        clock: dict[int, float] = {}
        while row < len(steps) and steps_of[row] == number:
            clock[zones[row]] = max(clock.get(zones[row], began), times[row])
            records.append((clock[zones[row]], "steps", row))
            latest, row = max(latest, clock[zones[row]]), row + 1
    return [(name, row) for _, name, row in sorted(records, key=lambda record: record[0])]


@final
class _Copying:
    """A copy that is being made.

    Args:
        source: where from.
        target: where to; its tables exist.
        advance: called with the number of rows after each write.
    """

    def __init__(self, source: Store, target: Store, advance: Advance) -> None:
        self._source = source
        self._target = target
        self._advance = advance
        self._order = source.schema.layout.order
        self._there = {name: _tuples(target.table(name)[list(key_of(name))]) for name in _RECORDS}
        self.copied: dict[Table, int] = dict.fromkeys(source.schema.tables, 0)

    def begin(self, moment: _Moment) -> None:
        """Copy what a job begins with; the row of its first start comes last."""
        if self._there["config"]:
            return
        parts = [_Part(StepKey(0, zone, 0), [name]) for name in ("tiles", "done") for zone in moment.zones]
        first: dict[Table, pd.DataFrame] = {"null_hypos": self._source.table("null_hypos"), "config": moment.config[:1]}
        self.write([(part, None) for part in parts], first)
        self._there["config"] = _tuples(moment.config[list(key_of("config"))][:1])

    def committed(self, moment: _Moment) -> None:
        """Copy what commit records complete, each part followed by its record."""
        for name, row in _in_order(moment):
            record = moment.records[name][row : row + 1]
            if not _tuples(record[list(key_of(name))]) <= self._there[name]:
                parts = self._resting_on(name, record, moment)
                self.write([(part, None) for part in parts], {name: record})

    def write(
        self,
        parts: Sequence[tuple[_Part, Mapping[Table, IdArray] | None]],
        records: Mapping[Table, pd.DataFrame] | None = None,
    ) -> None:
        """Copy what the target lacks of some parts, in their order, and last their commit records.

        Args:
            parts: what, each with the ids of its rows; None for all that are there.
            records: rows of commit records.
        """
        waiting: dict[Table, list[pd.DataFrame]] = {}
        for part, ids in parts:
            for name in part.tables:
                for rows in self._missing(name, part.key, ids):
                    waiting.setdefault(name, []).append(rows)
                    if (
                        len(part.tables) == 1
                        and sum(each.size for some in waiting.values() for each in some) >= _AT_ONCE
                    ):
                        self._append(waiting)
                        waiting = {}
        self._append(waiting | {name: [rows] for name, rows in (records or {}).items()})

    def messages(self, name: Table, times: FloatArray) -> None:
        """Copy reports or log messages of some times."""
        when, count = np.unique(times, return_counts=True)
        there, already = np.unique(self._target.between(name, {}, ["time"])["time"], return_counts=True)
        known = np.zeros(len(when), np.int64)
        known[np.isin(when, there)] = already[np.isin(there, when)]
        behind = when[count > known]
        for some in _pieces(len(behind), self._rows_at_once(name)):
            low, high = behind[some][0] - _MARGIN, behind[some][-1] + _MARGIN
            old = Counter(self._target.between(name, {"time": (low, high)}).itertuples(index=False, name=None))
            rows = self._source.between(name, {"time": (low, high)})
            rows = rows[rows["time"].isin(behind[some])]
            self._append({name: [rows[[not _take(old, row) for row in rows.itertuples(index=False, name=None)]]]})

    def _resting_on(self, name: Table, record: pd.DataFrame, moment: _Moment) -> Iterator[_Part]:
        """Yield what a commit record completes, in the order of writing."""
        if name == "config":
            return
        coordination, kinds = int(record["coordination_id"].iloc[0]), moment.kinds
        if name == "steps":
            key = StepKey(coordination, int(record["zone_id"].iloc[0]), int(record["step_id"].iloc[0]))
            yield from (_Part(key, [table]) for table in self._order.steps[kinds[coordination]])
            return
        yield from _ending(moment, self._order, coordination - 1)
        yield _tested(moment, coordination - 1)
        yield from _planned(moment, self._order, coordination)

    def _missing(self, name: Table, key: StepKey, ids: Mapping[Table, IdArray] | None) -> Iterator[pd.DataFrame]:
        """Yield rows of a step that the target lacks, as many at once as memory should hold."""
        here, order = _bounds(key), key_of(name)[-2] if "position" in key_of(name) else "id"
        narrow = self._source.between(name, here, sorted({"id", order}))
        if ids is not None:
            narrow = narrow[narrow["id"].isin(ids[name])]
        narrow = narrow[~narrow["id"].isin(_ids(self._target, name, key))]
        for some in _pieces(len(narrow), self._rows_at_once(name)):
            piece = narrow[some]
            first, last = int(piece[order].iloc[0]), int(piece[order].iloc[-1])
            rows = self._source.between(name, {**here, order: (first, last)})
            yield rows[rows["id"].isin(piece["id"])]

    def _append(self, pieces: Mapping[Table, Sequence[pd.DataFrame]]) -> None:
        frames = {name: pd.concat(some) for name, some in pieces.items()}
        self._target.append(frames)
        for name, rows in frames.items():
            self.copied[name] += len(rows)
        self._advance(sum(map(len, frames.values())))

    def _rows_at_once(self, name: Table) -> int:
        return max(_AT_ONCE // len(self._source.schema.tables[name]), 1)


def _record(config: pd.DataFrame) -> JobRecord:
    return JobRecord.model_validate_json(str(config["record"].iloc[-1]))


def _bounds(key: StepKey) -> dict[str, tuple[float, float]]:
    return {column: (value, value) for column, value in vars(key).items()}


def _ids(store: Store, name: Table, key: StepKey) -> IdArray:
    """Return the ids of the rows of a step."""
    return store.between(name, _bounds(key), ["id"])["id"].to_numpy(np.uint64)


def _tuples(frame: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(frame.itertuples(index=False, name=None))


def _pieces(n: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, n, size))


def _take(counts: Counter[tuple[object, ...]], row: tuple[object, ...]) -> bool:
    """Take a row away, if there is one."""
    there = counts[row] > 0
    counts[row] -= there
    return there
