"""A copy of a job is the job, between all stores of this process."""

from __future__ import annotations

from tests.support.copies import IN_PROCESS, assert_a_copy_is_the_job, assert_a_cut_copy_completes


def test_a_copy_is_the_job(copied_job, empty_store):
    """Every store copies from another and is copied by the next; studies/stores tries all pairs."""
    source = copied_job
    for kind in (*IN_PROCESS, IN_PROCESS[0]):
        target = empty_store(kind)
        assert_a_copy_is_the_job(copied_job, source, target)
        source = target


def test_a_copy_that_a_lost_connection_cut(copied_job, empty_store, monkeypatch):
    assert_a_cut_copy_completes(copied_job, empty_store("modern"), monkeypatch)
