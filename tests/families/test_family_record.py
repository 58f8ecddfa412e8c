"""A family that is written down can be built again; one of a user's own is not mistaken for another."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

import adagrid as ada
from adagrid.families import family_record, recorded_family


@pytest.mark.parametrize(
    "family", [ada.Normal(sd=(1.0, 2.0), n=(3, 4)), ada.Normal(), ada.Binomial((5, 7)), ada.Binomial(3)]
)
def test_the_inverse_of_recording_is_the_identity(family):
    again = recorded_family(json.loads(json.dumps(family_record(family))))
    assert again == family
    theta = np.full(family.dim, 0.3)
    assert again.log_partition(theta) == family.log_partition(theta)


def test_families_of_others():
    @dataclass(frozen=True)
    class Own(ada.Family):
        dim = 1
        coordinates = "rates"

        def log_partition(self, theta):
            return theta[..., 0] ** 2

    assert family_record(Own()) == {}
    assert recorded_family({}) is None
    assert recorded_family({"name": "os", "fields": {}}) is None
