"""The constants of plans: they cost simulations if they are badly chosen, never validity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np


@final
@dataclass(frozen=True)
class PlanTuning:
    """How plans are made. All guarantees hold whatever these constants are.

    Args:
        validation_pilot_sims: simulations at a pilot point of a validation.
        calibration_pilot_sims: simulations at a pilot point of a calibration.
        pilot_rounds: further rounds of the pilot.
        pilot_spacing: distance of pilot points, in standard errors' coordinates.
        most_pilot_points: the most points of the first round of the pilot.
        pilot_corners: the most corners of the region that are pilot points.
        pilot_round_share: share of the planned simulations that a further round of the pilot should take,
        most_pilot_round_share: and takes at most.
        pilot_round_points: points of a further round of the pilot.
        pilot_round_sims: simulations at such a point, at least.
        far_share: share of the global target that points far from the largest error may use.
        reserve: share of the targets that plans use.
        midpoint_share: share of the global target that cells may use where the error is largest.
        overshoot: share of the room by which a bound may exceed the limits at its vertices, at first,
        most_overshoot: and at most.
        undecided: distance to the largest error, in units of the slack there, within which a point may be the worst.
        worst_margin: the same distance, for the numbers of simulations.
        most_bisections: how often a cell is bisected at most.
        most_cells: the most cells of a plan.
        least_sims: the fewest simulations at a vertex,
        most_sims: and the most.
        usual_slope: by how much the logarithm of a limit's room usually changes with that of the simulations,
        steepest_slope: at most,
        flattest_slope: and at least.
        secants: secant steps that find a number of simulations.
        longest_secant: the longest of them, in logarithms.
        most_log_sims: the logarithm of the largest number of simulations that is tried.
        repair_reserve: share of the targets that repairs use.
        repair_points: points near a cell that a repair fits its surrogate to.
        large_share: share of the slack that a cell's size may cost before a repair divides it.
        grid_share: share of grid_target that plans use where the error is largest, at first,
        most_grid_share: and at most.
        computed_grid_shares: the shares that are tried where errors are computed.
        flat_share: share of the largest error below which levels fall with the error,
        level_power: with this power of it.
        doubt: logarithm of level over error within which a cell may set the threshold.
        clear_errors: standard errors between level and error that keep a vertex from setting the threshold.
        most_clear_sims: the most simulations for that, relative to those of the vertex that sets the threshold.
        bias_errors: standard errors of the threshold's error that bias_target must hold.
        thresholds: thresholds around the expected one at which pilots are counted.
        threshold_spans: between which multiples of the aimed error these are, by round.
        rehearsal_success: share of rehearsals that must meet the targets.
        rehearsal_growth: factor by which simulations grow otherwise.
        rehearsal_attempts: how often.
        lowered_aims: by which shares of the targets the aimed error is lowered in turn.
        discrete_doubts: standard errors within which the error of one of few thresholds may be within its aim.
        worth_a_try: share of the aim that the next threshold's error must fall short of for the first to be tried.
        level_reductions: how often levels are lowered until their bounds are within alpha.
        rehearsals: number of rehearsals.
        in_play_errors: standard errors between level and error beyond which a vertex does not set the threshold.
        surrogate_caution: factor by which surrogates err more than they say, because their smoothness is a guess.
    """

    validation_pilot_sims: int = 512
    calibration_pilot_sims: int = 1024
    pilot_rounds: int = 2
    pilot_spacing: float = 1.0
    most_pilot_points: int = 1500
    pilot_corners: int = 64
    pilot_round_share: float = 0.06
    most_pilot_round_share: float = 0.15
    pilot_round_points: int = 400
    pilot_round_sims: int = 512
    far_share: float = 0.7
    reserve: float = 0.97
    midpoint_share: float = 0.9
    overshoot: float = 0.3
    most_overshoot: float = 0.7
    undecided: float = 1.5
    worst_margin: float = 1.5
    most_bisections: int = 60
    most_cells: int = 3_000_000
    least_sims: int = 256
    most_sims: int = 2**30
    usual_slope: float = -0.7
    steepest_slope: float = -1.2
    flattest_slope: float = -0.4
    secants: int = 4
    longest_secant: float = 3.0
    most_log_sims: float = float(np.log(1e15))
    repair_reserve: float = 0.93
    repair_points: int = 800
    large_share: float = 0.2
    grid_share: float = 0.7
    most_grid_share: float = 0.95
    computed_grid_shares: tuple[float, ...] = (0.7, 0.3, 0.1)
    flat_share: float = 0.85
    level_power: float = 0.5
    doubt: float = 0.15
    clear_errors: float = 4.0
    most_clear_sims: float = 10.0
    bias_errors: float = 1.5
    thresholds: int = 64
    threshold_spans: tuple[tuple[float, float], ...] = ((0.3, 3.0), (0.5, 1.6), (0.5, 1.6))
    rehearsal_success: float = 0.95
    rehearsal_growth: float = 1.25
    rehearsal_attempts: int = 6
    lowered_aims: tuple[float, ...] = (0.0, 0.3, 0.6)
    discrete_doubts: float = 2.0
    worth_a_try: float = 2 / 3
    level_reductions: int = 20
    rehearsals: int = 60
    in_play_errors: float = 8.0
    surrogate_caution: float = 1.5


TUNING = PlanTuning()
"""What plans of all jobs use."""
