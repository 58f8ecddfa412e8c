"""Jobs in tests share compiled designs: hundreds of runs would otherwise compile the same few again."""

from __future__ import annotations

from functools import cache

import pytest

import adagrid.jobs.designs
import adagrid.jobs.open
from adagrid.engine import Simulator


@cache
def _simulator(cls, family, seed, n_nulls, shape, at_most):
    arguments = {"shape": shape} if at_most is None else {"shape": shape, "at_most": at_most}
    return Simulator(_models[cls, family], seed, n_nulls, **arguments)


_models: dict = {}


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
    def simulator(model, seed, n_nulls, *, shape=None, at_most=None):
        key = (type(model), f"{model.family} {model.arguments}")
        _models.setdefault(key, model)
        return _simulator(*key, seed, n_nulls, shape, at_most)

    monkeypatch.setattr(adagrid.jobs.open, "Simulator", simulator)


def share_in_this_process() -> None:
    """Let a worker's runs share compiled designs, too."""

    def simulator(model, seed, n_nulls, *, shape):
        key = (type(model), f"{model.family} {model.arguments}")
        _models.setdefault(key, model)
        return _simulator(*key, seed, n_nulls, shape, None)

    adagrid.jobs.designs.Simulator = simulator
