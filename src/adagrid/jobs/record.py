"""What a job writes down about itself, so that it can be continued and judged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from adagrid.algorithms import (
    AdaCalibrate,
    AdaValidate,
    Algorithm,
    CalibrateSettings,
    InterpolatedCalibrateSettings,
    InterpolatedCalibration,
    InterpolatedValidateSettings,
    InterpolatedValidation,
    Settings,
    StagedAlgorithm,
    ValidateSettings,
)
from adagrid.algorithms.quantities import Quantity
from adagrid.engine import Shape
from adagrid.errors import NotAJobError
from adagrid.families import family_record
from adagrid.grid import Grid, NullHypothesis, Tiles
from adagrid.grid.definition import values
from adagrid.grid.hypotheses import parted
from adagrid.jobs.environment import blotted
from adagrid.models import Model
from adagrid.models._identity import model_arguments, model_fingerprint, model_name
from adagrid.models._rounding import unrounded
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
    reject_when: Literal["small", "large"]
    precision: Literal["single", "double"]
    family: str
    family_fields: dict[str, Any]
    coordinates: str
    exact: bool = False

    @staticmethod
    def of(model: Model) -> ModelRecord:
        """Return the record of a design, or of the one whose statistic another rounds."""
        is_exact, model = model.is_exact, unrounded(model)
        return ModelRecord(
            name=model_name(model),
            arguments=blotted(model_arguments(model)),
            fingerprint=model_fingerprint(model),
            reject_when=model.reject_when,
            precision=model.precision,
            family=repr(model.family),
            family_fields=family_record(model.family),
            coordinates=model.family.coordinates,
            exact=is_exact,
        )

    @property
    def direction(self) -> float:
        """1.0 if small statistics reject, -1.0 if large ones do."""
        return 1.0 if self.reject_when == "small" else -1.0


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
    def quantity(self) -> Quantity | None:
        """What a validation bounds; None for calibrations."""
        settings = self.checked_settings()
        if isinstance(settings, (ValidateSettings, InterpolatedValidateSettings)):
            return settings.bounded
        return None

    def algorithm(self, hypotheses: Sequence[NullHypothesis]) -> Algorithm:
        """Return the algorithm of a classic job with the null hypotheses of its grid."""
        settings = self.checked_settings()
        if isinstance(settings, ValidateSettings):
            return AdaValidate(settings, hypotheses)
        assert isinstance(settings, CalibrateSettings)  # noqa: S101 - the only other kind
        return AdaCalibrate(settings)

    def staged_algorithm(self, model: Model, tiles: Tiles, hypotheses: Sequence[NullHypothesis]) -> StagedAlgorithm:
        """Return the algorithm of an interpolated job of a design on the tiles of its grid."""
        settings = self.checked_settings()
        if isinstance(settings, InterpolatedValidateSettings):
            return InterpolatedValidation(settings, model, tiles, hypotheses)
        assert isinstance(settings, InterpolatedCalibrateSettings)  # noqa: S101 - the only other kind
        return InterpolatedCalibration(settings, model, tiles, hypotheses)


def grid_fingerprint(grid: Grid) -> str:
    """Return a hash of a grid's tiles and hypotheses."""
    digest = hashlib.sha256()
    for tiles in (grid.tiles, grid.retired):
        for column in (tiles.id, tiles.theta, tiles.radius, tiles.null_truth):
            digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(repr([hypothesis.describe() for hypothesis in grid.hypotheses]).encode())
    digest.update(b"alternatives" if grid.of_alternatives else b"")
    for hypothesis in parted(grid.hypotheses)[1].values():  # whose words may leave something out
        digest.update(repr(values(hypothesis)).encode())
    return digest.hexdigest()[:32]


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
