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
    """The job that a method works on.

    Args:
        settings: the settings of the job.
        model: the design.
        tiles: the tiles of the grid, in the order of their ids; None unless the method sets `knows_grid`.
        hypotheses: the null hypotheses of the grid.
        exact: the computed errors of the design; None if errors are simulated.
    """

    settings: Settings
    model: Model
    tiles: Tiles | None
    hypotheses: tuple[NullHypothesis, ...]
    exact: ExactErrors | None


@final
@dataclass(frozen=True)
class Words:
    """A method's words in texts for people.

    Args:
        rows: name of the rows that have a bound or a threshold, in a list of the worst.
        around: words before the parameters of such a row.
        uncertified: description of the guarantee while nothing is certified.
    """

    rows: str
    around: str
    uncertified: str


class Method(Options, ABC):
    """A way to certify a region.

    To add a method, write a subclass in one file. Its fields are its settings. It runs a job and reads the job's
    tables. Packets, workers, copies and the tests of the family are the same for all methods, and work without it.
    Import modules that simulate or need JAX inside the methods that use them, so that a job can be displayed without
    them. docs/architecture.md describes the steps.

    Examples:
        >>> method = ada.Classic(init_sims=1024, max_sims=8192)
        >>> isinstance(method, ada.Method), method.name
        (True, 'classic')
        >>> grid = ada.cartesian_grid([-1], [0], n=2, null_hypos=["x <= 0"])
        >>> run = ada.ada_validate(ada.ZTest(), threshold=1.96, grid=grid, method=method)  # doctest: +SKIP
    """

    name: ClassVar[str]
    """The name of the method, for records and users."""
    layout: ClassVar[Layout]
    """The tables of a job."""
    words_for: ClassVar[Words]
    """The names of its rows."""
    knows_grid: ClassVar[bool]
    """Whether `algorithm` needs the tiles of the grid."""
    finishes_steps: ClassVar[bool]
    """Whether a job finishes an interrupted step with its old settings, before changed settings apply."""

    # Settings

    def problems(self, goal: Goal) -> Sequence[str]:
        """Return one sentence per reason against a goal."""
        del goal
        return ()

    @property
    def first_sims(self) -> int:
        """The simulations of a tile of the initial grid.

        0 if the method does not simulate tiles.
        """
        return 0

    @property
    @abstractmethod
    def many_sims(self) -> int:
        """The approximate number of simulations per tile or point.

        It determines the size of compiled calls.
        """

    @abstractmethod
    def still_changeable(self, settings: Settings, kinds: Sequence[str]) -> frozenset[str]:
        """Return the settings that a continued job may change.

        Args:
            settings: the settings of the job.
            kinds: the kinds of its coordinations so far.
        """

    # Running a job

    @abstractmethod
    def algorithm(self, problem: Problem) -> Any:
        """Return the object that simulates and decides.

        Each worker creates its own, and answers requests with it.
        """

    @abstractmethod
    def columns(self, algorithm: Any, dtype: np.dtype[Any]) -> Mapping[Table, Columns]:
        """Return the columns that simulations add, by table.

        Args:
            algorithm: the object that `algorithm` returned.
            dtype: the type of statistics.
        """

    @abstractmethod
    def run(self, job: AnyJob, *, is_new: bool) -> Status:
        """Run a job until its targets are met.

        The run also ends if no step can improve the result, or the number of steps is used up.

        Args:
            job: the job.
            is_new: whether this process started the job, so that its tables are empty.

        Raises:
            TimeUpError: if the time is used up.
        """

    def finish_begun(self, job: AnyJob) -> None:
        """Finish the steps that an earlier process began."""

    def certify(self, job: AnyJob) -> None:
        """Certify the result with fresh simulations.

        It is called only if the region is covered and not certified. Methods that certify as they run need not define
        it.
        """
        raise NotImplementedError

    @abstractmethod
    def spots(self, job: AnyJob, number: Callable[[IntArray], int], shift: FloatArray) -> Spots | None:
        """Return points where simulations could contradict the family.

        They lie between the certified points.

        Args:
            job: the job, which has certified tiles or cells.
            number: returns the number of points, given the numbers of simulations that certify.
            shift: random numbers from 0 to 1 that choose the points, shape (dim + 1,).

        Returns:
            The points; None if no points can lie between the certified ones.
        """

    # Reading a job

    @abstractmethod
    def outcome(self, store: Store, record: JobRecord) -> Table:
        """Return the table that the bound or threshold rests on."""

    @abstractmethod
    def simulated_for(self, outcome: Table) -> Table:
        """Return the table with the simulations behind an outcome."""

    @abstractmethod
    def covers(self, store: Store, record: JobRecord) -> bool:
        """Return whether the whole region has a bound or threshold."""

    @abstractmethod
    def certified(self, store: Store, record: JobRecord) -> bool:
        """Return whether the outcome is a certificate.

        It is one if it rests on simulations that chose nothing, or on computed errors.

        Args:
            store: the job's store.
            record: what the job recorded of itself at its last start.
        """

    def is_fixed(self, store: Store, record: JobRecord) -> bool:
        """Return whether the job simulated a fixed grid without adaptation."""
        del store, record
        return False

    @abstractmethod
    def inconsistent_rows(self, store: Store, record: JobRecord) -> IdArray:
        """Return the ids of active rows with inconsistent figures.

        Their figures do not follow from their simulations.
        """

    # Texts for people

    @abstractmethod
    def work_done(self, counts: Mapping[str, int], n_coordinations: int, *, computed: bool) -> str:
        """Describe the work that the job has done so far.

        Args:
            counts: the counts of `Store.summary`.
            n_coordinations: the number of coordinations.
            computed: whether errors are computed.
        """

    @abstractmethod
    def progress_line(self, report: StepReport, figures: str) -> str:
        """Return the line that is printed for a finished step.

        Args:
            report: the step.
            figures: the figures that were compared with the targets; may be empty.
        """


class UnknownMethodError(LookupError):
    """No imported method has this name."""

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
