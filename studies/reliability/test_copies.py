"""Copies of jobs cut at every write, taken at every moment, and of jobs that move in many ways."""

from __future__ import annotations

import pytest

from tests.support.interrupting import every_operation
from tests.support.transfers import (
    KINDS,
    assert_a_moving_job_can_be_copied,
    assert_cut_copies_complete,
    assert_every_moment_can_be_copied,
)


@pytest.mark.parametrize("case", KINDS)
def test_cut_before_and_after_every_append(case):
    assert_cut_copies_complete(case, every_operation)


@pytest.mark.parametrize("case", KINDS)
def test_every_moment_of_a_job(case):
    assert_every_moment_can_be_copied(case, every_operation)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("case", KINDS)
def test_of_a_job_that_goes_on_meanwhile(case, seed):
    assert_a_moving_job_can_be_copied(case, seed)
