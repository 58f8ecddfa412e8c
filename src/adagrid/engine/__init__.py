"""Simulates points: parameters, null truth, number of simulations. Knows nothing of tiles."""

from adagrid.engine.evaluator import Shape
from adagrid.engine.simulator import MAX_SIMS, Simulator, StatisticError

__all__ = ["MAX_SIMS", "Shape", "Simulator", "StatisticError"]
