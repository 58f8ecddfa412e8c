"""A design without a program: a table of outcomes, whose Type I Error is computed, not simulated.

    python examples/decision_table.py

`single_arm.csv` says for every number of responders among 20 patients whether the treatment is declared active. The
null hypothesis is a response rate of at most 15%.
"""

from math import log
from pathlib import Path

import adagrid as ada


def main() -> None:
    """Certify the table for response rates from 5% to 15%."""
    design = ada.DecisionTable.from_csv(Path(__file__).parent / "single_arm.csv", n=20)
    lowest, boundary = log(0.05 / 0.95), log(0.15 / 0.85)  # parameters are logits
    grid = ada.cartesian_grid([lowest], [boundary], n=1)
    run = ada.ada_validate(design, threshold=0.5, grid=grid)
    print(run.summary())


if __name__ == "__main__":
    main()
