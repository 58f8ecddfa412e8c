"""Fisher's test with a calibrated threshold is Boschloo's test."""

from __future__ import annotations

from scipy.stats import boschloo_exact

import adagrid as ada
from tests.support.oracles import binomial_size, fisher_table

NULL = ["theta1 <= theta0"]


def assert_calibrated_fisher_is_boschloo(n: int, alpha: float, above: float, at_most: float) -> None:
    """The calibrated threshold of n + n patients lies between published values, and decides as Boschloo's test."""
    grid = ada.cartesian_grid([-3, -3], [3, 3], n=8, null_hypos=NULL)
    run = ada.ada_calibrate(ada.FisherExact(n), alpha=alpha, grid=grid)
    run.verify()
    assert above - 5e-7 < run.threshold <= at_most + 5e-7  # published to six decimals
    table = fisher_table(n)
    assert binomial_size(table < run.threshold) <= alpha
    for control in range(n + 1):
        for treatment in range(n + 1):
            # rows: treatment, control; columns: responders, others
            outcome = [[treatment, control], [n - treatment, n - control]]
            exact = boschloo_exact(outcome, alternative="greater").pvalue
            assert (table[control, treatment] < run.threshold) == (exact <= alpha), (control, treatment)
