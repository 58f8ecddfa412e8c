"""What a job writes down about itself, so that it can be continued and judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from adagrid.algorithms import (
    CalibrateSettings,
    InterpolatedCalibrateSettings,
    InterpolatedValidateSettings,
    Settings,
    ValidateSettings,
)
from adagrid.algorithms.quantities import Quantity
from adagrid.engine import Shape
from adagrid.errors import NotAJobError
from adagrid.models.base import RejectWhen, direction_of
from adagrid.stores import Method, Store

Kind = Literal["validate", "calibrate"]

LEADER = 1
"""The worker_id of the process that leads; workers have 2, 3, ..."""

SETTINGS: Mapping[tuple[Method, Kind], type[Settings]] = {
    ("classic", "validate"): ValidateSettings,
    ("classic", "calibrate"): CalibrateSettings,
    ("interpolated", "validate"): InterpolatedValidateSettings,
    ("interpolated", "calibrate"): InterpolatedCalibrateSettings,
}


class ModelRecord(BaseModel):
    """Identifies a design."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any]
    fingerprint: str
    reject_when: RejectWhen
    precision: Literal["single", "double"]
    family: str
    family_fields: dict[str, Any]
    coordinates: str
    program: str | None
    """What `Simulator.fingerprint` says of it."""
    source: str
    """The source of its class."""

    @property
    def direction(self) -> float:
        """1.0 if small statistics reject, -1.0 if large ones do."""
        return direction_of(self.reject_when)

    def is_version_of(self, other: ModelRecord) -> bool:
        """Return whether two records are of the same version of a design, as far as they can be compared."""
        alike = (self.name, self.arguments, self.fingerprint) == (other.name, other.arguments, other.fingerprint)
        return alike and not is_other(self.program, other.program)


class JobRecord(BaseModel):
    """Everything that determines a job's answer, and the settings that do not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    kind: Kind
    method: Method
    settings: dict[str, Any]
    model: ModelRecord
    grid_fingerprint: str
    theta_min: list[float]
    theta_max: list[float]
    n_zones: int
    coordinate_every: int
    chunk: int
    block: int
    computed: bool
    """Whether the design computes the errors of the job, all of them. They are simulated otherwise, all of them."""

    @property
    def shape(self) -> Shape:
        """The shape of compiled calls."""
        return Shape(self.chunk, self.block)

    @property
    def settings_class(self) -> type[Settings]:
        """The class of the job's settings."""
        return SETTINGS[self.method, self.kind]

    def checked_settings(self) -> Settings:
        """Return the settings as their class."""
        return self.settings_class.checked(self.settings)

    @property
    def calibration(self) -> CalibrateSettings | InterpolatedCalibrateSettings:
        """The settings of a calibration."""
        settings = self.checked_settings()
        assert isinstance(settings, (CalibrateSettings, InterpolatedCalibrateSettings))  # noqa: S101 - callers know
        return settings

    @property
    def quantity(self) -> Quantity | None:
        """What a validation bounds; None for calibrations."""
        settings = self.checked_settings()
        if isinstance(settings, (ValidateSettings, InterpolatedValidateSettings)):
            return settings.bounded
        return None


def is_other(recorded: str | None, given: str | None) -> bool:
    """Return whether two fingerprints of what is simulated can be compared, and differ."""
    if recorded is None or given is None or recorded.partition(": ")[0] != given.partition(": ")[0]:
        return False
    return recorded != given


def read_records(store: Store) -> list[JobRecord]:
    """Return what a job wrote down about itself at every start; the last holds.

    Raises:
        NotAJobError: if the database holds no job.
    """
    config = store.table("config") if store.exists else pd.DataFrame({"worker_id": []})
    config = config[config["worker_id"] == LEADER]
    if not len(config):
        raise NotAJobError(f"{store.location} holds no job yet.")
    try:
        return [JobRecord.model_validate_json(str(text)) for text in config["record"]]
    except ValueError as error:
        raise NotAJobError(f"{store.location} holds a job that another version of adagrid has written.") from error
