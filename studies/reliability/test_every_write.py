"""Jobs stopped before and after every write; tests/jobs stops once between every two kinds of writes."""

from __future__ import annotations

import pytest

from tests.support.interrupting import (
    assert_stopped_certificates_complete,
    assert_stopped_jobs_complete,
    every_operation,
)
from tests.support.jobcases import CASES, CLASSIC


@pytest.mark.parametrize("case", CASES)
def test_stopped_before_and_after_every_write(case):
    assert_stopped_jobs_complete(case, every_operation)


@pytest.mark.parametrize("case", CLASSIC)
def test_certificates_stopped_before_and_after_every_write(case):
    assert_stopped_certificates_complete(case, every_operation)
