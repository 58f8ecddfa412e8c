"""Settings of a job: validated once, frozen, and recorded with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from scipy.special import ndtri
from typing_extensions import override

from adagrid._typing import ArrayLike, IntArray
from adagrid.algorithms.quantities import Quantity, QuantityName, Range, quantity_of
from adagrid.errors import InvalidInputError
from adagrid.estimation import calibration_rank, confident_rank

# The least normal number in single precision.
_SUBNORMAL = float(np.finfo(np.float32).tiny)


class Settings(BaseModel):
    """Settings that all jobs share.

    Attributes:
        model_seed: seed of the simulations.
        n_steps: steps of a zone, the simulation of the initial grid among them; stages of an interpolated job.
        timeout: seconds after which no new packet begins, nor another part of a plan.
        packet_size: tiles or points that are simulated and written together.
        tile_batch_size: tiles or points whose simulations are in memory together.
        family_lines: lines of three points on which simulations could contradict the declared family.
        family_sims: simulations at each of these points.
        trust_family: why the declared family is not tested, in words that the certificate repeats; None to test it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # What changes no decision, and what only decides when a job has converged: both may differ when it is continued.
    procedural: ClassVar[frozenset[str]] = frozenset({"n_steps", "timeout", "packet_size", "tile_batch_size"})
    targets: ClassVar[frozenset[str]] = frozenset(
        {"max_target", "global_target", "grid_target", "bias_target", "std_target"}
    )

    # Settings that are no numbers.
    words: ClassVar[frozenset[str]] = frozenset({"quantity", "trust_family"})

    model_seed: int = Field(0, ge=0, lt=2**63, description="a whole number from 0")
    n_steps: int = Field(100, ge=1, description="a positive whole number of steps")
    timeout: float | None = Field(None, gt=0, description="a positive number of seconds, or None")
    packet_size: int | None = Field(None, ge=1, description="a positive whole number of tiles, or None")
    tile_batch_size: int | None = Field(None, ge=1, description="a positive whole number of tiles, or None")
    family_lines: int = Field(8, ge=1, le=1000, description="a whole number of lines from 1 to 1,000")
    family_sims: int = Field(
        512, ge=128, le=16384, multiple_of=64, description="a multiple of 64 simulations, from 128 to 16,384"
    )
    trust_family: str | None = Field(
        None, min_length=10, max_length=200, description="a reason of 10 to 200 letters, or None"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse text and truth values for numbers, which pydantic would read as numbers."""
        if isinstance(value, (str, bool)) and info.field_name not in cls.words:
            raise ValueError(f"{type(value).__name__} is no number")
        return value

    @property
    def rounded_range(self) -> Range | None:
        """The range of a statistic that is rounded at random to 0 or 1, for its mean; None where nothing is rounded."""
        return None

    @classmethod
    def overridable(cls) -> frozenset[str]:
        """Return the settings that may differ when a job is continued: no result that exists depends on them."""
        return cls.procedural | cls.targets.intersection(cls.model_fields)

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """Build settings, or report everything that is wrong with the values.

        Raises:
            InvalidInputError: naming every field that breaks its rule.
        """
        try:
            return cls(**{name: v.item() if isinstance(v, np.generic) else v for name, v in values.items()})
        except ValidationError as error:
            problems = error.errors()
        sentences = [_sentence(cls, problem) for problem in problems]
        for problem in problems:  # a traceback here would keep the caller's database alive
            cause = problem.get("ctx", {}).get("error")
            if isinstance(cause, Exception):
                cause.__traceback__ = None
        raise InvalidInputError(sentences)


class _Tiles(Settings):
    """Settings of jobs that adapt tiles.

    Attributes:
        init_sims: simulations of a tile of the initial grid.
        max_sims: the most simulations that a tile may get: init_sims times a power of two.
        step_size: tiles that a zone works on in one step.
    """

    init_sims: int = Field(8192, ge=1, lt=2**31, description="a positive whole number of simulations")
    max_sims: int = Field(131072, ge=1, lt=2**31, description="init_sims times a power of two")
    step_size: int = Field(1024, ge=1, description="a positive whole number of tiles")

    @model_validator(mode="after")
    def _sims_double(self) -> Self:
        ratio, rest = divmod(self.max_sims, self.init_sims)
        if rest or ratio < 1 or ratio & (ratio - 1):
            raise ValueError(
                "max_sims must be init_sims times a power of two (1, 2, 4, ...), because deepening doubles; got "
                f"init_sims={self.init_sims}, max_sims={self.max_sims}. For example max_sims={16 * self.init_sims}."
            )
        return self


class _Validation(Settings):
    """Settings of validations.

    Attributes:
        quantity: what is bounded: "error", "power" or "mean".
        threshold: the rejection threshold, in the model's own direction; None for means, where nothing is rejected.
        value_range: least and largest value of the statistic, for its mean; None otherwise.
        delta: one minus the confidence of each bound at each point.
        max_target: converged when tiles that could hold the worst error have at most this slack
        global_target: and every tile has at most this slack. Of a mean, slacks are shares of the range.
    """

    quantity: QuantityName = Field("error", description="'error', 'power' or 'mean'")
    threshold: float | None = Field(None, strict=True, description="a finite number")
    value_range: Range | None = Field(None, description="two finite numbers, the lower one first")
    delta: float = Field(0.01, gt=0, lt=0.5, description="one minus the confidence, between 0 and 0.5")
    max_target: float = Field(0.002, ge=0, description="a slack in the Type I Error, from 0")
    global_target: float = Field(0.005, ge=0, description="a slack in the Type I Error, from 0")

    @property
    def bounded(self) -> Quantity:
        """What is bounded."""
        return quantity_of(self.quantity, self.value_range)

    @property
    @override
    def rounded_range(self) -> Range | None:
        return self.value_range

    @property
    def cut(self) -> float:
        """What statistics are compared with: rounded ones, whose mean is asked for, with 0."""
        return 0.0 if self.threshold is None else self.threshold

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.quantity != "mean" and self.threshold is None:
            raise ValueError("A validation needs threshold=, in the design's own direction; got None.")
        if self.quantity == "power" and self.threshold and abs(self.threshold) < _SUBNORMAL:
            raise ValueError(
                f"Processors may take numbers nearer to 0 than {_SUBNORMAL:.2g} for 0: statistics that a threshold "
                f"among them accepts could count as rejecting, which overstates power; got {self.threshold}. Use 0."
            )
        if self.quantity == "mean" and self.threshold is not None:
            raise ValueError(
                f"quantity='mean' bounds the mean of the statistic itself and takes no threshold; got {self.threshold}."
            )
        if (self.quantity == "mean") != (self.value_range is not None):
            raise ValueError(
                "The value_range of the statistic belongs to quantity='mean' and to nothing else; got "
                f"quantity={self.quantity!r} and value_range={self.value_range}."
            )
        return self


class _Calibration(Settings):
    """Settings of calibrations.

    Attributes:
        alpha: the level at which the error is controlled.
        bootstrap_seed: seed of the bootstrap resamples.
        n_bootstrap: bootstrap resamples of either kind.
        grid_target: converged when the worst tile loses at most this much of alpha to its size,
        bias_target: the bias of the threshold, in units of error, is at most this,
        std_target: and its standard deviation at most this.
        min_rank: a tile is worked on first while its threshold is one of this many smallest statistics.
        confidence: with which the threshold keeps the error at or below alpha everywhere in the region; None keeps the
            expected error there.
    """

    alpha: float = Field(0.025, gt=0, lt=1, description="a level between 0 and 1")
    bootstrap_seed: int = Field(0, ge=0, lt=2**63, description="a whole number from 0")
    n_bootstrap: int = Field(50, ge=0, description="a whole number from 0")
    grid_target: float = Field(0.001, ge=0, description="a slack in the Type I Error, from 0")
    bias_target: float = Field(0.001, ge=0, description="a slack in the Type I Error, from 0")
    std_target: float = Field(0.002, ge=0, description="a slack in the Type I Error, from 0")
    min_rank: int = Field(40, ge=1, description="a positive whole number")
    confidence: float | None = Field(None, gt=0.5, lt=1, description="a confidence between 0.5 and 1, or None")

    def rank(self, n_sims: ArrayLike, level: ArrayLike) -> IntArray:
        """Return the ranks of thresholds at simulated points.

        Every point has the whole confidence: the least of their thresholds is too large only if the one at a certain
        point is, which point depends on the design alone (docs/guarantee.md, section 5).

        Args:
            n_sims: numbers of simulations.
            level: levels, broadcast against n_sims.
        """
        if self.confidence is None:
            return calibration_rank(n_sims, level)
        return confident_rank(n_sims, level, 1 - self.confidence)

    @property
    def margin(self) -> float:
        """By about how many standard errors ranks are below those of the expectation; 0 without a confidence."""
        return 0.0 if self.confidence is None else float(ndtri(self.confidence))


class ValidateSettings(_Validation, _Tiles):
    """Settings of a validation that adapts tiles."""


class CalibrateSettings(_Calibration, _Tiles):
    """Settings of a calibration that adapts tiles."""


def _positive(name: str, targets: Mapping[str, float]) -> None:
    """Refuse targets of zero, which no number of simulations reaches."""
    zero = [target for target, value in targets.items() if value <= 0]
    if zero:
        raise ValueError(
            f"{' and '.join(zero)} must be above 0 in {name} by interpolation, because numbers of simulations are "
            "planned to meet them; got 0."
        )


class InterpolatedValidateSettings(_Validation):
    """Settings of a validation by interpolation."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        _positive("a validation", {"max_target": self.max_target, "global_target": self.global_target})
        return self


class InterpolatedCalibrateSettings(_Calibration):
    """Settings of a calibration by interpolation."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        targets = {name: getattr(self, name) for name in ("grid_target", "bias_target", "std_target")}
        _positive("a calibration", targets)
        if self.n_bootstrap < 2:
            raise ValueError(
                "n_bootstrap must be at least 2 in a calibration by interpolation, because bias_target and "
                f"std_target are judged by resamples; got {self.n_bootstrap}."
            )
        return self


def _sentence(cls: type[BaseModel], problem: Any) -> str:
    """Turn one problem into a sentence: the rule, the value, what the field is."""
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    if name not in cls.model_fields:
        return f"{name!r} is no setting of this job. Settings: {', '.join(sorted(cls.model_fields))}."
    message = str(problem["msg"]).removeprefix("Value error, ")
    rule = message[0].lower() + message[1:]
    return f"{name} must be {cls.model_fields[name].description}; got {problem['input']!r} ({rule})."
