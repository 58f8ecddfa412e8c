"""Those who work for one run of a job: each has a number and a row in `config`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import pandas as pd

from adagrid.backends import current_worker
from adagrid.errors import BackendError
from adagrid.records import LEADER, JobRecord
from adagrid.runtime.environment import environment
from adagrid.stores import Store

# Those that this process has joined as a worker.
_joined: dict[str, WorkerInfo] = {}


@final
@dataclass(frozen=True)
class WorkerInfo:
    """A process that works for a run.

    Args:
        worker_id: its number.
        environment: platform, packages and settings there.
    """

    worker_id: int
    environment: Mapping[str, Any]

    def config_row(self, start: int, record: JobRecord) -> pd.DataFrame:
        """Return its row of `config`, without the time."""
        texts = {"record": record.model_dump_json(), "environment": json.dumps(self.environment)}
        return pd.DataFrame([{"start": start, "worker_id": self.worker_id, **texts}])


@final
@dataclass(frozen=True)
class WorkerPool:
    """What a process must know to work for a run of a job. It travels.

    Args:
        start: how often the job was started before.
        first_worker: the least number that a worker may get.
        leader: the process that leads.
        name: of the run.
    """

    start: int
    first_worker: int
    leader: WorkerInfo
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    @staticmethod
    def gather(store: Store | None, start: int) -> WorkerPool:
        """Return the workers of a run that this process leads.

        Args:
            store: the job's; None if it is yet to be started.
            start: how often it was started before.
        """
        known = LEADER if store is None else int(store.table("config")["worker_id"].max())
        return WorkerPool(start, known + 1, WorkerInfo(LEADER, environment()))

    def join(self) -> WorkerInfo:
        """Return who this process is: the leader, or a worker, which gets a number when it joins.

        Raises:
            BackendError: if a worker has another version of adagrid than the leader.
        """
        worker = current_worker()
        if worker is None:
            return self.leader
        if self.name not in _joined:
            here = environment(git=False)  # whatever folder a worker is in has nothing to do with the job
            self._refuse_other_version(here)
            _joined[self.name] = WorkerInfo(worker.number(self.name, self.first_worker), here)
        return _joined[self.name]

    def differences(self, worker: WorkerInfo) -> Iterator[str]:
        """Yield what about a worker could change the bits of simulations."""
        return differences(self.leader.environment, worker.environment)

    def _refuse_other_version(self, here: Mapping[str, Any]) -> None:
        own, leaders = (each["packages"]["adagrid"] for each in (here, self.leader.environment))
        if own != leaders:
            raise BackendError(
                f"A worker has adagrid {own}, and the job is led by adagrid {leaders}: all must have the same version. "
                "Install it there and run the job again. Everything finished before is saved."
            )
        if here["adagrid_code"] != self.leader.environment["adagrid_code"]:
            raise BackendError(
                f"A worker has adagrid {own} like the leader, but its source files differ: an installation was "
                "edited. Install the same there and run the job again. Everything finished before is saved."
            )


def differences(past: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of two environments could change the bits of simulations, in words."""
    for name in ("platform", "processor", "accelerator", "packages"):
        if past[name] != now[name]:
            yield f"{name} {past[name]} and {now[name]}: results stay valid, bits may differ"
