"""A copy of a job is the job, from every store of this process to every other."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.support.copies import IN_PROCESS, assert_a_copy_is_the_job


@pytest.mark.parametrize(("first", "second"), list(permutations(IN_PROCESS, 2)))
def test_a_copy_is_the_job(copied_job, empty_store, first, second):
    source = empty_store(first)
    assert_a_copy_is_the_job(copied_job, copied_job, source)
    assert_a_copy_is_the_job(copied_job, source, empty_store(second))
