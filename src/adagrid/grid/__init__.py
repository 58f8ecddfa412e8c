"""Regions of parameters: tiles, null hypotheses, splitting, identifiers. Knows no simulation and no database."""

from adagrid.grid.ellipsoid import Ellipsoid
from adagrid.grid.grid import Grid, cartesian_grid, create_grid
from adagrid.grid.hypotheses import HalfSpace, NullHypothesis
from adagrid.grid.hypothesis_text import hypo
from adagrid.grid.risk_difference import RiskDifference
from adagrid.grid.tiles import Tiles

__all__ = [
    "Ellipsoid",
    "Grid",
    "HalfSpace",
    "NullHypothesis",
    "RiskDifference",
    "Tiles",
    "cartesian_grid",
    "create_grid",
    "hypo",
]
