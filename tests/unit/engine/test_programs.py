"""Programs are compiled once, shared by what they compute, and never by anything less."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import adagrid as ada
from adagrid import _programs
from adagrid._programs import Program
from tests.support import flat
from tests.support.compilations import compilations


@pytest.fixture
def nothing_compiled(monkeypatch):
    monkeypatch.setattr(_programs, "_compiled", type(_programs._compiled)())


class Scaled(ada.Model):
    """A design whose instances differ in an array only."""

    family = ada.Normal(sd=1.0, n=1)
    reject_when = "large"

    def __init__(self, scale) -> None:
        self._scale = np.asarray(scale, np.float32)

    def draw(self, key):
        return jax.random.normal(key, (len(self._scale),))

    def statistic(self, draw, theta, null_truth):
        return jnp.sum(draw * self._scale) + theta[0]


def of(scale: list[float]) -> Program:
    constant = np.asarray(scale)
    return Program(lambda x: jnp.sum(x * jnp.asarray(constant)), np.zeros(len(scale)), double=True)


def test_programs_are_shared_by_what_they_compute(nothing_compiled):
    with compilations() as names:
        assert float(of([1.0, 2.0])(np.ones(2))) == 3.0
        assert float(of([1.0, 2.0])(np.array([2.0, 1.0]))) == 4.0
    assert len(names) == 1


def test_programs_that_compute_something_else_are_others(nothing_compiled):
    """Without constants, under the same name, for the same arguments."""
    programs = [Program(function, np.float64(0), double=True) for function in (lambda x: x + x, lambda x: x * x)]
    assert [float(program(np.float64(3.0))) for program in programs] == [6.0, 9.0]


@pytest.mark.parametrize("other", [[1.0, 2.5], [1.0, np.nextafter(2.0, 3.0)], [2.0, 1.0], [1.0, 2.0, 0.0]])
def test_programs_with_other_constants_are_others(nothing_compiled, other):
    x = np.arange(1.0, 1.0 + len(other))
    of([1.0, 2.0])(np.ones(2))
    with compilations() as names:
        assert float(of(other)(x)) == np.sum(x * other)
    assert len(names) == 1


def test_constants_are_told_apart_wherever_they_are():
    """Were JAX to pass constants as arguments, the text of a program would not have them."""

    def digest(scalar: float, vector: list[float]) -> str:
        inner = jax.jit(lambda x: x * jnp.asarray(vector))
        function = lambda x: jax.lax.fori_loop(0, 3, lambda _, y: inner(y) + scalar, x)
        return Program(function, np.zeros(2), double=True)._digest("the same text")

    assert digest(1.0, [1.0, 2.0]) == digest(1.0, [1.0, 2.0])
    assert digest(1.0, [1.0, 2.0]) != digest(1.0, [1.0, 2.0 + 1e-15])
    assert digest(1.0, [1.0, 2.0]) != digest(1.0 + 1e-15, [1.0, 2.0])


def looking_up(table: np.ndarray) -> Program:
    """Return a program whose result has a structure, with a table that is too large for its text."""
    assert table.nbytes > _programs._TABLE
    return Program(lambda i: {"found": jnp.asarray(table)[i], "sum": i + jnp.float64(0.5)}, np.int32(0), double=True)


def test_large_tables_are_part_of_a_program(nothing_compiled):
    tables = np.random.default_rng(0).random((2, 20_000))
    programs = [looking_up(table) for table in (*tables, tables[0])]
    for i in (0, 19_999):
        found = [program(np.int32(i)) for program in programs]
        assert [float(each["found"]) for each in found] == [tables[0, i], tables[1, i], tables[0, i]]
        assert [float(each["sum"]) for each in found] == [i + 0.5] * 3
    assert programs[0].fingerprint == programs[2].fingerprint != programs[1].fingerprint
    assert len(programs[0]._text) < 10_000 < tables[0].nbytes


def test_large_tables_inside_another_program():
    table = np.random.default_rng(0).random(20_000)
    inner = Program(lambda i: jnp.asarray(table)[i], np.int32(0), double=True)
    outer = Program(lambda i: 2 * inner.inside(i + 1), np.int32(0), double=True)
    assert float(outer(np.int32(4))) == 2 * table[5]


def test_callbacks_are_never_shared():
    """The text of a program does not say which function of Python it calls."""

    def calling(factor: float) -> Program:
        shape = jax.ShapeDtypeStruct((), np.float64)
        return Program(lambda x: jax.pure_callback(lambda y: y * factor, shape, x), np.float64(0), double=True)

    assert [float(calling(factor)(np.float64(1.0))) for factor in (2.0, 3.0)] == [2.0, 3.0]


def test_precision_is_part_of_a_program():
    third = [Program(lambda x: x / 3, jax.ShapeDtypeStruct((), kind), double=kind == np.float64)(kind(1))
             for kind in (np.float32, np.float64)]  # fmt: skip
    assert [value.dtype for value in third] == [np.float32, np.float64]


def _job(model: ada.Model, threshold: float, seed: int = 1):
    two = model.family.dim == 2
    low, high, null = ([-0.5] * 2, [0.5] * 2, "theta1 <= theta0") if two else ([-1], [0], "theta0 <= 0")
    grid = ada.cartesian_grid(low, high, n=1, null_hypos=[null])
    targets = {"global_target": 0.05, "max_target": 0.05}
    return flat.ada_validate(
        model, threshold=threshold, grid=grid, method="interpolated", model_seed=seed, progress=False, **targets
    )


@pytest.mark.parametrize(
    ("design", "threshold"),
    [(lambda: ada.ZTest(), 1.96), (lambda: ada.FisherExact(10), 0.025)],
    ids=["z-test", "Fisher"],
)
def test_a_job_compiles_four_programs_and_the_next_one_none(nothing_compiled, design, threshold):
    """Draw, statistic (which tests the family), count and bound.

    With another seed, another instance, or when certified anew, nothing more.
    """
    from adagrid.bounds import _maximum

    _maximum._program.cache_clear()
    with compilations() as names:
        _job(design(), threshold)
    assert sorted(names) == ["jit(_count_block)", "jit(_draw_chunk)", "jit(_maximise)", "jit(_statistic_block)"]
    with compilations() as names:
        _job(design(), threshold, seed=2)
    assert names == []


def test_a_classic_job_compiles_three_programs(nothing_compiled):
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["theta0 <= 0"])
    with compilations() as names:
        run = flat.validate(Scaled([1.0]), threshold=1.96, grid=grid, n_sims=64, progress=False)
        assert run.bound > 0
    assert sorted(names) == ["jit(_count_block)", "jit(_draw_chunk)", "jit(_statistic_block)"]
    with compilations() as names:
        flat.validate(Scaled([1.0]), threshold=2.5, grid=grid, n_sims=64, progress=False)
    assert names == []


def test_calibrations_compile_statistics_and_do_not_count(nothing_compiled):
    grid = ada.cartesian_grid([-1], [0], n=4, null_hypos=["theta0 <= 0"])
    with compilations() as names:
        flat.calibrate(Scaled([1.0]), alpha=0.1, grid=grid, n_sims=1024, progress=False)
    assert sorted(names) == ["jit(_draw_chunk)", "jit(_statistic_block)"]
