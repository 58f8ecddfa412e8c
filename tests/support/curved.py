"""Null hypotheses with curved boundaries, as users would write them, and random ones of every kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from adagrid.grid import Ellipsoid, HalfSpace, NullHypothesis, RiskDifference


@dataclass(frozen=True)
class Wave(NullHypothesis):
    """theta_last <= height sin(frequency theta0), which bulges between any two points far enough apart."""

    height: float
    frequency: float

    @property
    def lipschitz(self):
        return float(np.hypot(1.0, self.height * self.frequency))

    def dist(self, theta):
        return self.height * np.sin(self.frequency * theta[..., 0]) - theta[..., -1]

    def describe(self):
        return f"theta_last <= {self.height:g} sin({self.frequency:g} theta0)"


@dataclass(frozen=True)
class Steep(NullHypothesis):
    """A half-space, told by its distance alone."""

    normal: tuple[float, ...]
    offset: float
    lipschitz: float = 1.0

    def dist(self, theta):
        return HalfSpace(self.normal, self.offset).dist(theta)

    def describe(self):
        return HalfSpace(self.normal, self.offset).describe()


@dataclass(frozen=True)
class Product(NullHypothesis):
    """theta0 theta1 <= 1, decided by the products at the corners of boxes."""

    def dist(self, theta):
        return 1.0 - theta[..., 0] * theta[..., 1]

    def side(self, lower, upper):
        ends = np.stack([a[:, 0] * b[:, 1] for a in (lower, upper) for b in (lower, upper)])
        return np.where(ends.max(axis=0) < 1 - 1e-9, 1, np.where(ends.min(axis=0) > 1 + 1e-9, -1, 0))

    def describe(self):
        return "theta0 theta1 <= 1"


def random_hypothesis(generator, lower, upper):
    """Return a hypothesis whose boundary probably passes through a region of at least two parameters."""
    dim, point, width = len(lower), generator.uniform(lower, upper), upper - lower
    kind = generator.choice(["ball", "ellipsoid", "risk difference", "half-space", "steep", "wave", "product"])
    where = str(generator.choice(["outside", "inside"]))
    if kind == "ball":
        return Ellipsoid(point, [generator.uniform(0.1, 0.6) * width.max()] * dim, where)
    if kind == "ellipsoid":
        return Ellipsoid(point, generator.uniform(0.05, 0.8, dim) * width, where)
    if kind == "risk difference":
        arms = generator.choice(dim, 2, replace=False)
        return RiskDifference(int(arms[0]), int(arms[1]), float(generator.choice([0.0, generator.uniform(-0.3, 0.3)])))
    normal = generator.normal(size=dim)
    if kind == "half-space":
        return HalfSpace(normal, float(normal @ point))
    if kind == "steep":
        return Steep(tuple(normal.tolist()), float(normal @ point))
    if kind == "wave":
        return Wave(float(generator.uniform(0.1, 1)), float(generator.uniform(0.5, 8)))
    return Product()


def touching_box(generator, hypothesis, lower, upper):
    """Return a box with a corner, a face or a vertex near a boundary: where a wrong decision is easily made."""
    dim = len(lower)
    ends = generator.uniform(lower, upper, (2, dim))
    for _ in range(60):  # bisection: a point of the boundary, if it runs between the ends
        middle = ends.mean(axis=0)
        ends[int(hypothesis.dist(middle) < 0)] = middle
    radius = generator.uniform(1e-4, 0.5, dim) * (upper - lower)
    corner = generator.choice([-1.0, 1.0], dim) * generator.choice([0.0, 1.0], dim)
    centre = ends[0] + corner * radius * generator.choice([1.0, 1.0 + 1e-10, 1.0 - 1e-10])
    return centre - radius, centre + radius


LOGITS = (logit(0.05), logit(0.95))
