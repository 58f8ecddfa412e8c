"""What a job records about its design tells whether it has changed."""

from __future__ import annotations

import adagrid as ada
from adagrid.models._identity import model_fingerprint


class Negated(ada.Model):
    """Another design with its sign changed."""

    def __init__(self, inner):
        self.family, self._inner = inner.family, inner

    def draw(self, key):
        return self._inner.draw(key)

    def statistic(self, draw, theta, null_truth):
        return -self._inner.statistic(draw, theta, null_truth)


class Doubled(ada.ZTest):
    """A z-test with another statistic."""

    def statistic(self, draw, theta, null_truth):
        return 2 * super().statistic(draw, theta, null_truth)


def test_a_design_inside_another_is_part_of_it():
    """A job is not continued where the source of the inner one has changed."""
    for around in (Negated, lambda inner: Negated(Negated(inner))):
        assert model_fingerprint(around(ada.ZTest())) == model_fingerprint(around(ada.ZTest()))
        assert model_fingerprint(around(ada.ZTest())) != model_fingerprint(around(Doubled()))
