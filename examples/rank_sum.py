"""A design of one function: the rank-sum test of two arms, whose data the family draws, certified over a region.

    python examples/rank_sum.py

The design is a `Design`: its statistic sees what a statistician would, the observations of every patient. It cannot see
the parameters, and the sample size that the bounds rely on is the number of patients that are drawn.
"""

from typing import Any

import jax

import adagrid as ada


class RankSum(ada.Design):
    """Wilcoxon's, or Mann and Whitney's: pairs of which the treated patient fares better; many of them reject."""

    reject_when = "at least"

    def __init__(self, patients: int) -> None:
        self.family = ada.Normal(sd=1.0, n=(patients, patients))

    def statistic(self, data: Any, null_truth: jax.Array) -> jax.Array:
        """Return the number of pairs."""
        control, treatment = data
        return (treatment[:, None] > control[None, :]).sum()


def main() -> None:
    """Certify the test with ten patients per arm that rejects from 73 of 100 pairs on, for means between -1 and 1."""
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=1, null_hypos=["theta1 <= theta0"])
    run = ada.ada_validate(RankSum(10), threshold=73, grid=grid, max_target=0.004, global_target=0.01)
    print(run.summary())


if __name__ == "__main__":
    main()
