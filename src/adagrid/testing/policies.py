"""The contract of selection policies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adagrid._typing import BoolArray
from adagrid.methods.classic import Classic
from adagrid.methods.tiles.policies import CalibrationPolicy, CalibrationState, ValidationPolicy, ValidationState
from adagrid.settings.goals import Calibration, Validation

_N = 500


class PolicyContract:
    """Laws that every policy keeps. Subclass and give the fixture `policy`, of either kind."""

    @pytest.fixture
    def policy(self) -> ValidationPolicy | CalibrationPolicy:
        """Return a policy."""
        raise NotImplementedError

    @pytest.fixture
    def state(self, policy: ValidationPolicy | CalibrationPolicy) -> ValidationState | CalibrationState:
        """Return many tiles in all sorts of states."""
        rng = np.random.default_rng(0)
        n_sims = rng.choice([64, 128, 256], _N)
        grid_cost = rng.choice([0.0, 0.0005, 0.0015, 0.004, 0.01], _N)
        if isinstance(policy, ValidationPolicy):
            bound = rng.uniform(0.01, 0.04, _N)
            return ValidationState(grid_cost, rng.choice([0.0, 0.001, 0.003, 0.02], _N), bound, n_sims, 0.025)
        mean = rng.choice([-np.inf, -2.0, -1.9], _N)
        return CalibrationState(grid_cost, rng.random(_N) < 0.2, mean, n_sims, float(mean.min()))

    def test_never_both(
        self, policy: ValidationPolicy | CalibrationPolicy, state: ValidationState | CalibrationState
    ) -> None:
        """A tile is refined or deepened or kept, and something happens to some."""
        refine, deepen = _decide(policy, state)
        assert refine.shape == deepen.shape == (_N,)
        assert not (refine & deepen).any()
        assert refine.any()
        assert deepen.any()

    def test_deepest_tiles_are_not_deepened(
        self, policy: ValidationPolicy | CalibrationPolicy, state: ValidationState | CalibrationState
    ) -> None:
        """Simulations stay within max_sims."""
        _, deepen = _decide(policy, state)
        assert not deepen[state.n_sims >= 256].any()

    def test_tiles_are_judged_one_by_one(
        self, policy: ValidationPolicy | CalibrationPolicy, state: ValidationState | CalibrationState
    ) -> None:
        """The order of the tiles, and which others are chosen, do not matter."""
        refine, deepen = _decide(policy, state)
        some = np.random.default_rng(1).permutation(_N)[: _N // 2]
        part = replace(
            state,
            **{name: value[some] for name, value in vars(state).items() if isinstance(value, np.ndarray)},  # type: ignore[arg-type]
        )
        again = _decide(policy, part)
        np.testing.assert_array_equal(again[0], refine[some])
        np.testing.assert_array_equal(again[1], deepen[some])


def _decide(
    policy: ValidationPolicy | CalibrationPolicy, state: ValidationState | CalibrationState
) -> tuple[BoolArray, BoolArray]:
    method = Classic(init_sims=64, max_sims=256)
    if isinstance(policy, ValidationPolicy) and isinstance(state, ValidationState):
        return policy.decide(state, Validation(threshold=1.0), method)
    assert isinstance(policy, CalibrationPolicy)
    assert isinstance(state, CalibrationState)
    return policy.decide(state, Calibration(), method)
