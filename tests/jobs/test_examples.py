"""The examples run as they stand, and find what is true."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binom

from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"


def bound(name: str) -> float:
    """Run an example in a process of its own and return the bound that it prints."""
    answer = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "CONVERGED" in answer.stdout
    found = re.search(r"Type I Error <= ([\d.]+)%", answer.stdout)
    assert found
    return float(found[1]) / 100


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"welch.py", "decision_table.py", "rank_sum.py"}


def test_decision_table():
    exact = binom.sf(6, 20, 0.15)
    assert exact == pytest.approx(0.021935, abs=1e-6)
    assert exact <= bound("decision_table.py") <= exact + 0.002


def test_welch():
    """Welch's test is nearly exact where variances are equal: within a tenth of its level for ten patients."""
    assert 0.045 <= bound("welch.py") <= 0.05 + 0.006


def test_rank_sum():
    """Without an effect, each order of ten and ten patients is equally likely."""
    orders = np.zeros((11, 101))  # by treated patients seen, and pairs
    orders[0, 0] = 1
    for control in range(11):  # the number of controls below the next treated patients
        for treated in range(1, 11):
            orders[treated, control:] += orders[treated - 1, : 101 - control]
    exact = orders[10, 73:].sum() / orders[10].sum()
    assert exact == pytest.approx(0.0446, abs=1e-4)
    assert exact <= bound("rank_sum.py") <= exact + 0.008
