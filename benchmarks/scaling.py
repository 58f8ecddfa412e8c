"""What workers add: overheads, efficiency on two cores, and where 64 of them find a limit.

    python benchmarks/scaling.py            # about 15 minutes and 12 GB of memory, for 64 processes
    python benchmarks/scaling.py --most 16

A ClickHouse server of the tests is started for zones, where Debian's clickhouse-server is installed.
"""

from __future__ import annotations

import argparse
import math
import pickle
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import adagrid as ada
from measuring import Neighbours, Times, in_ms, machine, table, wait_until_quiet

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

ROUNDS = 3
# Processes that workers who sleep share at most.
_PROCESSES = 4


def main() -> None:
    """Measure, and print every part of a report when it is there."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--most", type=int, default=64, help="workers of the largest simulated cluster")
    most = arguments.parse_args().most
    wait_until_quiet(120)
    neighbours = Neighbours()
    sizes = [n for n in (1, 4, 16, 64) if n <= most]
    for heading, measure in (
        ("## Machine", lambda: table(["", ""], list(machine().items()))),
        ("## Overheads", _overheads),
        ("## A heavy design on this machine's processors", _heavy),
        ("## Workers that sleep", lambda: _scale_out(sizes)),
    ):
        print(f"{heading}\n\n{measure()}\n", flush=True)
    print(f"Other processes kept {neighbours.cores():.1f} cores busy on average, workers included.")


@contextmanager
def _cluster(n_workers: int, prepare: Callable[..., int], *arguments: Any, threads: int = 1) -> Iterator[Any]:
    """Yield a cluster whose workers are prepared; without Dask's profiler, as the backend's own."""
    import dask
    import distributed

    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=None,
        ) as cluster,
    ):
        with distributed.Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(n_workers)
            client.run(prepare, *arguments)
        yield cluster


@contextmanager
def _server() -> Iterator[Callable[[], Any] | None]:
    """Yield what opens a new job on a server, None where none is installed."""
    from adagrid.stores.clickhouse import ClickHouseStore
    from tests.support.clickhouse_server import BINARY, ClickHouseServer, connect_to_old_server

    if BINARY is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        server = ClickHouseServer(Path(folder))
        server.start()
        try:
            yield lambda: ClickHouseStore(server.url(f"job_{uuid.uuid4().hex}"), connect=connect_to_old_server)
        finally:
            server.stop()


def _overheads() -> str:
    """Measure what a packet and a coordination cost beside simulation."""
    from adagrid.methods.tiles.algorithm import StepWork
    from adagrid.methods.tiles.requests import TilesRequest
    from scaling_cases import sleep_instead

    rows = []
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=64, null_hypos=["theta1 <= theta0"])
    one = TilesRequest(StepWork.fresh(grid.tiles.take(np.arange(1)).with_n_sims(1024)))
    many = TilesRequest(StepWork.fresh(grid.tiles.take(np.arange(2000)).with_n_sims(1024)))
    rows.append(["a packet of 1 tile, bytes sent", f"{len(pickle.dumps(one)):,}"])
    rows.append(["a packet of 2,000 tiles, bytes sent", f"{len(pickle.dumps(many)):,}"])
    with _cluster(2, sleep_instead, 0.0) as cluster, ada.DaskBackend(cluster=cluster) as backend:
        list(backend.map(abs, range(20)))
        times = Times.of([_each(lambda: list(backend.map(abs, range(500))), 500) for _ in range(ROUNDS)])
        rows.append(["a task that does nothing, ms", str(times)])
        answers = list(backend.map(_Answering(), [2000]))
        rows.append(["the answer for 2,000 tiles, bytes", f"{answers[0]:,}"])
        job = _sleeping_job(backend, None, packets=512)
        rows.append(
            [
                "a packet that travels, simulation left out, ms (DuckDB in memory)",
                in_ms(job["seconds"] / job["packets"]),
            ]
        )
    with _server() as opened:
        if opened is not None:
            with _cluster(2, sleep_instead, 0.0) as cluster:
                often = ada.DaskBackend(4, 1, cluster=cluster)
                jobs = [_sleeping_job(often, opened(), packets=64, n_steps=13) for _ in range(2)]
                between = jobs[1]["between"]  # of the second: workers have started what they need
                rows.append(
                    [
                        "a coordination of 4 zones on a server, from the last zone's end to the new row, ms",
                        in_ms(between),
                    ]
                )
    return table(["what", "cost"], rows)


class _Answering:
    """Returns how many bytes an answer has."""

    def __call__(self, n: int) -> int:
        from adagrid.runtime.environment import environment
        from adagrid.runtime.requests import Response
        from adagrid.runtime.workers import WorkerInfo

        columns = {name: np.zeros(n) for name in ("rejections", "tie_estimate", "tie_point_bound", "tie_bound")}
        return len(pickle.dumps(Response(columns, 1.0, WorkerInfo(2, environment(git=False)))))


def _each(run: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) / times


def _sleeping_job(backend: ada.Backend, db: Any, *, packets: int, n_steps: int = 2) -> dict[str, float]:
    """Run a job whose simulations are made up, one tile a packet, and return what it took."""
    n = max(8, math.ceil((2 * packets) ** 0.5))  # about as many tiles to begin with
    grid = ada.cartesian_grid([-1, -1], [1, 1], n=n, null_hypos=["theta1 <= theta0"])
    # Every chosen tile is refined into four: a quarter of a step's packets are chosen, in all zones together.
    size = max(packets // 4 // backend.n_zones, 1)
    how: Any = {
        "method": ada.Classic(init_sims=1024, max_sims=1024, step_size=size),
        "options": ada.RunOptions(n_steps=n_steps, packet_size=1),
    }
    targets = {"global_target": 1e-9, "max_target": 1e-9}
    began = time.perf_counter()
    with ada.ada_validate(
        ada.FisherExact(10), threshold=0.05, grid=grid, backend=backend, db=db, progress=False, **how, **targets
    ) as run:
        seconds = time.perf_counter() - began
        reports, begun = run.table("reports"), run.table("coordinations").set_index("coordination_id")["time"]
        ended = reports[reports["kind"] == "zones"].set_index("coordination_id")["time"]
        gaps = begun - ended.set_axis(ended.index + 1)
        return {
            "between": float(gaps.median()),
            "seconds": seconds,
            "packets": int((reports["kind"] == "packet").sum()),
            "coordinations": len(run.table("coordinations")),
        }


def _heavy() -> str:
    """Measure how much faster a heavy job is with more workers, each of which has one processor."""
    from scaling_cases import Heavy, use_one_processor

    grid = ada.cartesian_grid([-0.1], [0.0], n=64, null_hypos=["theta0 <= 0"])
    how: dict[str, Any] = {"threshold": 1.96, "grid": grid, "n_sims": 200_000, "progress": False}
    how["options"] = ada.RunOptions(packet_size=8)
    taken: dict[int, list[float]] = {1: [], 2: [], 4: []}
    share, first = [], 0.0
    for n_workers in taken:
        with _cluster(n_workers, use_one_processor) as cluster, ada.DaskBackend(cluster=cluster) as backend:
            for again in range(3):
                began = time.perf_counter()
                run = ada.validate(Heavy(), backend=backend, **how)
                seconds = time.perf_counter() - began
                if not again:  # compiles
                    first = seconds if n_workers == 1 else first
                    continue
                taken[n_workers].append(seconds)
                if n_workers == 1:
                    reports = run.table("reports")
                    packets = reports["content"][reports["kind"] == "packet"]
                    share.append(1 - sum(packet["seconds"] for packet in packets) / seconds)
    first = first / min(taken[1]) - 1
    times = {n: Times.of(seconds) for n, seconds in taken.items()}
    rows = []
    for n, each in times.items():
        ideal = times[1].median / min(n, 2)
        rows.append([n, str(each), f"{times[1].median / each.median:.2f}x", f"{ideal / each.median:.0%}"])
    told = f"Not simulation, of a run with one worker and packets of about {times[1].median / 8:.1f} s: "
    told += f"{np.median(share):.1%}. Workers had compiled the design in a run before, which took {first:.0%} longer."
    return table(["workers", "a run, ms", "as fast as one", "of the ideal on 2 processors"], rows) + "\n\n" + told


def _scale_out(sizes: list[int]) -> str:
    """Measure how close to ideal jobs are whose packets take a second each, with more and more workers."""
    from scaling_cases import sleep_instead

    rows = []
    for n in sizes:
        processes = min(n, _PROCESSES)  # of which each has a pulse: 64 would keep this machine busy by themselves
        with _cluster(processes, sleep_instead, 1.0, n // processes, threads=n // processes) as cluster:
            ways = [("packets, DuckDB in memory", ada.DaskBackend(1, 5, cluster=cluster), None)]
            with _server() as opened:
                if opened is not None:
                    ways.append(("zones, ClickHouse of 2018", ada.DaskBackend(max(n, 2), 5, cluster=cluster), opened()))
                for name, backend, db in ways:
                    warm = ada.DaskBackend(cluster=cluster)  # workers start what they need only once
                    _sleeping_job(warm, None, packets=n, n_steps=1)
                    job = _sleeping_job(backend, db, packets=4 * max(n, 2), n_steps=4)
                    ideal = job["packets"] / n
                    rows.append(
                        [n, name, f"{job['packets']:,.0f}", f"{job['seconds']:.1f}", f"{ideal / job['seconds']:.0%}"]
                    )
    return table(["workers", "what travels", "packets of 1 s", "seconds", "of the ideal"], rows)


if __name__ == "__main__":
    main()
