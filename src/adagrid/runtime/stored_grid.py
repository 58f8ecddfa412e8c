"""Reads the grid and the null hypotheses that a job began with."""

from __future__ import annotations

import pandas as pd

from adagrid.grid import NullHypothesis, Tiles
from adagrid.grid.definition import from_definition
from adagrid.stores import Store


def read_hypotheses(null_hypos: pd.DataFrame) -> tuple[NullHypothesis, ...]:
    """Return the null hypotheses of a job from its table of them; they may be of classes that this process knows.

    Raises:
        InvalidInputError: if one is of another class.
    """
    return tuple(from_definition(str(text)) for text in null_hypos["definition"])


def read_grid_tiles(store: Store) -> Tiles:
    """Return the tiles that a job began with: those that were neither split at a boundary nor pruned."""
    tiles, done = store.table("tiles"), store.table("done")
    began = tiles[(tiles["coordination_id"] == 0) & (tiles["step_id"] == 0)]
    retired = done["id"][(done["coordination_id"] == 0) & (done["step_id"] == 0)]
    return Tiles.from_frame(began[~began["id"].isin(retired)])
