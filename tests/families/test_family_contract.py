"""Every family obeys the contract, and so do families that are not adagrid's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pytest
from scipy.special import ndtr
from typing_extensions import override

import adagrid.families
from adagrid._registry import implementations
from adagrid._typing import FloatArray
from adagrid.families import Binomial, Family, Normal
from adagrid.testing.families import FamilyContract


@final
@dataclass(frozen=True)
class Exponential(Family):
    """Sums of n waiting times: the natural parameter is minus the rate, so the domain ends at zero."""

    n: int

    @property
    @override
    def dim(self) -> int:
        return 2

    @property
    @override
    def coordinates(self) -> str:
        return "minus the rates"

    @property
    @override
    def domain(self) -> tuple[FloatArray, FloatArray]:
        return np.full(2, -np.inf), np.zeros(2)

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return -self.n * np.sum(np.log(-theta), axis=-1)

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return -self.n * np.sum(np.log1p(displacement / theta), axis=-1)


@final
@dataclass(frozen=True)
class Poisson(Family):
    """Counts: the log-partition overflows far from zero."""

    @property
    @override
    def dim(self) -> int:
        return 1

    @property
    @override
    def coordinates(self) -> str:
        return "logarithms of the means"

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return np.sum(np.exp(theta), axis=-1)

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        return np.sum(np.exp(theta) * np.expm1(displacement), axis=-1)


CASES: dict[str, tuple[Family, FloatArray]] = {
    "normal": (Normal(sd=1.0), np.array([[0.0], [-0.3], [25.0]])),
    "normal, 3 means": (
        Normal(sd=(0.5, 1.0, 20.0), n=(1, 40, 300)),
        np.array([[0.0, 0.0, 0.0], [0.1, -0.4, 3.0]]),
    ),
    "binomial, 1 arm": (Binomial(50), np.array([[-40.0], [-3.0], [0.0], [0.7], [12.0]])),
    "binomial, 2 arms": (Binomial((35, 35)), np.array([[0.0, 0.0], [-1.5, 0.5], [-6.0, 3.0]])),
    "binomial, 4 arms": (Binomial((5, 50, 400, 17)), np.array([[0.0, -1.0, 0.5, 2.0], [-3.0, 0.1, -0.4, 1.0]])),
    "exponential (bounded domain)": (Exponential(20), np.array([[-1.0, -1.0], [-0.01, -30.0]])),
    "poisson (overflows)": (Poisson(), np.array([[-4.0], [0.0], [5.0]])),
}


@pytest.mark.parametrize("case", CASES)
class TestFamilies(FamilyContract):
    @pytest.fixture
    def family(self, case: str) -> Family:
        return CASES[case][0]

    @pytest.fixture
    def theta(self, case: str) -> FloatArray:
        return CASES[case][1]


def test_every_family_is_found_by_its_module_and_runs_the_contract():
    found = implementations(adagrid.families, Family)  # type: ignore[type-abstract]
    assert found == {"binomial": Binomial, "normal": Normal}
    assert set(found.values()) <= {type(family) for family, _ in CASES.values()}


class _Broken(Family):
    """A normal mean whose log-partition or cumulant is replaced by something wrong."""

    def __init__(self, log_partition=None, cumulant=None) -> None:
        self._log_partition = log_partition or (lambda theta: theta**2 / 2)
        self._cumulant = cumulant

    @property
    @override
    def dim(self) -> int:
        return 1

    @property
    @override
    def coordinates(self) -> str:
        return "means"

    @override
    def log_partition(self, theta: FloatArray) -> FloatArray:
        return np.sum(self._log_partition(theta), axis=-1)

    @override
    def cumulant(self, theta: FloatArray, displacement: FloatArray) -> FloatArray:
        if self._cumulant is None:
            return super().cumulant(theta, displacement)
        return np.sum(self._cumulant(theta, displacement), axis=-1)


@pytest.mark.parametrize(
    ("family", "law"),
    [
        (_Broken(lambda theta: -(theta**2) / 2), "test_gradient_of_log_partition_is_monotone"),
        (_Broken(lambda theta: -(theta**2) / 2), "test_cumulant_is_convex"),
        (_Broken(lambda theta: 5 * ndtr(theta)), "test_gradient_of_log_partition_is_monotone"),
        (
            _Broken(lambda theta: np.where(theta > 1, np.nan, theta**2 / 2)),
            "test_log_partition_is_finite_in_the_domain",
        ),
        (_Broken(cumulant=lambda theta, v: v * v / 2 - theta * v), "test_cumulant_is_a_difference_of_log_partitions"),
        (_Broken(cumulant=lambda theta, v: v * v / 2 + 0 * theta), "test_cumulant_is_a_difference_of_log_partitions"),
        (_Broken(cumulant=lambda theta, v: v * v / 2 + theta * v + 1e-9), "test_cumulant_is_zero_without_displacement"),
    ],
)
def test_the_contract_refuses_a_wrong_family(family: Family, law: str):
    theta = np.array([[0.4], [2.0]])
    with np.errstate(divide="ignore"), pytest.raises(AssertionError):
        getattr(FamilyContract(), law)(family, theta)
