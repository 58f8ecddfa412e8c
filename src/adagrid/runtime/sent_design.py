"""Designs that travel to workers. Each worker compiles them once, and refuses them if its code differs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from adagrid._optional import require
from adagrid._source import Name, code_hash, source_of
from adagrid.engine import Shape, Simulator
from adagrid.errors import BackendError
from adagrid.grid import NullHypothesis
from adagrid.models import Model
from adagrid.models._identity import model_content, model_name
from adagrid.records import same_program

# Modules whose classes and functions travel among the bytes.
_TRAVELLING = ("__main__", "__mp_main__")
_OTHER = (
    "A worker has other code than the leader for the design {name} or its null hypotheses: it would simulate another "
    "trial. Install there what the leader has, start the worker anew (it keeps modules that it has imported), and run "
    "the job again. Everything finished before is saved."
)


@final
@dataclass(frozen=True)
class SentDesign:
    """A design as bytes, from the process that leads; nothing like it is ever read from a database.

    Args:
        pickled: the design and its null hypotheses.
        python: the version of Python in the process that leads.
        program: what it simulates, as `Simulator.fingerprint` says it; None if that does not tell.
        names: names of modules whose code is not among the bytes, but is imported where it is run.
        code: hash of what they are compiled to, of their data, and where the program does not tell all, of what the
            design holds.
    """

    pickled: bytes
    python: tuple[int, int]
    program: str | None
    names: tuple[Name, ...]
    code: str

    @staticmethod
    def of(model: Model, hypotheses: Sequence[NullHypothesis], program: str | None = None) -> SentDesign:
        """Return a design as it travels."""
        pickled = require("cloudpickle", "dask").dumps((model, tuple(hypotheses)))
        reached = source_of([model, *hypotheses]).names
        names = tuple(name for name in reached if name[0] not in _TRAVELLING)
        return SentDesign(pickled, sys.version_info[:2], program, names, _code(model, hypotheses, names, program))

    def received(
        self, seed: int, n_nulls: int, shape: Shape, value_range: tuple[float, float] | None = None
    ) -> tuple[Simulator, tuple[NullHypothesis, ...]]:
        """Return what simulates the design in this process, and its hypotheses. Arguments are those of `Simulator`.

        Raises:
            BackendError: if this process has other code of the design or of a hypothesis.
        """
        here = sys.version_info[:2]
        if here != self.python:
            own, leaders = (".".join(map(str, version)) for version in (here, self.python))
            raise BackendError(
                f"A worker runs Python {own}, and the job is led by Python {leaders}: designs travel between processes "
                "of the same version. Install it there and run the job again. Everything finished before is saved."
            )
        model, hypotheses = require("cloudpickle", "dask").loads(self.pickled)
        simulator = Simulator(model, seed, n_nulls, shape=shape, value_range=value_range)
        same = same_program(self.program, simulator.fingerprint)
        if same is False or _code(model, hypotheses, self.names, self.program) != self.code:
            raise BackendError(_OTHER.format(name=model_name(model)))
        return simulator, hypotheses


def _code(model: Model, hypotheses: Sequence[NullHypothesis], names: Sequence[Name], program: str | None) -> str:
    """Return a hash of what this process runs for a design, and of its data where its program does not tell all."""
    held = model_content(model) if program is None or model.is_exact else ""
    return f"{code_hash([model, *hypotheses], names)} {held}"
