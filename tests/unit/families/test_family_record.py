"""A family that is written down can be built again; one of a user's own is not mistaken for another."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

import adagrid as ada
import adagrid.families
from adagrid._registry import implementations
from adagrid._source import same_source, source_of
from adagrid.families import family_record, recorded_family

SHARED = ((1.0, 0.0), (1.0, 1.0), (1.0, 0.3))
FAMILIES = [
    ada.Normal(sd=(1.0, 2.0), n=(3, 4)),
    ada.Normal(),
    ada.Binomial((5, 7)),
    ada.Binomial(3),
    ada.Exponential((5, 7)),
    ada.Gamma(shape=(0.1, 2), n=3),
    ada.ScaledChiSquared(9.5),
    ada.Poisson((1, 2.5)),
    ada.NegativeBinomial(size=1 / 3, n=(4, 5)),
    ada.MultivariateNormal(np.array([[2.0, 1 / 3], [1 / 3, 1.0]]), n=np.int64(5)),
    ada.NormalUnknownVariance((4, 5)),
    ada.Product([ada.Normal(), ada.Product((ada.Binomial(2), ada.NormalUnknownVariance(3)))]),
    ada.LinearMap(ada.Product([ada.Binomial((3, 4)), ada.Poisson()]), np.array(SHARED), offset=(0.1, 0.0, 1 / 3)),
]


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_the_inverse_of_recording_is_the_identity(family):
    """Through text, and again: what a job compares when it is continued does not change on the way."""
    record = family_record(family)
    assert json.loads(json.dumps(record)) == record
    again = recorded_family(json.loads(json.dumps(record)))
    assert again == family
    assert hash(again) == hash(family)
    assert repr(again) == repr(family)
    assert family_record(again) == record
    theta = np.where(np.isfinite(family.domain[1]), family.domain[1] - 0.3, 0.3)
    assert again.log_partition(theta) == family.log_partition(theta)


def test_every_family_is_recorded():
    assert {family_record(family)["name"] for family in FAMILIES} == set(
        implementations(adagrid.families, ada.Family)  # type: ignore[type-abstract]
    )


def test_families_of_others():
    @dataclass(frozen=True)
    class Own(ada.Family):
        dim = 1
        coordinates = "rates"

        def log_partition(self, theta):
            return theta[..., 0] ** 2

    for own in (Own(), ada.Product([ada.Normal(), Own()]), ada.LinearMap(Own(), [[2.0]])):
        assert family_record(own) == {}
    assert recorded_family({}) is None
    assert recorded_family({"name": "os", "fields": {}}) is None


class Square(ada.Family):
    dim = 1
    coordinates = "rates"

    def log_partition(self, theta):
        return theta[..., 0] ** 2


def test_what_a_family_inside_another_computes_is_part_of_the_design():
    """A job is not continued with a family of other source, wherever it is."""

    class Other(ada.Family):
        dim = 1
        coordinates = "rates"

        def log_partition(self, theta):
            return theta[..., 0] ** 4

    for inside in (
        lambda one: one,
        lambda one: ada.Product([ada.Normal(), one]),
        lambda one: ada.LinearMap(ada.Product([one]), [[2]]),
    ):
        same, again, other = (source_of([inside(each)]).text for each in (Square(), Square(), Other()))
        assert same_source(same, again)
        assert not same_source(same, other)
