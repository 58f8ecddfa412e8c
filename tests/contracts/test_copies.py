"""A copy of a job is the job, between all stores of this process."""

from __future__ import annotations

import pytest

from tests.support.copies import IN_PROCESS, assert_a_copy_is_the_job, assert_a_cut_copy_completes


@pytest.mark.parametrize("first", IN_PROCESS)
def test_a_copy_is_the_job(copied_job, empty_store, first):
    source = empty_store(first)
    assert_a_copy_is_the_job(copied_job, copied_job, source)
    for second in IN_PROCESS:
        if second != first:
            assert_a_copy_is_the_job(copied_job, source, empty_store(second))


def test_a_copy_that_a_lost_connection_cut(copied_job, empty_store, monkeypatch):
    assert_a_cut_copy_completes(copied_job, empty_store("modern"), monkeypatch)
