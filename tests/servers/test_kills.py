"""A killed job on a server is continued; studies/reliability kills it at every moment."""

from __future__ import annotations

import pytest

from tests.support.faults.jobs import KILLED


@pytest.mark.sample
def test_killed_once_at_each_kind_of_moment(databases, killers, tmp_path):
    """Also when half of the rows are sent, and when all are sent but not answered."""
    moments, outcomes = killers.kill_at_each_kind(databases, KILLED[0], tmp_path)
    tried = {(moments[outcome.at].when, moments[outcome.at].kind) for outcome in outcomes}
    assert {(when, "insert") for when in ("before", "half sent", "sent", "after")} <= tried
    assert {("before", "packet"), ("after", "packet")} <= tried
    assert all(outcome.died for outcome in outcomes)
    assert not [outcome.error for outcome in outcomes if outcome.error]
