"""Every family obeys the contract, and so do families that are not adagrid's own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

import jax
import numpy as np
import pytest
from jax.errors import TracerArrayConversionError
from scipy.special import expit, ndtr
from typing_extensions import override

import adagrid as ada
import adagrid.families
from adagrid._registry import implementations
from adagrid._typing import FloatArray
from adagrid.families import Binomial, Family, Normal, family_record, recorded_family
from adagrid.families.family import namespace
from adagrid.testing._trials import Trials
from adagrid.testing.families import Draw, FamilyContract


@final
@dataclass(frozen=True)
class Waiting(Family):
    """A user's own, written as briefly as can be: minus the rates of waiting times, so the domain ends above."""

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
        xp = namespace(theta)
        return -self.n * xp.sum(xp.log(-theta), axis=-1)


def draw_normal(family, generator, theta, count):
    n, sd = np.asarray(family.n), np.asarray(family.sd)
    return n * (theta + sd / np.sqrt(n) * generator.normal(size=(count, family.dim))) / sd**2


def draw_binomial(family, generator, theta, count):
    return generator.binomial(family.patients, expit(theta), (count, family.dim)).astype(float)


def draw_waiting(family, generator, theta, count):
    return generator.gamma(family.n, -1 / theta, (count, 2))


def draw_gamma(family, generator, theta, count):
    """T is minus the sum; a sum of n gamma variables has n times the shape."""
    return -generator.gamma(np.multiply(family.shape, family.n), 1 / theta, (count, family.dim))


def draw_exponential(family, generator, theta, count):
    return -generator.gamma(np.asarray(family.n), 1 / theta, (count, family.dim))


def draw_scaled_chi_squared(family, generator, theta, count):
    """T is minus half of the sum of squares, sigma^2 = 1 / theta."""
    return -generator.chisquare(np.asarray(family.df), (count, family.dim)) / theta / 2


def draw_poisson(family, generator, theta, count):
    return generator.poisson(family.exposure * np.exp(theta), (count, family.dim)).astype(float)


def draw_negative_binomial(family, generator, theta, count):
    """NumPy's p is that of a failure, which ends the counting."""
    size = np.multiply(family.size, family.n)
    return generator.negative_binomial(size, -np.expm1(theta), (count, family.dim)).astype(float)


def draw_multivariate_normal(family, generator, theta, count):
    covariance = np.asarray(family.covariance)
    means = generator.multivariate_normal(theta, covariance / family.n, count)
    return family.n * np.linalg.solve(covariance, means.T).T


def draw_normal_unknown_variance(family, generator, theta, count):
    """The sums of the observations and of their squares, from single observations."""
    parts = []
    for arm, n in enumerate(family.n):
        variance = -0.5 / theta[2 * arm + 1]
        x = generator.normal(theta[2 * arm] * variance, np.sqrt(variance), (count, n))
        parts += [x.sum(axis=1), (x**2).sum(axis=1)]
    return np.stack(parts, axis=1)


def draw_product(family, generator, theta, count):
    parts, start = [], 0
    for one in family.families:
        parts.append(draw_from(one, generator, theta[start : start + one.dim], count))
        start += one.dim
    return np.concatenate(parts, axis=1)


def draw_linear_map(family, generator, theta, count):
    """theta . M^T T = (M theta) . T."""
    matrix = np.asarray(family.matrix)
    return draw_from(family.family, generator, matrix @ theta + family.offset, count) @ matrix


def draw_from(family, generator, theta, count):
    if isinstance(family, Waiting):
        return draw_waiting(family, generator, theta, count)
    draw = globals()["draw_" + family_record(family)["name"]]
    return draw(family, generator, theta, count)


CORRELATED = ((1.0, 0.8, 0.1), (0.8, 4.0, -0.3), (0.1, -0.3, 0.25))
# Two doses that share a control, and a covariate: a polyhedron of rates above zero.
SHARED = ((1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.5, 1.0, 1.0))

CASES: dict[str, tuple[Family, FloatArray]] = {
    "normal": (Normal(sd=1.0), np.array([[0.0], [-0.3], [25.0]])),
    "normal, 3 means": (
        Normal(sd=(0.5, 1.0, 20.0), n=(1, 40, 300)),
        np.array([[0.0, 0.0, 0.0], [0.1, -0.4, 3.0]]),
    ),
    "binomial, 1 arm": (Binomial(50), np.array([[-40.0], [-3.0], [0.0], [0.7], [12.0]])),
    "binomial, 2 arms": (Binomial((35, 35)), np.array([[0.0, 0.0], [-1.5, 0.5], [-6.0, 3.0]])),
    "binomial, 4 arms": (Binomial((5, 50, 400, 17)), np.array([[0.0, -1.0, 0.5, 2.0], [-3.0, 0.1, -0.4, 1.0]])),
    "own, with nothing but A and a domain": (Waiting(20), np.array([[-1.0, -1.0], [-0.5, -3.0]])),
    "exponential": (ada.Exponential(20), np.array([[1.0], [1e-6], [300.0]])),
    "exponential, 3 arms": (ada.Exponential((1, 40, 300)), np.array([[1.0, 0.01, 30.0], [2.0, 2.0, 2.0]])),
    "gamma": (ada.Gamma(shape=(0.3, 7.5), n=(1, 12)), np.array([[1.0, 0.2], [40.0, 1e-3]])),
    "scaled chi-squared": (ada.ScaledChiSquared((1, 19.5)), np.array([[1.0, 4.0], [0.02, 0.02]])),
    "poisson": (ada.Poisson((1.0, 40.0)), np.array([[0.0, -1.0], [5.0, 2.0], [-4.0, -12.0]])),
    "negative binomial": (
        ada.NegativeBinomial(size=(0.4, 3.0), n=(5, 30)),
        np.array([[-1.0, -0.3], [-0.01, -6.0], [-3.0, -1.0]]),
    ),
    "multivariate normal": (
        ada.MultivariateNormal(CORRELATED, n=12),
        np.array([[0.0, 0.0, 0.0], [0.3, -2.0, 0.1]]),
    ),
    "normal, unknown variance": (
        ada.NormalUnknownVariance(10),
        np.array([[0.0, -0.5], [-1.0, -2.0], [30.0, -2.0], [0.05, -1e-3]]),
    ),
    "normal, unknown variances": (
        ada.NormalUnknownVariance((2, 25)),
        np.array([[0.2, -0.5, 0.1, -0.4], [-3.0, -2.0, 0.0, -0.1]]),
    ),
    "product": (
        ada.Product((ada.Exponential(8), Binomial((12, 30)))),
        np.array([[0.5, 0.0, -1.0], [20.0, -3.0, 1.0]]),
    ),
    "product, not separable": (
        ada.Product((ada.NormalUnknownVariance(15), ada.Poisson(9.0))),
        np.array([[0.4, -0.5, 1.0], [-1.0, -3.0, -2.0]]),
    ),
    "logistic regression": (
        ada.LinearMap(Binomial((20, 30, 25, 40)), SHARED, offset=(0.0, 0.0, 0.5, -0.2)),
        np.array([[0.0, 0.0, 0.0], [-1.2, 0.4, 0.9]]),
    ),
    "few patients in a rotated plane": (
        ada.LinearMap(Binomial((1, 2)), ((1.0, 1.0), (1.0, -1.0))),
        np.array([[0.0, 0.0], [1.5, 0.2]]),
    ),
    "poisson regression": (ada.LinearMap(ada.Poisson((3.0, 30.0, 8.0)), SHARED[:3]), np.array([[0.3, -0.5, 0.4]])),
    "negative binomial regression": (
        ada.LinearMap(ada.NegativeBinomial(2.0, n=(10, 20)), ((1.0, 0.0), (1.0, 1.0)), offset=-0.1),
        np.array([[-1.0, 0.3], [-0.5, -0.2]]),
    ),
    "rates in a polyhedron": (
        ada.LinearMap(ada.Exponential((10, 20, 5, 9)), SHARED),
        np.array([[1.0, 0.3, -0.2], [0.4, -0.3, 2.0]]),
    ),
    "scaled parameters": (
        ada.LinearMap(Binomial((9, 30)), ((2.0, 0.0), (0.0, -0.5)), offset=1.0),
        np.array([[0.2, 1.0]]),
    ),
    "three arms with two parameters": (
        ada.LinearMap(ada.Poisson((2.0, 9.0, 30.0)), ((1.0, 0.0), (0.0, 1.0), (-0.5, 0.0))),
        np.array([[0.1, -0.6]]),
    ),
    "one parameter of two": (
        ada.LinearMap(ada.NormalUnknownVariance(6), ((1.0,), (0.0,)), offset=(0.0, -0.5)),
        np.array([[0.0], [0.4]]),
    ),
    "correlated regression": (
        ada.LinearMap(ada.MultivariateNormal(CORRELATED), ((1.0, 0.0), (1.0, 1.0), (1.0, 2.0))),
        np.array([[0.1, -0.2]]),
    ),
}


@pytest.mark.parametrize("case", CASES)
class TestFamilies(FamilyContract):
    @pytest.fixture
    def family(self, case: str) -> Family:
        return CASES[case][0]

    @pytest.fixture
    def theta(self, case: str) -> FloatArray:
        return CASES[case][1]

    @pytest.fixture
    def draw(self, family: Family) -> Draw:
        return lambda generator, theta, count: draw_from(family, generator, theta, count)


def test_every_family_is_found_by_its_module_and_runs_the_contract():
    found = implementations(adagrid.families, Family)  # type: ignore[type-abstract]
    assert {"binomial": Binomial, "normal": Normal}.items() <= found.items()
    assert set(found.values()) == {type(family) for family, _ in CASES.values()} - {Waiting}


def test_a_new_file_is_all_that_a_family_needs(tmp_path, monkeypatch):
    """Found by its module, recorded and built again: nothing is listed anywhere."""
    (tmp_path / "unit_poisson.py").write_text(
        """
from dataclasses import dataclass
from adagrid.families.family import Family, namespace

@dataclass(frozen=True)
class UnitPoisson(Family):
    n: int
    dim = 1
    coordinates = "logarithms of rates"

    def log_partition(self, theta):
        return self.n * namespace(theta).exp(theta)[..., 0]
"""
    )
    monkeypatch.setattr(adagrid.families, "__path__", [*adagrid.families.__path__, str(tmp_path)])
    found = implementations(adagrid.families, Family)  # type: ignore[type-abstract]
    family = ada.Product((found["unit_poisson"](3), Normal()))  # type: ignore[call-arg]
    record = family_record(family)
    assert record["fields"]["families"][0] == {"name": "unit_poisson", "fields": {"n": 3}}
    assert recorded_family(record) == family


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


@dataclass(frozen=True)
class _Claims(Family):
    """A rotated pair of binomial arms that claims something wrong."""

    wrong: str
    dim = 2
    coordinates = "sums and differences of logits"

    @property
    def separable(self) -> bool:
        return self.wrong == "separable"

    def log_partition(self, theta: FloatArray) -> FloatArray:
        xp = namespace(theta)
        one, other = theta[..., 0] + theta[..., 1], theta[..., 0] - theta[..., 1]
        if self.wrong == "not in JAX":
            return np.logaddexp(0.0, one) + np.logaddexp(0.0, other)
        return xp.logaddexp(0.0, one) + xp.logaddexp(0.0, other)

    def convex_up_to(self, theta: FloatArray, displacements: FloatArray) -> FloatArray:
        return np.full(len(theta), np.inf if self.wrong == "convex" else 1.0)

    def contains(self, theta: FloatArray) -> np.ndarray:
        return super().contains(theta) & ((theta[..., 0] < 9.0) if self.wrong == "reach" else True)


def draw_twice(generator, theta, count):
    """The right statistics, of two patients each."""
    one, other = generator.binomial(2, expit([theta.sum(), theta[0] - theta[1]]), (count, 2)).T
    return np.stack([one + other, one - other], axis=1).astype(float)


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ("separable", "test_separable_families_are_sums"),
        ("separable", "test_no_parameters_of_a_tile_are_forgotten"),
        ("convex", "test_convexity_that_is_claimed_holds"),
        ("convex", "test_no_parameters_of_a_tile_are_forgotten"),
        ("reach", "test_reach_is_the_way_to_the_border"),
    ],
)
def test_the_contract_refuses_wrong_claims(wrong: str, law: str):
    """Among others that the worst parameters are at vertices: with few patients and large tiles they are not."""
    theta = np.array([[0.0, 0.0], [3.0, 0.0]])
    if wrong != "separable":
        getattr(FamilyContract(), law)(_Claims("nothing"), theta)
    with pytest.raises(AssertionError):
        getattr(FamilyContract(), law)(_Claims(wrong), theta)


_calls = itertools.count()


@dataclass(frozen=True)
class _Drawn(Family):
    """Two normal observations, drawn in a wrong way."""

    wrong: str
    dim = 1
    coordinates = "means"

    def log_partition(self, theta: FloatArray) -> FloatArray:
        return theta[..., 0] ** 2

    def draw(self, key):
        return jax.random.normal(key, (2,))

    def data(self, draw, theta):
        shift = {"mean": 0.2, "state": next(_calls)}.get(self.wrong, 0.0)
        return draw * {"spread": 0.9, "precise": 0.5}.get(self.wrong, 1.0) + theta[0] + shift

    def sufficient(self, data):
        return data.sum(keepdims=True)


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ("mean", "test_data_have_the_moments_of_the_log_partition"),
        ("spread", "test_data_have_the_moments_of_the_log_partition"),
        ("state", "test_data_are_pure"),
        ("precise", "test_no_function_of_the_data_refutes_the_family"),
    ],
)
def test_the_contract_refuses_wrong_data(wrong: str, law: str):
    theta, family = np.array([[0.3]]), _Drawn(wrong)
    trials = Trials(family.draw, family.data, family.sufficient, family.dim, double=False)
    arguments = {"family": family, "theta": theta, "trials": trials}
    if law == "test_data_are_pure":
        del arguments["family"]
    with pytest.raises(AssertionError):
        getattr(FamilyContract(), law)(**arguments)


def test_the_contract_refuses_other_data_and_other_arrays():
    theta = np.array([[0.3, -0.2]])
    with pytest.raises(AssertionError):
        FamilyContract().test_gradient_of_log_partition_is_the_mean(_Claims("nothing"), theta, draw_twice)
    with pytest.raises(TracerArrayConversionError):
        FamilyContract().test_methods_take_jax_arrays(_Claims("not in JAX"), theta)
