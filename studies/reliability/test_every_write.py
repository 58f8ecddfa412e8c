"""Jobs stopped before and after every write; of two moments with nothing in between, tests/jobs tries one."""

from __future__ import annotations

import itertools

import pytest

from tests.support.interrupting import assert_stopped_certificates_complete, assert_stopped_jobs_complete
from tests.support.jobcases import CLASSIC


@pytest.mark.parametrize("case", ["validate_z", "staged_validate_z", "staged_calibrate_z", "calibrate_fisher"])
def test_stopped_before_and_after_every_write(case):
    assert_stopped_jobs_complete(case, itertools.count(2))


@pytest.mark.parametrize("case", CLASSIC)
def test_certificates_stopped_before_and_after_every_write(case):
    assert_stopped_certificates_complete(case, itertools.count(2))
