"""Errors and thresholds that a design computes: everywhere or nowhere in a job, and checked."""

from __future__ import annotations

from typing import final

import numpy as np

from adagrid._typing import Array, BoolArray, FloatArray
from adagrid.errors import ModelError
from adagrid.models import Model
from adagrid.settings.quantities import VANISHING

# Share by which a computed probability may exceed 1, because it is rounded up.
_ROUNDED_UP = 1e-8


class NotComputedError(ModelError):
    """A design does not compute its errors, or not everywhere."""

    def __init__(self) -> None:
        super().__init__(
            "The design computed its errors at the start, so that no simulations were planned, and then exact_error or "
            "exact_threshold returned None for other parameters. Return None everywhere or nowhere."
        )


@final
class ExactErrors:
    """What a design computes.

    Args:
        model: the design.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def computes(
        self, theta: FloatArray, null_truth: BoolArray, *, threshold: float | None = None, level: float | None = None
    ) -> bool:
        """Tell whether the design computes all that a job needs.

        Args:
            theta: some of the job's points, shape (points, dim).
            null_truth: their null configurations.
            threshold: of a validation, in the design's own direction.
            level: of a calibration.
        """
        try:
            if threshold is None:
                assert level is not None  # noqa: S101 - one of them is given
                thresholds_found = self.thresholds(theta, null_truth, np.full(len(theta), level))
                threshold = self._model.direction * float(thresholds_found.min())
            self.errors(theta, null_truth, threshold)
        except NotComputedError:
            return False
        return True

    def errors(self, theta: FloatArray, null_truth: BoolArray, threshold: float) -> FloatArray:
        """Return the probabilities of rejection.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: which null hypotheses are true, shape (points, hypotheses).
            threshold: in the design's own direction.

        Raises:
            NotComputedError: if the design returns None.
            ModelError: if it returns anything but one probability per point.
        """
        found = self._found("exact_error", self._model.exact_error(theta, null_truth, threshold), theta)
        wrong = ~((found >= 0) & (found <= 1 + _ROUNDED_UP))
        self._refuse(wrong, found, theta, "exact_error must return probabilities, between 0 and 1")
        return np.minimum(found, 1.0)

    def thresholds(self, theta: FloatArray, null_truth: BoolArray, level: FloatArray) -> FloatArray:
        """Return the thresholds, turned so that small statistics reject.

        Nothing rejects where the level is so small that probabilities below it may have vanished in computing.

        Args:
            theta: parameters, shape (points, dim).
            null_truth: which null hypotheses are true, shape (points, hypotheses).
            level: what the probabilities of rejection may be, shape (points,).

        Raises:
            NotComputedError: if the design returns None.
            ModelError: if it returns anything but one number per point.
        """
        found = self._found("exact_threshold", self._model.exact_threshold(theta, null_truth, level), theta)
        self._refuse(np.isnan(found), found, theta, "exact_threshold must return numbers or infinities")
        return np.where(level > VANISHING, self._model.direction * found, -np.inf)

    def _found(self, method: str, returned: Array | None, theta: FloatArray) -> FloatArray:
        if returned is None:
            raise NotComputedError
        found = np.asarray(returned)
        if found.shape != (len(theta),) or found.dtype.kind not in "iuf":
            raise ModelError(
                f"{type(self._model).__name__}.{method} must return one number per point, shape ({len(theta)},), but "
                f"returned {found.dtype} of shape {found.shape}. Return None if it cannot tell."
            )
        return found.astype(float)

    def _refuse(self, wrong: BoolArray, found: FloatArray, theta: FloatArray, rule: str) -> None:
        if wrong.any():
            first, name = int(np.argmax(wrong)), type(self._model).__name__
            raise ModelError(
                f"{name}.{rule}, but it returned {found[first]} at theta={theta[first].tolist()}. "
                "Correct it, or return None everywhere to have the design simulated."
            )
