"""The extension point for methods: ways to certify a region."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from adagrid import methods
from adagrid._registry import named
from adagrid._typing import FloatArray, IdArray, IntArray
from adagrid.settings.options import Options
from adagrid.stores import Store
from adagrid.stores.layout import Layout
from adagrid.stores.tables import Columns, Table

if TYPE_CHECKING:
    from adagrid.grid import NullHypothesis, Tiles
    from adagrid.models import Model
    from adagrid.records import JobRecord
    from adagrid.refutation.spots import Spots
    from adagrid.runtime.exact import ExactErrors
    from adagrid.runtime.job import AnyJob
    from adagrid.runtime.progress import StepReport
    from adagrid.runtime.status import Status
    from adagrid.settings.goals import Goal
    from adagrid.settings.settings import Settings


@final
@dataclass(frozen=True)
class Problem:
    """What a method works on.

    Args:
        settings: the settings of the job.
        model: the design.
        tiles: the tiles of the grid, in the order of their ids; None if the method does not know them.
        hypotheses: the null hypotheses of the grid.
        exact: what the design computes of its errors; None if they are simulated.
    """

    settings: Settings
    model: Model
    tiles: Tiles | None
    hypotheses: tuple[NullHypothesis, ...]
    exact: ExactErrors | None


@final
@dataclass(frozen=True)
class Words:
    """What a method's steps and rows are called in texts for people.

    Args:
        rows: the rows that have a bound or a threshold, in a list of the worst.
        around: what stands before the place of such a row.
        uncertified: what the guarantee is as long as nothing is certified.
    """

    rows: str
    around: str
    uncertified: str


class Method(Options, ABC):
    """A way to certify a region. A new method is one file that defines a subclass.

    The fields of a subclass are its settings. Its methods say how a job is run and how its tables are read; what is the
    same for all jobs, such as packets, workers, copies and the tests of the family, is not its concern. Modules that
    simulate or need JAX are imported by the methods that use them, so that a job can be shown without them.
    """

    name: ClassVar[str]
    """What records and users call it."""
    layout: ClassVar[Layout]
    """Its tables."""
    words_for: ClassVar[Words]
    """What its rows are called."""
    knows_grid: ClassVar[bool]
    """Whether `algorithm` needs the tiles of the grid."""
    finishes_steps: ClassVar[bool]
    """Whether a step that was begun is finished with the settings that it was begun with, before changes hold."""

    # Settings

    def problems(self, goal: Goal) -> Sequence[str]:
        """Return why the method cannot reach a goal, one sentence for each reason."""
        del goal
        return ()

    @property
    def first_sims(self) -> int:
        """The simulations of a tile of the initial grid; 0 if tiles are not simulated."""
        return 0

    @property
    @abstractmethod
    def many_sims(self) -> int:
        """About how many simulations a tile or point has, for the size of compiled calls."""

    @abstractmethod
    def still_changeable(self, settings: Settings, kinds: Sequence[str]) -> frozenset[str]:
        """Return the settings that may change when a job is continued.

        Args:
            settings: the settings of the job.
            kinds: the kinds of its coordinations so far.
        """

    # Running a job

    @abstractmethod
    def algorithm(self, problem: Problem) -> Any:
        """Return what simulates and decides. Every worker makes its own, and answers requests with it."""

    @abstractmethod
    def columns(self, algorithm: Any, dtype: np.dtype[Any]) -> Mapping[Table, Columns]:
        """Return the columns that simulation and certification add to rows, by table.

        Args:
            algorithm: what `algorithm` returned.
            dtype: the type of statistics.
        """

    @abstractmethod
    def run(self, job: AnyJob, *, is_new: bool) -> Status:
        """Run a job until its targets are met, or nothing more can or may be done.

        Args:
            job: the job.
            is_new: whether this process has started the job, so that nothing of it is stored.

        Raises:
            TimeUpError: if the time is used up.
        """

    def finish_begun(self, job: AnyJob) -> None:
        """Finish the steps that an earlier process has begun."""

    def certify(self, job: AnyJob) -> None:
        """Certify what was found with simulations that had no part in finding it.

        Only called if the region is covered and not certified: methods that certify as they run need not define it.
        """
        raise NotImplementedError

    @abstractmethod
    def spots(self, job: AnyJob, number: Callable[[IntArray], int], shift: FloatArray) -> Spots | None:
        """Return points between the certified ones, at which simulations could contradict the family.

        Args:
            job: the job, of which something is certified.
            number: returns how many points there may be, given the numbers of simulations that certify.
            shift: random numbers from 0 to 1 that choose the points, shape (dim + 1,).

        Returns:
            The points; None if nothing is certified that they could lie between.
        """

    # Reading a job

    @abstractmethod
    def outcome(self, store: Store, record: JobRecord) -> Table:
        """Return the table with the rows that the bound or threshold rests on so far."""

    @abstractmethod
    def simulated_for(self, outcome: Table) -> Table:
        """Return the table with the simulations that an outcome rests on."""

    @abstractmethod
    def covers(self, store: Store, record: JobRecord) -> bool:
        """Return whether every part of the region has a bound or a threshold."""

    @abstractmethod
    def certified(self, store: Store, records: Sequence[JobRecord]) -> bool:
        """Return whether simulations that chose nothing, or computed errors, have given the outcome.

        Args:
            store: the job's.
            records: what the job has recorded of itself at each of its starts.
        """

    def is_fixed(self, store: Store, records: Sequence[JobRecord]) -> bool:
        """Return whether the job has simulated a fixed grid once, and adapted nothing, as it was asked to."""
        del store, records
        return False

    @abstractmethod
    def inconsistent_rows(self, store: Store, record: JobRecord) -> IdArray:
        """Return the ids of rows in force whose figures do not follow from their simulations."""

    # Texts for people

    @abstractmethod
    def work_done(self, counts: Mapping[str, int], n_coordinations: int, *, computed: bool) -> str:
        """Return what the job has done so far.

        Args:
            counts: what `Store.summary` counts.
            n_coordinations: the number of coordinations.
            computed: whether errors are computed.
        """

    @abstractmethod
    def progress_line(self, report: StepReport, figures: str) -> str:
        """Return the line that is printed for a finished step.

        Args:
            report: the step.
            figures: what the check of the targets rests on; may be empty.
        """


class UnknownMethodError(LookupError):
    """A name is of no method that has been imported."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no method is called {name!r}")
        self.name = name


def method_named(name: str) -> type[Method]:
    """Return the class of a method.

    Raises:
        UnknownMethodError: if no imported module defines one of this name.
    """
    try:
        return named(methods, Method, name)  # type: ignore[type-abstract]
    except KeyError as error:
        raise UnknownMethodError(name) from error
