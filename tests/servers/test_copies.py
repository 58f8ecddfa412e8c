"""A copy of a job is the job, to a server from all other stores and back."""

from __future__ import annotations

import pytest

from tests.support.copies import IN_PROCESS, assert_a_copy_is_the_job, assert_a_cut_copy_completes


@pytest.mark.sample
def test_a_copy_is_the_job(copied_job, empty_store):
    server = empty_store("old")
    assert_a_copy_is_the_job(copied_job, copied_job, server)
    for other in IN_PROCESS:
        there = empty_store(other)
        assert_a_copy_is_the_job(copied_job, server, there)
        assert_a_copy_is_the_job(copied_job, there, empty_store("old"))


def test_a_copy_that_a_lost_connection_cut(copied_job, empty_store, monkeypatch):
    assert_a_cut_copy_completes(copied_job, empty_store("old"), monkeypatch)
