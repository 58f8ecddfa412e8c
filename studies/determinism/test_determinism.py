"""One answer in the whole matrix of choices, but for the sample that tests/servers runs."""

from __future__ import annotations

import pytest

from tests.support.determinism import CHOICES, SAMPLE, WHOLE, assert_same_answer

REST = [row for row in WHOLE if row not in SAMPLE]
SOME = {40, 130, 220, 310, 400, 490}  # far apart: of every store and several numbers of workers


@pytest.mark.parametrize(
    CHOICES, [pytest.param(*row, marks=pytest.mark.sample if i in SOME else ()) for i, row in enumerate(REST)]
)
def test_same_answer(where, n_workers, n_zones, stopped, job, packet_size, opened, clusters):
    assert_same_answer(where, n_workers, n_zones, stopped, job, packet_size, opened, clusters)
