"""Calibration: refine the tiles that set the threshold, deepen those that merely might."""

from __future__ import annotations

from typing import final

from typing_extensions import override

from adagrid._typing import BoolArray
from adagrid.methods.classic import Classic
from adagrid.methods.tiles.policies.policy import CalibrationPolicy, CalibrationState
from adagrid.settings.goals import Calibration


@final
class ClassicCalibration(CalibrationPolicy):
    """Refine tiles that cost too much alpha if they are likely to set the threshold, else deepen.

    Impossible tiles that cost too much are refined at once: more simulations would only find the same.
    """

    @override
    def decide(self, state: CalibrationState, goal: Calibration, method: Classic) -> tuple[BoolArray, BoolArray]:
        deepest = state.n_sims >= method.max_sims
        decisive = state.impossible | (state.tilewise_mean <= state.least_mean)
        refine = (state.grid_cost > goal.grid_target) & (decisive | deepest)
        return refine, ~refine & ~deepest
