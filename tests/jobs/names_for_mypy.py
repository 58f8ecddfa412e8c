"""What type checkers know of the package. Never run: mypy reads it in `make lint`, and refuses a needless ignore."""

from __future__ import annotations

from typing import Any, assert_type

import jax

import adagrid as ada

assert_type(ada.ZTest(n=3), ada.ZTest)
assert_type(ada.models.FisherExact(12), ada.FisherExact)
assert_type(ada.ada_validate(ada.ZTest(), threshold=1.96).bound, float)
ada.ZTest(patients=3)  # type: ignore[call-arg]
ada.Nonexistent(3)  # type: ignore[attr-defined]
ada.models.Nonexistent(3)  # type: ignore[attr-defined]


class OneFunction(ada.Design):
    family = ada.Normal()

    def statistic(self, data: Any, null_truth: jax.Array) -> jax.Array:
        return data[0][0]


class TwoFunctions(ada.Model):
    family = ada.Normal()

    def draw(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key)

    def statistic(self, draw: jax.Array, theta: jax.Array, null_truth: jax.Array) -> jax.Array:
        return draw + theta[0]


class WrongForm(ada.Design):
    family = ada.Normal()

    def statistic(self, draw: Any, theta: jax.Array, null_truth: jax.Array) -> jax.Array:  # type: ignore[override]
        return draw


for design in (OneFunction, TwoFunctions):
    assert_type(ada.ada_validate(design(), threshold=1.96).bound, float)
