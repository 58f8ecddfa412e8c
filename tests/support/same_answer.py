"""Nothing but the settings changes the answer of a job: the laws, for tests of some jobs and studies of all."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd
import pytest

import adagrid as ada
from adagrid.errors import InvalidInputError
from adagrid.testing import PandasStore
from tests.support.interrupting import Stop, interrupting
from tests.support.jobcases import N_STEPS, assert_same, expected, run_case, tables

CHOICES = ("db", "packet_size", "tile_batch_size")
DBS, PACKETS, BATCHES = ("pandas", "memory", "file"), (None, 1, 7), (None, 1, 3)
WHOLE = tuple(itertools.product(DBS, PACKETS, BATCHES))
# Of the whole, rows in which every two choices meet.
MEETING = tuple((DBS[i], PACKETS[j], BATCHES[(i + j) % 3]) for i in range(3) for j in range(3))


def assert_ways_agree(case: str, db: str, packet_size: int | None, tile_batch_size: int | None, folder: Path) -> None:
    """Compare a job with the same one in this process's memory, in packets and batches as they come."""
    place = {"pandas": PandasStore(), "memory": None, "file": folder / "job.duckdb"}[db]
    with run_case(case, db=place, packet_size=packet_size, tile_batch_size=tile_batch_size) as run:
        assert_same(run, expected(case))


def assert_verified_at_every_step(case: str) -> None:
    """All relations hold after every step, in zones."""
    store = PandasStore()
    backend = ada.LocalBackend(n_zones=2, coordinate_every=2)
    run_case(case, db=store, backend=backend, packet_size=5, callback=lambda _: store.verify())


def assert_one_step_at_a_time_agrees(case: str) -> None:
    """Run one step, then one more, and so on to the end."""
    store = PandasStore()
    with pytest.raises(InvalidInputError, match="n_steps"):
        run_case(case, db=store, n_steps=0)
    run_case(case, db=store, n_steps=1)
    last = N_STEPS if case.startswith(("validate", "calibrate")) else 8
    for n_steps in range(2, last + 1):
        run = run_case(case, db=store, n_steps=1, overrides={"n_steps": n_steps})
        run.verify()
    assert_same(run, expected(case))
    assert len(run.table("config")) == last
    assert run.status is run_case(case, db=PandasStore()).status


def assert_zones_do_not_depend_on_packets(case: str) -> None:
    """A job in several zones has an answer of its own, whatever keeps it and however it is cut into packets."""
    backend = ada.LocalBackend(n_zones=3, coordinate_every=2)
    run = run_case(case, backend=backend)
    run.verify()
    assert run.table("coordinations")["n_zones"].unique().tolist() == [3]
    assert_same(run_case(case, backend=backend, db=PandasStore(), packet_size=2), tables(run))


def assert_zones_only_deal_points(case: str) -> None:
    """Zones of an interpolated job share out the points that are simulated, and change nothing else."""
    whole, dealt = expected(case), expected(case, n_zones=3)
    for name, frame in dealt.items():
        drop = [column for column in ("zone_id", "n_zones") if column in frame]
        if name in ("steps", "coordinations"):
            continue
        order = ["step_id", "id"]
        if name == "tiles":  # the grid's tiles are numbered within their zones
            drop.append("position")
        pd.testing.assert_frame_equal(
            frame.drop(columns=drop).sort_values(order, ignore_index=True),
            whole[name].drop(columns=drop).sort_values(order, ignore_index=True),
        )


def assert_targets_can_be_changed(operation: int) -> None:
    """A step that was begun is finished with the settings it was begun with; then the new ones hold."""
    case, store = "validate_fisher", PandasStore()
    with interrupting(store, operation), pytest.raises(Stop):
        run_case(case, db=store, packet_size=5)
    run = run_case(case, db=store, packet_size=5, overrides={"max_target": 0.5, "global_target": 0.5})
    run.verify()
    assert run.status is ada.Status.CONVERGED
    after = run.table("steps")
    assert_same(run, tables(run_case(case, db=PandasStore(), n_steps=len(after))))
    continued = run_case(case, db=store, packet_size=5, overrides={"max_target": 0.004, "global_target": 0.008})
    continued.verify()
    assert len(after) < len(continued.table("steps"))
    assert_same(continued, expected(case))


def assert_certified_the_same(case: str, path: Path) -> None:
    """Any packets and stores give the same certificate on the grid that was searched."""
    answer = run_case(case, db=PandasStore(), n_steps=3).certify()
    answer.verify()
    assert answer.guarantee == "certified"
    certified = tables(answer)
    assert_same(run_case(case, n_steps=3, packet_size=3).certify(), certified)
    with run_case(case, n_steps=3, db=path) as run:
        assert run.guarantee == "search only"
        assert_same(run.certify(), certified)
    with ada.open_job(path) as run:
        assert_same(run, certified)
        assert run.certify() is run


def assert_no_search_after_certifying(case: str) -> None:
    """The grid is frozen, and a certificate is accepted whatever it shows."""
    store = PandasStore()
    run_case(case, n_steps=2, db=store)
    # more steps were allowed, those of the next coordination too, but there is no time for them
    run = run_case(case, n_steps=2, db=store, overrides={"n_steps": 8, "timeout": 1e-9}).certify()
    assert run.status is ada.Status.TIMED_OUT
    bound, threshold = run.bound, run.threshold
    with pytest.raises(ada.errors.ResumeError, match="n_steps"):
        run_case(case, n_steps=2, db=store, overrides={"n_steps": 5})
    again = run_case(case, n_steps=2, db=store, overrides={"timeout": None})
    assert (again.bound, again.threshold, again.guarantee) == (bound, threshold, "certified")
    assert len(again.table("tiles")) == len(run.table("tiles"))


def assert_certified_with_fresh_simulations(case: str) -> None:
    """The tiles of a certificate are those of the search, and its simulations are others."""
    run = run_case(case, db=PandasStore(), n_steps=3)
    searched = run.results()
    certified = run.certify().results()
    tile = [name for name in searched if name.startswith(("id", "theta", "radius", "null_truth", "n_sims"))]
    by_id = lambda frame: frame.sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(by_id(certified)[tile], by_id(searched)[tile])
    found = "rejections" if case.startswith("validate") else "lambda_star"
    assert not by_id(certified)[found].equals(by_id(searched)[found])


class StepLaws:
    """What holds of the steps of a job; tests and studies give the cases."""

    def test_verified_at_every_step(self, case):
        assert_verified_at_every_step(case)

    def test_one_step_at_a_time(self, case):
        assert_one_step_at_a_time_agrees(case)

    def test_zones(self, case):
        assert_zones_do_not_depend_on_packets(case)
