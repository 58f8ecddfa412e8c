"""Validation: work on whichever of tile size and simulations costs more."""

from __future__ import annotations

from typing import final

from typing_extensions import override

from adagrid._typing import BoolArray
from adagrid.methods.classic import Classic
from adagrid.methods.tiles.policies.policy import ValidationPolicy, ValidationState
from adagrid.settings.goals import Validation

# A tile whose simulations cost more but cannot grow is refined if its size costs at least this share of that.
_WORTHWHILE = 1 / 5


@final
class ClassicValidation(ValidationPolicy):
    """Deepen where simulations cost more than size, else refine where size costs more than its target."""

    @override
    def decide(self, state: ValidationState, goal: Validation, method: Classic) -> tuple[BoolArray, BoolArray]:
        deepen = (state.sim_cost > state.grid_cost) & (state.n_sims < method.max_sims)
        over_target = (state.grid_cost > goal.global_target) | (
            (state.grid_cost > goal.max_target) & (state.tie_bound > state.max_estimate)
        )
        refine = ~deepen & (over_target | (state.grid_cost > _WORTHWHILE * state.sim_cost))
        return refine, deepen
