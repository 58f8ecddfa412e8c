"""Every design keeps the contract."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import adagrid.models
from adagrid import (
    ArrayModel,
    BayesianBasket,
    Boschloo,
    ChiSquaredVariance,
    DecisionTable,
    Dunnett,
    FisherExact,
    GroupSequential,
    GroupSequentialSize,
    GroupSequentialT,
    LogRank,
    ManyToOne,
    Model,
    Normal,
    PooledZ,
    TTest,
    TwoExponentials,
    UnpooledZ,
    ZTest,
)
from adagrid._registry import implementations
from adagrid._typing import BoolArray, FloatArray
from adagrid.testing.models import ArrayModelContract, ModelContract

MEANS, LOGITS = [[-1.0], [0.0], [0.3]], [[-1.0, 0.5], [0.0, 0.0], [3.0, -3.0]]
STUDENT, HAZARDS = [[0.0, -0.5], [-3.0, -40.0], [0.1, -0.01]], [[1.0, 1.0], [0.3, 0.5], [20.0, 10.0]]
LOGITS_3, TRUTH_3 = [[0.0, 1.0, -1.0], [0.3, 0.3, 0.3]], [[True, False], [True, True]]


def _decisions() -> pd.DataFrame:
    """Reject where more of an arm than of the first respond."""
    frame = pd.DataFrame(np.indices((4, 3, 5)).reshape(3, -1).T, columns=["responders0", "responders1", "responders2"])
    for i, n in enumerate((2, 4)):
        frame[f"reject{i}"] = frame[f"responders{i + 1}"] / n > frame["responders0"] / 3
    return frame


# A design, parameters, and which hypotheses are true there (one that is always true where there is nothing).
CASES: dict[str, tuple[Model, list, list | None]] = {
    "z": (ZTest(n=4, sd=2.0), MEANS, None),
    "Fisher": (FisherExact((7, 10)), LOGITS, None),
    "pooled z": (PooledZ(150), LOGITS, None),
    "unpooled z": (UnpooledZ((30, 20)), LOGITS, None),
    "Boschloo": (Boschloo(12), LOGITS, None),
    "table of p-values": (DecisionTable.of(Boschloo((7, 10))), LOGITS, None),
    "table of decisions on several hypotheses": (DecisionTable((3, 2, 4), _decisions()), LOGITS_3, TRUTH_3),
    "O'Brien-Fleming": (GroupSequential(5), MEANS, None),
    "Pocock, two-sided": (GroupSequential([0.2, 1.0], "pocock", two_sided=True, n=9), MEANS, None),
    "boundaries of one's own": (GroupSequential(3, [np.inf, 2.0, 1.9], futility=[-0.5, 0.0]), MEANS, None),
    "size of a group-sequential trial": (GroupSequentialSize(3, threshold=2.0, futility=[-0.5, 0.0]), MEANS, None),
    "basket": (BayesianBasket(12, 3, 0.2), LOGITS_3, [[True, False, True], [True, True, False]]),
    "many to one": (ManyToOne((9, 6), 2), LOGITS_3, TRUTH_3),
    "Dunnett": (Dunnett(2, [4, 3, 5], 2.0), [[0.0, 0.1, -0.1], [1.0, 0.0, 2.0]], [[False, True], [True, False]]),
    "t": (TTest(5), STUDENT, None),
    "group-sequential t": (GroupSequentialT([4, 5, 9], [3.0, np.inf, 2.0]), STUDENT, None),
    "variance": (ChiSquaredVariance(12, 4.0, alternative="smaller"), [[0.1], [0.25], [3.0]], None),
    "exponential": (TwoExponentials(20, "wald"), HAZARDS, None),
    "log-rank": (LogRank((12, 9), accrual=1.0, follow_up=0.5), HAZARDS, None),
}


@pytest.mark.parametrize("case", CASES)
class TestModels(ModelContract):
    @pytest.fixture
    def model(self, case: str) -> Model:
        return CASES[case][0]

    @pytest.fixture
    def theta(self, case: str) -> FloatArray:
        return np.array(CASES[case][1])

    @pytest.fixture
    def null_truth(self, case: str, theta: FloatArray) -> BoolArray:
        truth = CASES[case][2]
        return np.ones((len(theta), 1), bool) if truth is None else np.array(truth)


def test_every_model_is_found_by_its_module_and_runs_the_contract():
    found = implementations(adagrid.models, Model)
    assert set(found.values()) == {type(model) for model, _, _ in CASES.values()}
    for cls in found.values():
        assert getattr(adagrid, cls.__name__) is getattr(adagrid.models, cls.__name__) is cls
        assert cls.__name__ in adagrid.__all__


class PairedSigns(ArrayModel):
    """Two means tested by the sign of single observations: a design in NumPy with a whole number as its statistic."""

    family = Normal(sd=1.0, n=(3, 3))
    reject_when = "large"

    def simulate(self, begin, end, theta, null_truth):
        above = ndtri(self.uniforms(begin, end, 6)).reshape(-1, 2, 3) > -theta[:, None, :, None]
        return np.where(null_truth[:, None, :], above.sum(axis=3), -1).max(axis=2)


class TestArrayModel(ArrayModelContract):
    @pytest.fixture
    def model(self):
        return PairedSigns()

    @pytest.fixture
    def theta(self):
        return np.array([[0.0, 0.5], [-1.0, 2.0]])

    @pytest.fixture
    def null_truth(self):
        return np.array([[True, True], [False, True]])


@pytest.mark.parametrize("case", ["many to one", "Dunnett", "basket", "table of decisions on several hypotheses"])
def test_grids_with_other_hypotheses_are_refused(case):
    model = CASES[case][0]
    grid = adagrid.cartesian_grid([-1] * 3, [1] * 3, n=1, null_hypos=["theta1 <= theta0"])
    with pytest.raises(adagrid.errors.ModelError, match="null hypotheses, and the grid must have the same"):
        adagrid.validate(model, threshold=0.5, grid=grid)
