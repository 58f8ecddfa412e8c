"""What a job records of itself, so that it can be continued and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from adagrid._source import same_source
from adagrid.engine import Shape
from adagrid.errors import AdagridError, CorruptStoreError, NotAJobError
from adagrid.families import recorded_family
from adagrid.models.model import RejectWhen, direction_of
from adagrid.settings.goals import Kind
from adagrid.settings.method import Method, UnknownMethodError
from adagrid.settings.quantities import Quantity
from adagrid.settings.settings import Settings
from adagrid.stores import Store

# What is done once per zone is done so often at most.
_MOST_ZONES = 2**20

LEADER = 1
"""The worker_id of the process that leads; workers have 2, 3, ..."""

FIXED = ("reject_when", "precision", "family", "family_fields", "coordinates")
"""What turns or misreads the results that exist: it can never change."""


class ModelRecord(BaseModel):
    """Identifies a design."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any]
    content: str
    """A hash of its attributes, and of the data that its source refers to."""
    reject_when: RejectWhen
    precision: Literal["single", "double"]
    family: str
    family_fields: dict[str, Any]
    coordinates: str
    program: str | None
    """What `Simulator.fingerprint` says of it."""
    source: str | None
    """The source that it rests on, as far as it is not installed; None if it could not be found."""
    family_source: str | None
    """The same of its family."""

    @property
    def direction(self) -> float:
        """1.0 if small statistics reject, -1.0 if large ones do."""
        return direction_of(self.reject_when)

    def differing(self, other: ModelRecord, *, computed: bool) -> tuple[str, ...]:
        """Return the fields in which two records are of other designs.

        Equal programs are the same design whatever its source says. The program contains neither what the family
        computes nor errors that the design computes. Name and arguments always count, since the certificate names them.

        Args:
            other: the other record.
            computed: whether errors are computed.
        """
        fields = [name for name in (*FIXED, "name", "arguments") if getattr(self, name) != getattr(other, name)]
        fields += [] if same_source(self.family_source, other.family_source) else ["family_source"]
        same = same_program(self.program, other.program)
        if same and not computed:
            return tuple(fields)
        fields += ["program"] if same is False else []
        fields += ["content"] if self.content != other.content else []
        return tuple(fields if same_source(self.source, other.source) else [*fields, "source"])


class JobRecord(BaseModel):
    """Everything that determines a job's answer, and the settings that do not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    settings: Settings
    model: ModelRecord
    design: int
    """The number of this version of the design and the null hypotheses, from 0 in the order of their acceptance."""
    null_hypos: list[str]
    """The definitions of the null hypotheses."""
    grid_fingerprint: str
    theta_min: list[FiniteFloat]
    theta_max: list[FiniteFloat]
    n_zones: int = Field(ge=1, le=_MOST_ZONES)
    coordinate_every: PositiveInt
    chunk: PositiveInt
    block: PositiveInt
    computed: bool
    """Whether the design computes the errors of the job, all of them. They are simulated otherwise, all of them."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """Refuse what no job has recorded: everything here can be used without another look."""
        if len(self.theta_min) != len(self.theta_max):
            raise ValueError("the region is none of a job")
        try:
            family = recorded_family(self.model.family_fields)
        except Exception as error:  # families check what they are given, each in its way
            raise ValueError(f"its family cannot be built: {error}") from error
        if family is not None and family.dim != len(self.theta_min):
            raise ValueError("its family has not as many parameters as its region")
        return self

    @property
    def kind(self) -> Kind:
        """Whether the job validates or calibrates."""
        return self.settings.kind

    @property
    def method(self) -> Method:
        """How the region is certified."""
        return self.settings.method

    @property
    def quantity(self) -> Quantity | None:
        """What a validation bounds; None for calibrations."""
        return self.settings.quantity

    @property
    def shape(self) -> Shape:
        """The shape of compiled calls."""
        return Shape(self.chunk, self.block)


def same_program(one: str | None, other: str | None) -> bool | None:
    """Return whether two fingerprints of what is simulated are the same; None if they cannot be compared."""
    if one is None or other is None or one.partition(": ")[0] != other.partition(": ")[0]:
        return None
    return one == other


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
        records = [JobRecord.model_validate_json(str(text)) for text in config["record"]]
    except UnknownMethodError as error:
        raise NotAJobError(
            f"{store.location} holds a job by the method {error.name!r}, which adagrid does not have. Import the "
            "module that defines it, and open the job again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise NotAJobError(
            f"{store.location} holds a job that another version of adagrid has written, or that was changed since."
        ) from error
    last, schema = records[-1], store.schema
    if last.method.layout.name != schema.layout.name or len(last.theta_min) != schema.dim:
        raise CorruptStoreError(f"{store.location}: its record is of another job than its tables. Take another copy.")
    return records


def read_data(texts: pd.Series, where: str) -> list[Any]:
    """Return what a job has written down as JSON.

    Args:
        texts: a column.
        where: the database, for people.

    Raises:
        CorruptStoreError: if something else is there.
    """
    with reading(where):
        found = [json.loads(text) for text in texts]
        if not all(isinstance(each, dict) for each in found):
            raise ValueError("data without names")
        return found


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Say which job it is whose numbers or texts fit no calculation: nobody has stored them with adagrid.

    Raises:
        CorruptStoreError: in place of what they raise.
    """
    try:
        yield
    except AdagridError:
        raise
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError) as error:
        raise CorruptStoreError(
            f"{where} has values that no job has ({type(error).__name__}: {error}); do not use its certificate. Take "
            "another copy."
        ) from error
