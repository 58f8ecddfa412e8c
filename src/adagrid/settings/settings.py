"""All settings of a job: one frozen object from the entry point to the database and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar, final

from pydantic import Field, field_serializer, field_validator, model_validator

from adagrid.settings.goals import GOALS, Calibration, Goal, Kind, Validation
from adagrid.settings.method import Method, method_named
from adagrid.settings.options import Options, all_of
from adagrid.settings.quantities import Quantity, Range

M = TypeVar("M", bound=Method)


class Common(Options):
    """The settings that all jobs have.

    Attributes:
        model_seed: seed of the simulations.
        family_lines: lines of three points on which simulations could contradict the declared family.
        family_sims: simulations at each of these points.
        trust_family: why the declared family is not tested, in words that the certificate repeats; None to test it.
        n_steps: the most steps of a zone, the simulation of the initial grid among them; or the most rounds.
        timeout: seconds after which no new packet begins, nor another part of a plan.
        packet_size: tiles or points that are simulated and written together.
        tile_batch_size: tiles or points whose simulations are in memory together.
    """

    words = frozenset({"trust_family"})
    procedural: ClassVar = frozenset({"n_steps", "timeout", "packet_size", "tile_batch_size"})
    """The settings that change no decision."""

    model_seed: int = Field(default=0, ge=0, lt=2**63, description="a whole number from 0")
    family_lines: int = Field(default=8, ge=1, le=1000, description="a whole number of lines from 1 to 1,000")
    family_sims: int = Field(
        default=512, ge=128, le=16384, multiple_of=64, description="a multiple of 64 simulations, from 128 to 16,384"
    )
    trust_family: str | None = Field(
        default=None, min_length=10, max_length=200, description="a reason of 10 to 200 letters, or None"
    )
    n_steps: int = Field(default=100, ge=1, description="a positive whole number of steps")
    timeout: float | None = Field(default=None, gt=0, description="a positive number of seconds, or None")
    packet_size: int | None = Field(default=None, ge=1, description="a positive whole number of tiles, or None")
    tile_batch_size: int | None = Field(default=None, ge=1, description="a positive whole number of tiles, or None")


@final
class Settings(Common):
    """The settings of a job.

    Attributes:
        goal: to validate or to calibrate, with the threshold or level and the targets.
        method: how the region is certified, with the settings of the method.
    """

    words = frozenset({"goal", "method", "trust_family"})

    goal: Goal
    method: Method

    @field_validator("goal", mode="before")
    @classmethod
    def _read_goal(cls, value: Any) -> Any:
        """Build a goal from its values, as a record has them."""
        if not isinstance(value, dict):
            return value
        for kind, goal in GOALS.items():
            if value.get("kind") == kind:
                return goal(**value)
        raise ValueError("it is no goal of a job")

    @field_validator("method", mode="before")
    @classmethod
    def _read_method(cls, value: Any) -> Any:
        """Build a method from its name and its settings, as a record has them."""
        if not isinstance(value, dict):
            return value
        fields = dict(value)
        return method_named(str(fields.pop("name", None)))(**fields)

    @field_serializer("method")
    def _write_method(self, method: Method) -> dict[str, Any]:
        return {"name": method.name, **method.model_dump()}

    @model_validator(mode="after")
    def _reachable(self) -> Settings:
        if problems := self.method.problems(self.goal):
            raise ValueError(" ".join(problems))
        return self

    @staticmethod
    def of(kind: Kind, method: Method, values: Mapping[str, Any]) -> Settings:
        """Return the settings of a job with the given values; all other values are defaults.

        Raises:
            InvalidInputError: naming every value that breaks its rule.
        """
        own, goal, methods = dict[str, Any](), dict[str, Any](), dict[str, Any]()
        for name, value in values.items():
            part = own if name in Common.names() else goal if name in GOALS[kind].names() else methods
            part[name] = value
        made: list[Any] = all_of(
            partial(GOALS[kind], **goal),
            partial(type(method), **{**method.model_dump(), **methods}),
            partial(Common, **own),
        )
        return Settings(goal=made[0], method=made[1], **own)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return the settings with the given values changed."""
        return Settings.of(self.kind, self.method, {**self.by_name(), **values})

    def by_name(self) -> dict[str, Any]:
        """Return all values by name, including those of the goal and the method."""
        nested = {name: getattr(self, name) for name in type(self).model_fields if name not in ("goal", "method")}
        parts = (self.goal, self.method)
        values = {name: getattr(part, name) for part in parts for name in type(part).model_fields if name != "kind"}
        return {**values, **nested}

    @property
    def kind(self) -> Kind:
        """Whether the job validates or calibrates."""
        return self.goal.kind

    @property
    def changeable(self) -> frozenset[str]:
        """The settings that a continued job may change, because no stored result depends on them."""
        return self.procedural | self.goal.targets

    @property
    def validation(self) -> Validation:
        """The goal of a validation."""
        assert isinstance(self.goal, Validation)  # noqa: S101 - callers know
        return self.goal

    @property
    def calibration(self) -> Calibration:
        """The goal of a calibration."""
        assert isinstance(self.goal, Calibration)  # noqa: S101 - callers know
        return self.goal

    @property
    def quantity(self) -> Quantity | None:
        """The quantity that a validation bounds; None for calibrations."""
        return self.goal.bounded if isinstance(self.goal, Validation) else None

    @property
    def value_range(self) -> Range | None:
        """The range of a statistic that is rounded at random to 0 or 1, for its mean; None where nothing is rounded."""
        return self.goal.value_range if isinstance(self.goal, Validation) else None

    def method_as(self, cls: type[M]) -> M:
        """Return the method, which is of a class."""
        assert isinstance(self.method, cls)  # noqa: S101 - callers know
        return self.method
