"""One answer where every two choices of the matrix meet; studies/determinism runs the rest of the matrix."""

from __future__ import annotations

import itertools

import pytest

from tests.support.determinism import (
    CHOICES,
    JOBS,
    PACKETS,
    SAMPLE,
    STORES,
    WORKERS,
    ZONES,
    assert_same_answer,
)


@pytest.mark.parametrize(CHOICES, SAMPLE)
def test_same_answer(where, n_workers, n_zones, stopped, job, packet_size, opened, clusters):
    assert_same_answer(where, n_workers, n_zones, stopped, job, packet_size, opened, clusters)


def test_every_two_choices_meet():
    for first, second in itertools.combinations(range(6), 2):
        values = [(STORES, WORKERS, ZONES, (False, True), JOBS, PACKETS)[i] for i in (first, second)]
        met = {(row[first], row[second]) for row in SAMPLE}
        assert met == set(itertools.product(*values)), (first, second)
