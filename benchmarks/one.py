"""One measurement in a process of its own: prints one line of JSON. `engine.py` runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from adagrid._typing import Array, FloatArray
from cases import N_BOOTSTRAP, Case
from forms import Form, Naive, Ours, Response, calibration_ranks, validation_bound
from measuring import Neighbours, PeakMemory, highest_resident, interleaved, seconds

_BUDGET = 90.0
_ROUNDS = 15
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def forms(case: Case) -> dict[str, Callable[[], Form]]:
    """Return how the forms are built."""
    built: dict[str, Callable[[], Form]] = {"ours": lambda: Ours(case), "naive": lambda: Naive(case)}
    if case.job == "validate":
        built["fused"] = lambda: Naive(case, fused=True)
    return built


def measure_time(case: Case) -> dict[str, Any]:
    """Time the forms side by side, and compare what they answer."""
    compilation: dict[str, float] = {}
    ready: dict[str, Form] = {}

    def prepare(name: str) -> None:
        ready[name] = forms(case)[name]()
        ready[name].compile()

    for name in forms(case):
        compilation[name] = seconds(lambda name=name: prepare(name))  # type: ignore[misc]
    answers = {name: form.run() for name, form in ready.items()}
    timings: dict[str, Callable[[], float]] = {}
    for name, form in ready.items():
        timings[f"{name} first"] = lambda form=form: _first(form)  # type: ignore[misc]
        timings[f"{name} later"] = lambda form=form: seconds(form.run)  # type: ignore[misc]
    timings["bounds"] = lambda: seconds(lambda: _bounds(ready["ours"], answers["ours"]))
    neighbours = Neighbours()
    times, rounds = interleaved(timings, rounds=_ROUNDS, budget=_BUDGET)
    naive = ready["naive"]
    assert isinstance(naive, Naive)
    compare = _compare_counts if case.job == "validate" else _compare_thresholds
    return {
        "times": {name: vars(value) for name, value in times.items()},
        "rounds": rounds,
        "others": neighbours.cores(),
        "compilation": compilation,
        "batch": naive.batch,
        "agreement": compare(naive, answers["ours"], answers["naive"]),
    }


def measure_memory(case: Case, name: str) -> dict[str, float]:
    """Measure how far memory grows above what is in use after imports and compilation."""
    form = forms(case)[name]()
    form.compile()
    peak = PeakMemory()
    form.run()
    return {"growth": peak.growth(), "highest": highest_resident()}


def _first(form: Form) -> float:
    form.forget()
    return seconds(form.run)


def _bounds(form: Form, answer: Response) -> Array:
    if form.case.job == "validate":
        return validation_bound(form, answer["rejections"])
    return calibration_ranks(form)


def _compare_counts(naive: Naive, ours: Response, theirs: Response) -> dict[str, float]:
    """Compare rejections: how far they differ, and how far in standard errors were the draws independent."""
    difference = ours["rejections"] - theirs["rejections"]
    share = (ours["rejections"] + theirs["rejections"]) / (2 * naive.case.n_sims)
    error = np.sqrt(np.maximum(2 * naive.case.n_sims * share * (1 - share), 1.0))
    return {
        "largest difference": float(np.abs(difference).max()),
        "in standard errors": float(np.abs(difference / error).max()),
    }


def _compare_thresholds(naive: Naive, ours: Response, theirs: Response) -> dict[str, float]:
    """Compare thresholds by their ranks among the naive form's statistics.

    The rank of a threshold is random with a standard deviation of about sqrt(rank) for every source of
    randomness: other draws, and the resampling.
    """
    star: list[FloatArray] = []
    bootstrap: list[FloatArray] = []
    spread: list[tuple[float, float]] = []
    columns = [f"bootstrap{b}" for b in range(N_BOOTSTRAP)]
    for first in range(0, naive.case.n_tiles, naive.batch):
        for tile, values in enumerate(np.asarray(naive.statistics(first)), first):
            rank = int(ours["rank"][tile])
            if rank == 0:
                continue
            ordered = np.sort(values)
            # in the precision of the naive form's statistics, or ours would lie beside the values it equals
            mine, other, my_star = (
                np.array([answer[name][tile] for name in names], ordered.dtype)
                for answer, names in ((ours, columns), (theirs, columns), (ours, ["lambda_star"]))
            )
            star.append(_rank_error(ordered, my_star, rank))
            bootstrap.append(_rank_error(ordered, mine, rank))
            spread.append((_std_below(ordered, mine), _std_below(ordered, other)))
    mean = np.mean(spread, axis=0)
    return {
        "tiles": len(star),
        "lambda_star differs by": float(np.abs(ours["lambda_star"] - theirs["lambda_star"]).max()),
        "lambda_star's rank, in sd": float(np.max(star)),
        "a resample's rank, in sd": float(np.max(bootstrap)),
        "spread of resamples, ratio": float(mean[0] / mean[1]),
    }


def _rank_error(ordered: Array, thresholds: Array, rank: int) -> FloatArray:
    """Return how far the rank is from those that the thresholds may have, in units of its square root."""
    below, up_to = (np.searchsorted(ordered, thresholds, side) for side in _SIDES)
    error: FloatArray = np.maximum(np.maximum(below + 1 - rank, rank - up_to), 0) / np.sqrt(rank)
    return error


def _std_below(ordered: Array, thresholds: Array) -> float:
    return float(np.searchsorted(ordered, thresholds).std() / len(ordered))


if __name__ == "__main__":
    what, text, *form_name = sys.argv[1:]
    subject = Case.from_json(text)
    print(json.dumps(measure_time(subject) if what == "time" else measure_memory(subject, form_name[0])))
