"""The contract of designs."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from adagrid._programs import Program, shaped
from adagrid._typing import BoolArray, FloatArray
from adagrid.engine import Simulator
from adagrid.models import ArrayModel, Design, Model
from adagrid.testing._trials import Trials, assert_law


@cache
def _simulator(model: Model, n_nulls: int) -> Simulator:
    """Trace a design once for all its tests."""
    return Simulator(model, 0, n_nulls, at_most=512, selects=True)


class _Laws:
    """What the engine relies on, whatever a design is written in."""

    @pytest.fixture
    def model(self) -> Model:
        """Return the design."""
        raise NotImplementedError

    @pytest.fixture
    def theta(self) -> FloatArray:
        """Return parameters, shape (points, dim)."""
        raise NotImplementedError

    @pytest.fixture
    def null_truth(self, theta: FloatArray) -> BoolArray:
        """Return which hypotheses are true, shape (points, hypotheses)."""
        return np.ones((len(theta), 1), bool)

    @pytest.fixture
    def simulator(self, model: Model, null_truth: BoolArray) -> Simulator:
        """Return a simulator of the design."""
        return _simulator(model, null_truth.shape[1])

    def test_draws_differ_between_simulations(
        self, simulator: Simulator, theta: FloatArray, null_truth: BoolArray
    ) -> None:
        """The statistic is random."""
        values = simulator.smallest(theta, null_truth, 512, 512)
        assert all(len(np.unique(row)) > 1 for row in values)

    def test_draws_are_the_same_for_every_point(
        self, simulator: Simulator, theta: FloatArray, null_truth: BoolArray
    ) -> None:
        """Common random numbers: a point's statistics do not depend on the points simulated with it."""
        together = simulator.smallest(theta, null_truth, 300, 300)
        alone = [simulator.smallest(theta[[i]], null_truth[[i]], 300, 300)[0] for i in range(len(theta))]
        np.testing.assert_array_equal(together, alone)

    def test_statistic_is_never_nan(self, simulator: Simulator, theta: FloatArray, null_truth: BoolArray) -> None:
        """Neither for typical draws nor at any of the points."""
        assert not np.isnan(simulator.smallest(theta, null_truth, 512, 512)).any()

    def test_arguments_are_recorded(self, model: Model) -> None:
        """An equal design can be built from the record."""
        again = type(model)(**model.arguments)
        assert again.family == model.family

    def test_more_true_hypotheses_never_take_a_rejection_away(
        self, simulator: Simulator, theta: FloatArray, null_truth: BoolArray
    ) -> None:
        """The statistic is that of the true hypothesis closest to rejection."""
        more = np.ones_like(null_truth)
        for i in range(16):
            some, every = (simulator.smallest(theta, truth, 1, 1, i) for truth in (null_truth, more))
            assert (every <= some).all()

    def test_exact_errors_are_those_that_are_simulated(
        self, model: Model, simulator: Simulator, theta: FloatArray, null_truth: BoolArray
    ) -> None:
        """Where a design computes its errors they are, up to the spread of simulations, what these show."""
        ordered = np.sort(simulator.smallest(theta, null_truth, 512, 512), axis=1)
        for row, values in enumerate(ordered):
            point, truth = theta[[row]], null_truth[[row]]
            threshold = float(values[100])
            computed = model.exact_error(point, truth, model.direction * threshold)
            if not model.is_exact:
                assert computed is None
                continue
            assert computed is not None
            error, found = float(computed[0]), float(np.mean(values < threshold))
            assert abs(error - found) <= 6 * np.sqrt(error * (1 - error) / 512) + 1e-12

    def test_exact_thresholds_use_their_level(self, model: Model, theta: FloatArray, null_truth: BoolArray) -> None:
        """Rejecting beyond an exact threshold keeps the level; with the next statistic as well it would not."""
        if not model.is_exact:
            assert model.exact_threshold(theta, null_truth, np.full(len(theta), 0.1)) is None
            return
        for level in (0.0, 0.02, 0.3):
            found = model.exact_threshold(theta, null_truth, np.full(len(theta), level))
            assert found is not None
            for row, threshold in enumerate(found.tolist()):
                point, truth = theta[[row]], null_truth[[row]]
                beyond = float(np.nextafter(threshold, model.direction * np.inf))
                kept, broken = (model.exact_error(point, truth, value) for value in (threshold, beyond))
                assert kept is not None
                assert broken is not None
                assert kept[0] <= level
                assert broken[0] > level or not np.isfinite(threshold)


class ModelContract(_Laws):
    """Laws that every design in JAX keeps. Subclass and give the fixtures `model` and `theta`.

    `theta` holds some parameters, shape (points, family.dim); override `null_truth` for several hypotheses.
    """

    def test_one_trial_is_what_the_engine_simulates(
        self, model: Model, simulator: Simulator, theta: FloatArray, null_truth: BoolArray
    ) -> None:
        """The engine's statistics are the design's own, one trial at a time."""
        smallest = simulator.smallest(theta, null_truth, 16, 16)
        real = np.dtype(np.float64 if model.precision == "double" else np.float32)
        key = jax.random.key(np.uint32(0), impl="threefry2x32")

        def one_trial(i: Any, point: Any, truth: Any) -> Any:
            return model.statistic_at(model.draw(jax.random.fold_in(key, i)), point, truth)

        at = shaped((), np.uint32), shaped(theta.shape[1:], real), shaped(null_truth.shape[1:], bool)
        statistic = Program(one_trial, *at, double=model.precision == "double")
        for point, truth, expected in zip(theta.astype(real), null_truth, smallest, strict=True):
            own = [model.direction * float(statistic(np.uint32(i), point, truth)) for i in range(16)]
            np.testing.assert_allclose(expected, np.sort(own), rtol=1e-4, atol=1e-5)

    def test_data_have_the_law_of_the_family(self, model: Model, theta: FloatArray) -> None:
        """However a `Design` draws its data: T has the mean and the covariance that follow from the log-partition."""
        if not isinstance(model, Design):
            pytest.skip("this design draws by hand: its family is tested in every job")
        double = model.precision == "double"
        trials = Trials(model.draw, model.data, model.sufficient, model.family.dim, double=double)
        assert_law(trials, model.family, theta)


class ArrayModelContract(_Laws):
    """Laws that every design that makes arrays keeps. Subclass and give the fixtures `model` and `theta`.

    `theta` holds some parameters, shape (points, family.dim); override `null_truth` for several hypotheses.
    """

    @pytest.fixture
    def model(self) -> ArrayModel:
        """Return the design."""
        raise NotImplementedError

    def test_one_trial_at_a_time_is_what_the_engine_simulates(
        self, model: ArrayModel, simulator: Simulator, theta: FloatArray, null_truth: BoolArray
    ) -> None:
        """Statistics do not depend on what is simulated together: neither on other trials nor on other points."""
        for begin, end in ((0, 16), (509, 515)):
            own = np.array(
                [
                    [model.simulate(i, i + 1, theta[[row]], null_truth[[row]])[0, 0] for i in range(begin, end)]
                    for row in range(len(theta))
                ]
            )
            smallest = simulator.smallest(theta, null_truth, end - begin, end - begin, begin)
            np.testing.assert_array_equal(smallest, np.sort(model.direction * own, axis=1))

    def test_seeds_give_other_trials(self, simulator: Simulator, theta: FloatArray, null_truth: BoolArray) -> None:
        """What is certified is simulated with seeds of its own, and the same seed always gives the same."""
        first, other, again = (simulator.reseeded(seed).smallest(theta, null_truth, 512, 512) for seed in (1, 2, 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
