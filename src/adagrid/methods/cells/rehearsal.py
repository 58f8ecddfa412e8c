"""Rehearsals of a calibration's pass: whether its targets will be met, if vertices are as pilots suggest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import ndtr, ndtri

from adagrid._deadline import check_time
from adagrid._typing import FloatArray, IntArray
from adagrid.methods.cells.planning import Mesh
from adagrid.methods.cells.surrogate import Surrogates
from adagrid.methods.cells.tuning import TUNING
from adagrid.methods.interpolated import Interpolated
from adagrid.settings.settings import Settings


@final
@dataclass(frozen=True)
class Rehearsals:
    """What pilots suggest of the vertices of a pass.

    Args:
        settings: of the calibration.
        mesh: cells and vertices, with the errors expected at the threshold.
        surrogates: what errors at other thresholds are expected from.
        counts: of pilot points below thresholds around the expected one, shape (points, thresholds).
        discrete: whether there are no other thresholds between these.
    """

    settings: Settings
    mesh: Mesh
    surrogates: Surrogates
    counts: FloatArray
    discrete: bool

    def success(self, level: FloatArray, n_sims: IntArray) -> float:
        """Return the share of rehearsals that meet the targets.

        A rehearsal draws how wrong the surrogates are, and the error at every vertex's own threshold, a Beta variable,
        and resamples it; thresholds are compared by their places among those that pilots counted.

        Args:
            level: levels at the vertices, shape (vertices,).
            n_sims: their numbers of simulations.
        """
        settings, mesh = self.settings, self.mesh
        goal, method = settings.calibration, settings.method_as(Interpolated)
        spread = np.sqrt(level * (1 - level) / n_sims)
        vertices = np.flatnonzero(level - mesh.rate < (TUNING.in_play_errors + goal.margin) * spread)
        if not len(vertices):
            return 1.0
        theta, null_truth = mesh.theta[vertices], mesh.null_truth[vertices]
        doubt = TUNING.surrogate_caution * self.surrogates.probit_errors(theta, null_truth)
        rates = self.surrogates.other_rates(theta, null_truth, self.counts)
        below = ndtri(np.maximum.accumulate(rates, axis=1))
        ladder = np.arange(self.counts.shape[1], dtype=float)
        generator = np.random.Generator(np.random.PCG64([settings.model_seed, method.bootstrap_seed]))
        rank = np.maximum(goal.rank(n_sims, level)[vertices], 1)
        level, n_sims, shape = level[vertices], n_sims[vertices], (TUNING.rehearsals, 1 + method.n_bootstrap)
        wrong = generator.standard_normal((TUNING.rehearsals, 1))
        lowest, winner = np.full(shape, np.inf), np.zeros(TUNING.rehearsals, int)
        for row, (r, n) in enumerate(zip(rank, n_sims, strict=True)):
            check_time()
            errors = generator.beta(r, n - r + 1, shape)
            errors[:, 1:] += errors[:, :1] - r / n
            place = np.interp(ndtri(np.clip(errors, 1e-12, 1.0)) - wrong * doubt[row], below[row], ladder)
            place = np.floor(place) if self.discrete else place
            tied = (place[:, 0] == lowest[:, 0]) & (level[row] > level[winner])
            winner = np.where((place[:, 0] < lowest[:, 0]) | tied, row, winner)
            lowest = np.minimum(lowest, place)
        there = np.array([np.interp(lowest[i], ladder, below[row]) for i, row in enumerate(winner)])
        error = ndtr(there + wrong * doubt[winner][:, None])
        return float(
            np.mean(
                (error[:, 0] - error[:, 1:].mean(axis=1) < goal.bias_target)
                & (error[:, 1:].std(axis=1) < goal.std_target)
                & (goal.alpha - level[winner] < goal.grid_target)
            )
        )
