"""Simulates points: parameters, null truth, number of simulations. Knows nothing of tiles."""

from adagrid.engine.simulator import Shape, Simulator, StatisticError

__all__ = ["Shape", "Simulator", "StatisticError"]
