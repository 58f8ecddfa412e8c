"""Regions of parameters: tiles, null hypotheses, splitting, identifiers. Knows no simulation and no database."""

from adagrid.grid.grid import Grid, cartesian_grid, create_grid
from adagrid.grid.hypotheses import HalfSpace, NullHypothesis
from adagrid.grid.hypothesis_text import hypo
from adagrid.grid.tiles import Tiles

__all__ = ["Grid", "HalfSpace", "NullHypothesis", "Tiles", "cartesian_grid", "create_grid", "hypo"]
