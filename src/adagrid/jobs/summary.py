"""What a job found, in a few lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from adagrid.jobs.wording import bounded_as, columns_of, error_name, estimated_as

if TYPE_CHECKING:
    from adagrid.jobs.run import Run


def summary(run: Run, counts: Mapping[str, int]) -> str:
    """Return what a job found.

    Args:
        run: the job.
        counts: what the store counts.
    """
    record, settings, computed = run.record, run.settings, _is_computed(run, counts)
    arguments = ", ".join(f"{name}={value}" for name, value in record.model.arguments.items())
    side = "<" if record.model.reject_when == "small" else ">"
    hypotheses = run.null_hypos()["description"].tolist()
    several = len(hypotheses) > 1
    label, everywhere = "Null", "everywhere in the region"
    if settings.get("quantity") == "power":
        label, everywhere = "Alternative", "the whole region"
    lines = [
        f"Design      {record.model.name.partition(':')[2]}({arguments}), parameters: {record.model.coordinates}",
        f"{label:<11} {'; '.join(hypotheses) if hypotheses else everywhere}",
        f"Region      {_place(run, record.theta_min)} to {_place(run, record.theta_max)}",
    ]
    if record.kind == "validate":
        confidence = f"confidence {1 - settings['delta']:.12g} at each parameter value"
        sure = "for certain" if computed else confidence
        if settings["value_range"] is None:
            lines.append(f"Rejects     when the statistic {side} {settings['threshold']!r}")
        else:
            lines.append("Statistic   between {!r} and {!r}".format(*settings["value_range"]))
        lines.append(f"Bound       {bounded_as(record, run.bound, several=several)} ({sure})")
    else:
        lines += [
            f"Level       alpha = {settings['alpha']!r}: the expected {error_name(several=several)} is at most this",
            f"Threshold   reject when the statistic {side} {run.threshold!r}",
            *_spread(run),
        ]
    if run.covered:
        lines.append(f"Decided at  {_decided_at(run, computed)}")
    return "\n".join([*lines, _work(run, counts, computed), _status(run), _guarantee(run, computed), _job(run)])


def _is_computed(run: Run, counts: Mapping[str, int]) -> bool:
    """Return whether errors are computed; a job by interpolation then simulates nothing."""
    return run.record.model.exact and (run.record.method == "classic" or not counts["simulations"])


def _work(run: Run, counts: Mapping[str, int], computed: bool) -> str:
    simulations = f"{counts['simulations']:,} simulations"
    if run.record.method == "interpolated":
        spent = "errors are computed: no simulations" if computed else simulations
        return (
            f"Work        {counts['points']:,} points, {counts['active']:,} cells between them, "
            f"{len(run.coordinations()):,} stages, {spent}"
        )
    spent = "errors computed, not simulated" if computed else f"{simulations} behind the results"
    return (
        f"Work        {counts['tiles']:,} tiles created, {counts['active']:,} active, {counts['steps']:,} steps, "
        f"{spent}"
    )


def _status(run: Run) -> str:
    meaning = "The grid was simulated as asked; nothing was adapted." if run.is_fixed else run.status.sentence
    return f"Status      {run.status.name}: {meaning}"


def _guarantee(run: Run, computed: bool) -> str:
    if computed and run.guarantee == "certified":
        return (
            "Guarantee   certified: errors are sums over all outcomes, and bounds between the points hold for certain"
        )
    if run.is_fixed:
        return "Guarantee   certified: fixed grid, what was simulated did not choose where"
    if run.guarantee == "certified":
        return "Guarantee   certified: a fresh pass that had no part in choosing what it simulated"
    if run.record.method == "interpolated":
        return "Guarantee   none yet: no pass has certified the region"
    return "Guarantee   search only: the simulations that chose the tiles also gave their figures; certify() certifies"


def _job(run: Run) -> str:
    return f"Job         {run.record.job_id}, model seed {run.settings['model_seed']}"


def _decided_at(run: Run, computed: bool) -> str:
    worst = run.worst_tile()
    theta = [float(worst[f"theta{i}"]) for i in range(len(run.record.theta_min))]
    between = "a cell around " if run.record.method == "interpolated" else ""
    sims = f"{int(worst['n_sims']):,}"
    if run.record.kind == "validate" and run.settings["quantity"] != "error":
        name, *_ = columns_of(run.record)
        estimate, lower, upper = estimated_as(run.record, worst.to_dict())
        by = "computed" if computed else f"from {'at least ' if between else ''}{sims} simulations"
        return f"{between}{_place(run, theta)}, where the {name} is about {estimate} ({lower} to {upper}), {by}"
    if computed:
        at = "" if run.record.kind == "calibrate" else f", where the error is at most {worst['tie_estimate']:.4%}"
        return f"{between}{_place(run, theta)}{at}"
    if run.record.kind == "calibrate":
        return f"{between}{_place(run, theta)}, with {'at least ' if between else ''}{sims} simulations"
    share = f"{worst['tie_estimate']:.4%}"
    at = f"at most {share} at its vertices" if between else f"{share} of {sims} simulations"
    return f"{between}{_place(run, theta)}, where {at} rejected"


def _place(run: Run, theta: Sequence[float]) -> str:
    """Return parameters as text; logits also as response probabilities."""
    shown = np.round(theta, 9) + 0.0  # where a boundary through 0 was rounded outwards, 0 is meant
    place = "(" + ", ".join(f"{value:.4g}" for value in shown) + ")"
    if not run.record.model.coordinates.startswith("logits"):
        return place
    return f"{place} = response rates (" + ", ".join(f"{1 / (1 + np.exp(-value)):.3f}" for value in theta) + ")"


def _spread(run: Run) -> list[str]:
    """Return a line on how far thresholds from other simulations would be, from the last report that tells."""
    figures: list[dict[str, Any]] = [content.get("figures", {}) for content in run.reports()["content"]]
    told = [figure for figure in figures if "std" in figure]
    if not told:
        return []
    std, bias, grid = (float(told[-1][name]) for name in ("std", "bias", "grid cost"))
    return [f"Spread      of the error: standard deviation {std:.2%}, bias {bias:.2%}; lost to tile size {grid:.2%}"]
