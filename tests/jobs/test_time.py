"""A run ends within a packet's length of its timeout, whatever it is at, and nothing of its answer changes."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

import adagrid as ada
from adagrid import _deadline
from adagrid.runtime.pace import Pace
from adagrid.runtime.work import Work
from adagrid.runtime.zones import run_zones
from adagrid.testing.pandas_store import PandasStore
from tests.support.jobcases import assert_same, run_case, tables


class Clock:
    """A clock that every look at it advances by a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_deadline, "_clock", clock)
    return clock


@pytest.mark.parametrize(
    ("case", "zones"), [("validate_z", 1), ("calibrate_z", 2), ("staged_validate_z", 2), ("staged_calibrate_z", 1)]
)
def test_timed_out_at_any_look(case, zones, clock):
    """What was finished is whole, and the job goes on to the same tables."""
    settings = {"packet_size": 5, "backend": ada.LocalBackend(zones, 2)}
    with closing(run_case(case, db=PandasStore(), timeout=1e9, **settings)) as run:
        answer = tables(run)
    looks = int(clock.now)
    moments = np.unique(np.linspace(1, looks - 2, 4).astype(int))  # the last look sizes a piece
    assert len(moments) == 4
    for moment in moments:
        store = PandasStore()
        run = run_case(case, db=store, timeout=float(moment), **settings)
        assert run.status is ada.Status.TIMED_OUT
        store.verify()
        told = run.summary()
        assert "TIMED_OUT" in told
        more = {"overrides": {"timeout": None}}
        assert_same(run_case(case, db=store, **more, **{**settings, "timeout": float(moment)}), answer)
    assert ("Last look   not yet: continue the job" in told) == case.startswith("staged")


@pytest.mark.parametrize("case", ["validate_z", "staged_validate_z"])
def test_no_packet_begins_after_the_timeout(case, monkeypatch):
    """Nor a test of the family, nor a last look: whatever is simulated takes a second here, and nothing else does."""
    seconds, answer = [0.0], Work.__call__

    def answering(work, asked):
        seconds[0] += 1.0
        return answer(work, asked)

    monkeypatch.setattr(_deadline, "_clock", lambda: seconds[0])
    monkeypatch.setattr(Work, "__call__", answering)
    run_case(case, db=PandasStore(), packet_size=1)
    total = seconds[0]
    for timeout in (1, 2, 3, total // 2, total - 1):
        seconds[0] = 0.0
        run = run_case(case, db=PandasStore(), packet_size=1, timeout=timeout - 0.5)
        assert (run.status, seconds[0]) == (ada.Status.TIMED_OUT, timeout)


def test_callbacks_and_certificates_take_their_time(clock):
    """Nobody asked for a limit to these."""
    left = []
    look = lambda report: left.append(_deadline.seconds_left())
    run = run_case("validate_z", db=PandasStore(), timeout=1e9, callback=look)
    assert set(left) == {np.inf}
    clock.now = 1e10
    assert run.certify().guarantee == "certified"


def test_deadlines_of_runs_within_runs():
    with _deadline.within(-1.0):
        with _deadline.within(None):
            _deadline.check_time()
        with pytest.raises(_deadline.TimeUpError):
            _deadline.check_time()
    assert _deadline.seconds_left() == np.inf


def test_zones_on_workers():
    """Each ends by itself; the leader shows what all of them report before it ends, too."""
    shown, answers = [], [(["end"], ["first"]), ([], ["second"]), ([None], ["third"])]
    backend = SimpleNamespace(has_workers=True, map=lambda work, zones: answers)
    store = SimpleNamespace(opener=PandasStore)
    job = SimpleNamespace(backend=backend, store=store, work=None, seconds=0.0, show=shown.append)
    with pytest.raises(_deadline.TimeUpError):
        run_zones(job, [None] * 3)
    assert shown == ["first", "second", "third"]
    answers[1] = (["end"], [])
    assert run_zones(job, [None] * 3) == ["end", "end", None]


class TestPace:
    n_sims = np.full(1000, 2**16)

    def test_without_a_deadline_nothing_is_cut(self):
        assert list(Pace(8).pieces(self.n_sims)) == [slice(0, 1000)]

    def test_pieces_last_seconds_once_the_pace_is_known(self, clock):
        with _deadline.within(1e9):
            pace, sizes = Pace(8), []
            for rows in pace.pieces(self.n_sims):
                sizes.append(len(self.n_sims[rows]))
                pace.note(self.n_sims[rows], len(self.n_sims[rows]) / 40)  # 40 rows a second
        assert sizes == [16, *[200] * 4, 184]

    def test_no_piece_is_smaller_than_what_is_simulated_together(self, clock):
        with _deadline.within(1e9):
            pace = Pace(32)
            pace.note(self.n_sims[:1], 60.0)
            assert pace.first(self.n_sims) == 32
            assert pace.first(self.n_sims[:3]) == 3

    def test_computed_errors_count_as_one(self, clock):
        with _deadline.within(1e9):
            pace, nothing = Pace(1), np.zeros(1000, np.int64)
            assert pace.first(nothing) == 256
            pace.note(nothing[:256], 256.0)
            assert pace.first(nothing) == 5
