"""Designs that travel to workers: compiled once in each, and refused where their code is another one."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from adagrid._optional import require
from adagrid.engine import Shape, Simulator
from adagrid.errors import BackendError
from adagrid.grid import NullHypothesis
from adagrid.grid.definition import hypothesis_fingerprint
from adagrid.jobs.record import is_other
from adagrid.models import Model
from adagrid.models._identity import model_fingerprint, model_name
from adagrid.models._rounding import unrounded

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
        code: hash of what their code, and all that it refers to, was compiled to in the process that leads.
        python: its version of Python, whose code that is.
        program: what it simulates, as `Simulator.fingerprint` says it; None compares only the code.
    """

    pickled: bytes
    code: str
    python: tuple[int, int]
    program: str | None = None

    @staticmethod
    def of(model: Model, hypotheses: Sequence[NullHypothesis], program: str | None = None) -> SentDesign:
        """Return a design as it travels."""
        pickled = require("cloudpickle", "dask").dumps((model, tuple(hypotheses)))  # a rounded one with its rounding
        return SentDesign(pickled, _code(model, hypotheses), sys.version_info[:2], program)

    def received(self, seed: int, n_nulls: int, shape: Shape) -> tuple[Simulator, tuple[NullHypothesis, ...]]:
        """Return what simulates the design in this process, and its hypotheses.

        Raises:
            BackendError: if this process has other code of the design or of a hypothesis.
        """
        model, hypotheses = require("cloudpickle", "dask").loads(self.pickled)
        self._check(model, hypotheses)
        simulator = Simulator(model, seed, n_nulls, shape=shape)
        if is_other(self.program, simulator.fingerprint):
            raise BackendError(_OTHER.format(name=model_name(unrounded(model))))
        return simulator, hypotheses

    def _check(self, model: Model, hypotheses: Sequence[NullHypothesis]) -> None:
        here = sys.version_info[:2]
        if here != self.python:
            own, leaders = (".".join(map(str, version)) for version in (here, self.python))
            raise BackendError(
                f"A worker runs Python {own}, and the job is led by Python {leaders}: designs travel between processes "
                "of the same version. Install it there and run the job again. Everything finished before is saved."
            )
        if _code(model, hypotheses) != self.code:
            raise BackendError(_OTHER.format(name=model_name(unrounded(model))))


def _code(model: Model, hypotheses: Sequence[NullHypothesis]) -> str:
    """Return a hash of what this process runs for a design."""
    model = unrounded(model)
    parts = [hypothesis_fingerprint(type(hypothesis), compiled=True) for hypothesis in hypotheses]
    return hashlib.sha256(" ".join([model_fingerprint(model, compiled=True), *parts]).encode()).hexdigest()
