"""One measurement of `scale.py` in a process of its own: prints its figures as JSON.

python benchmarks/scale_one.py fill|ours|naive ENGINE WHERE TILES STEPS
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from adagrid.grid import Tiles
from adagrid.grid.grid import refine
from adagrid.methods.tiles.search import coordinate
from adagrid.methods.tiles.stored_frontier import read_frontier
from adagrid.methods.tiles.zone import run_zone
from adagrid.stores import Store, ZoneView
from adagrid.stores.clickhouse import ClickHouseStore
from adagrid.stores.duckdb import DuckDBStore
from measuring import PeakMemory, seconds
from scale_cases import Naive, fill, job


def open_store(engine: str, where: str) -> Store:
    if engine == "duckdb":
        return DuckDBStore(where)
    import clickhouse_connect

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support.clickhouse_server import connect_to_old_server

    if engine == "clickhouse-18":
        return ClickHouseStore(where, connect=connect_to_old_server)
    return ClickHouseStore(
        "clickhouse://localhost/scale", connect=lambda _: clickhouse_connect.get_client(interface="chdb", path=where)
    )


class Watch:
    """Adds up how long calls take, by what they do; a call within a call is taken off the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def over(self, owner: Any, method: str, name: Callable[..., str]) -> None:
        """Watch a method of an object."""
        original = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                taken = time.perf_counter() - began
                self.seconds[name(*arguments, **named)] += taken - self._inner.pop()
                self._inner[-1] += taken

        setattr(owner, method, timed)


def ours(store: Store, n_steps: int) -> dict[str, Any]:
    before, memory = psutil.Process().memory_info().rss / 1e6, PeakMemory()
    work, watch, frontier = job(store), Watch(), None
    step = (store.last_step(0, 0) or 0) + 1

    def resume() -> None:
        nonlocal frontier
        frontier = read_frontier(work, ZoneView(0, 0, 1, step))

    cpu = time.process_time()
    resumed, cpu = seconds(resume), time.process_time() - cpu
    assert frontier is not None
    size = _bytes(frontier) / 1e6
    answer: dict[str, Any] = {"active": len(frontier), "parts": len(frontier._parts), "resume": resumed}
    answer["resume CPU"] = cpu
    answer |= {"before": before, "frontier": size, "peak resume": before + memory.growth()}
    watch.over(store, "append", lambda frames: f"insert {next(iter(frames))}")
    watch.over(store, "step_rows", lambda name, *_: f"look at {name}")
    watch.over(store, "last_step", lambda *_: "look at steps")
    watch.over(work.algorithm, "convergence", lambda *_: "convergence")
    watch.over(work.algorithm, "choose", lambda *_: "choose")
    watch.over(work.algorithm, "simulate", lambda *_: "made up")
    watch.over(frontier, "advance", lambda *_: "advance")
    steps = []
    memory = PeakMemory()
    rss = psutil.Process().memory_info().rss / 1e6
    for k in range(n_steps):
        watch.seconds.clear()
        whole = seconds(lambda k=k: run_zone(work, 0, 0, step + k + 1, frontier))
        steps.append({**watch.seconds, "whole": whole})
    answer |= {"steps": steps, "peak steps": rss + memory.growth(), "frontier after": _bytes(frontier) / 1e6}
    memory = PeakMemory()
    answer["verify"] = seconds(store.verify)
    answer["peak verify"] = psutil.Process().memory_info().rss / 1e6 + memory.growth()
    answer["check"] = _check(store, work, frontier)
    again = read_frontier(work, ZoneView(0, 0, 1, 2**31))
    assert len(again) == len(frontier)
    assert again.extremes == frontier.extremes
    return answer


def _check(store: Store, work: Any, frontier: Any) -> float:
    """Return how long the check of a coordination takes that adds one step; what was before it has been checked."""
    checked = store.verify()
    first = work.record.coordinate_every
    run_zone(coordinate(work, 1), 1, 0, first + 1, frontier)
    return seconds(lambda: store.verify(checked))


def naive(store: Store, rounds: int) -> dict[str, Any]:
    form, memory, before = Naive(store), PeakMemory(), psutil.Process().memory_info().rss / 1e6
    answer: dict[str, Any] = {"resume": seconds(form.read)}
    taken = defaultdict(list)
    for _ in range(rounds):
        results: dict[str, Any] = {}

        def timed(name: str, run: Callable[[], Any], results: dict[str, Any] = results) -> None:
            taken[name].append(seconds(lambda: results.__setitem__(name, run())))

        timed("convergence", form.converged)
        timed("choose", form.choose)
        timed("parents", lambda r=results: form.parents(r["choose"]))
        children, _ = refine(Tiles.from_frame(results["parents"]), ())
        timed("known", lambda r=results, c=children: list(form.known(c.id, r["choose"])))
        timed("advance", lambda r=results, c=children: form.advance(r["choose"], len(c)))
    return answer | {name: list(values) for name, values in taken.items()} | {"peak": before + memory.growth()}


def _bytes(frontier: Any) -> int:
    """Return the memory of a frontier's arrays."""
    return sum(
        value.nbytes
        for part in frontier._parts
        for held in vars(part).values()
        for value in (held.values() if isinstance(held, dict) else [held])
        if isinstance(value, np.ndarray)
    )


def main() -> None:
    what, engine, where, n_tiles, n_steps = sys.argv[1:]
    store = open_store(engine, where)
    if what == "fill":
        answer: Any = seconds(lambda: fill(store, int(n_tiles)))
    else:
        answer = (ours if what == "ours" else naive)(store, int(n_steps))
    store.close()
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
