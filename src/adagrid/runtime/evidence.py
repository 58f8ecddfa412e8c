"""Read the evidence of simulations against a job's declared family and its computed errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from adagrid._typing import BoolArray, IdArray
from adagrid.families import recorded_family
from adagrid.grid.columns import matrix
from adagrid.records import JobRecord
from adagrid.refutation import REFUTED, Evidence, Lines, Wager, in_words, log_affinity
from adagrid.refutation.spots import exceeded, log_evidence_against
from adagrid.stores import Store

# Relative difference that another machine's rounding may explain, and that of what the family allows.
_ROUNDING, _ALLOWED = 1e-9, 1e-5


def read_evidence(store: Store) -> Evidence | None:
    """Return the evidence of a job's lines; None if no line is stored."""
    rows = store.table("lines")
    if not len(rows):
        return None
    n_sims = int(rows["n_sims"].max())
    rows = rows[rows["n_sims"] == n_sims].sort_values("position")
    lines = Lines(matrix(rows, "theta"), matrix(rows, "half"), matrix(rows, "null_truth").astype(bool))
    wagers = zip(rows["log_wealth"], matrix(rows, "share"), rows["allowed"], strict=True)
    found = tuple(Wager(float(wealth), shares, float(most)) for wealth, shares, most in wagers)
    return Evidence(lines, n_sims, found, tuple(rows["ties"].tolist()))


def wrong_lines(store: Store, record: JobRecord) -> IdArray:
    """Return the ids of lines whose figures contradict each other."""
    rows = store.table("lines")
    shares, allowed = matrix(rows, "share"), rows["allowed"].to_numpy(float)
    right = np.isfinite(rows["log_wealth"].to_numpy(float)) & ((shares >= 0) & (shares <= 1)).all(axis=1)
    family = recorded_family(record.model.family_fields)
    if family is not None and len(rows):
        rho = np.exp(log_affinity(family, matrix(rows, "theta"), matrix(rows, "half")))
        again = np.sqrt(shares[:, 0] * shares[:, 2]) / rho
        right &= (allowed >= again * (1 - _ROUNDING)) & (allowed <= again * (1 + _ALLOWED))
    return rows["id"].to_numpy(np.uint64)[~right]


def wrong_spots(store: Store) -> IdArray:
    """Return the ids of spots with more events than simulations, or with a limit that is no probability."""
    rows = store.table("spots")
    right = (rows["ties"] <= rows["events"]) & (rows["events"] <= rows["n_sims"])
    right &= (rows["allowed"] >= 0) & (rows["allowed"] <= 1)
    return rows["id"].to_numpy(np.uint64)[~right.to_numpy(bool)]


@final
@dataclass(frozen=True)
class SpotEvidence:
    """The counts at the spots of one last look.

    Args:
        rows: the rows of `spots`, those of the last look.
    """

    rows: pd.DataFrame

    @property
    def computed(self) -> bool:
        """Whether the spots are compared with computed errors instead of limits."""
        return bool(self.rows["computed"].any())

    @property
    def contradicting(self) -> BoolArray:
        """Where the event was more frequent than the family allows, shape (spots,)."""
        return exceeded(*(self.rows[name].to_numpy() for name in ("allowed", "events", "n_sims")))

    @property
    def log_value(self) -> float:
        """The logarithm of the e-value against computed errors."""
        return log_evidence_against(*(self.rows[name].to_numpy() for name in ("allowed", "events", "n_sims", "ties")))

    @property
    def refutes(self) -> bool:
        """Whether the spots contradict the family, or the computed errors."""
        return self.log_value >= REFUTED if self.computed else bool(self.contradicting.any())

    def __str__(self) -> str:
        """Return the evidence in a few words."""
        spent = f"{len(self.rows)} points, {int(self.rows['n_sims'].sum()):,} simulations"
        if self.computed:
            verdict = "contradicted by" if self.refutes else "not contradicted by"
            return f"computed errors {verdict} simulations: {spent}, e = {in_words(self.log_value)}"
        verdict = f"{self.contradicting.sum()} contradict the family" if self.refutes else "none contradicts the family"
        return f"between certified points: {spent}, {verdict}"


def read_spots(store: Store) -> SpotEvidence | None:
    """Return the evidence of the last look; None if no spot is stored."""
    rows = store.table("spots")
    if not len(rows):
        return None
    return SpotEvidence(rows[rows["coordination_id"] == rows["coordination_id"].max()].reset_index(drop=True))
