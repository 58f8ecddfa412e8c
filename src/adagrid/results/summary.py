"""What a job found, in a few lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from adagrid._plain import plain
from adagrid.results.wording import bounded_as, columns_of, controlled_as, estimated_as
from adagrid.runtime.status import Status
from adagrid.settings.goals import Validation

if TYPE_CHECKING:
    from adagrid.refutation import Evidence
    from adagrid.results.run import Run
    from adagrid.runtime.evidence import SpotEvidence

# Computed shares below this count as this when the most contradicted one is sought.
_LEAST = 1e-9


def summary(run: Run, counts: Mapping[str, int]) -> str:
    """Return what a job found.

    Args:
        run: the job.
        counts: what the store counts.
    """
    record, goal, computed, refuted = run.record, run.settings.goal, run.record.computed, run.refuted
    arguments = ", ".join(f"{name}={value}" for name, value in record.model.arguments.items())
    side = {"small": "<", "large": ">", "at most": "<=", "at least": ">="}[record.model.reject_when]
    hypotheses = run.table("null_hypos")["description"].tolist()
    several = len(hypotheses) > 1
    label, everywhere = "Null", "everywhere in the region"
    if isinstance(goal, Validation) and goal.quantity == "power":
        label, everywhere = "Alternative", "the whole region"
    lines = [
        f"Design      {record.model.name.partition(':')[2]}({arguments}), parameters: {record.model.coordinates}",
        f"{label:<11} {'; '.join(hypotheses) if hypotheses else everywhere}",
        f"Region      {_place(run, record.theta_min)} to {_place(run, record.theta_max)}",
    ]
    if isinstance(goal, Validation):
        confidence = f"confidence {1 - goal.delta:.12g} at each parameter value"
        sure = "for certain" if computed else confidence
        if goal.value_range is None:
            lines.append(f"Rejects     when the statistic {side} {goal.threshold!r}")
        else:
            lines.append("Statistic   between {!r} and {!r}".format(*goal.value_range))
        bound = "none" if refuted else f"{bounded_as(record, run.bound, several=several)} ({sure})"
        lines.append(f"Bound       {bound}")
    else:
        controlled = controlled_as(record, several=several, certified=run.guarantee == "certified")
        lines += [
            f"Level       alpha = {goal.alpha!r}: {controlled}",
            f"Threshold   {'none' if refuted else f'reject when the statistic {side} {run.threshold!r}'}",
            *_spread(run),
        ]
    if run.covered:
        lines.append(f"Decided at  {_decided_at(run, computed)}")
    if run.changed_model:
        lines.insert(
            1,
            "            Parts were simulated with another version of the design (accept_changed_model): "
            f"{run.share_of_other_designs:.1%} of the simulations",
        )
    lines += [_work(run, counts, computed), *_family(run, computed)]
    known = [*lines, _status(run), _guarantee(run, computed, refuted), _job(run)]
    return "\n".join(map(plain, known))


def _bounds_power(run: Run) -> bool:
    goal = run.settings.goal
    return isinstance(goal, Validation) and goal.quantity == "power"


def _work(run: Run, counts: Mapping[str, int], computed: bool) -> str:
    coordinations = len(run.table("coordinations"))
    return f"Work        {run.record.method.work_done(counts, coordinations, computed=computed)}"


def _family(run: Run, computed: bool) -> list[str]:
    """Return the lines on the tests of the declared family and of computed errors."""
    found, spots, family = run.evidence, run.spot_evidence, run.record.model.family
    if run.settings.trust_family is not None:
        lines = [f"Family      {family} was not tested: {run.settings.trust_family}"]
    elif found is None:
        why = "cannot be tested: the region has no room for lines" if run.covered else "is not tested yet"
        lines = [f"Family      {family} {why}"]
    else:
        lines = [f"Family      {family}, {found}"]
    if found is not None and found.share_of_ties:
        count = "do not count" if _bounds_power(run) else "count"
        lines.append(
            f"Ties        {found.share_of_ties:.2%} of these statistics are within rounding of the threshold; such "
            f"statistics {count} as rejections"
        )
    if found is not None and found.refutes:
        lines += _line_seen(run, found)
    is_due = run.guarantee == "certified" and (computed or run.settings.trust_family is None)
    if spots is None and is_due and run.status is Status.TIMED_OUT:
        lines.append("Last look   not yet: continue the job")
    if spots is not None:
        lines.append(f"Last look   {spots}")
    if spots is not None and spots.refutes:
        lines += _spot_seen(run, spots)
    return lines


def _line_seen(run: Run, found: Evidence) -> list[str]:
    """Return the shares on the line that contradicts the family most, and likely causes."""
    number = max(range(len(found.wagers)), key=lambda i: found.wagers[i].log_wealth)
    wager, points = found.wagers[number], found.lines.points[number]
    seen = [f"{share:.1%} at {_place(run, point.tolist())}" for share, point in zip(wager.shares, points, strict=True)]
    return [
        "            A range of statistics was seen in",
        *(f"            - {each}" for each in seen),
        f"            of the simulations. The family allows at most {wager.allowed:.1%} in the middle of these points.",
        *_causes(run),
    ]


def _spot_seen(run: Run, spots: SpotEvidence) -> list[str]:
    """Return the counts at the spot that contradicts its limit most, and likely causes."""
    rows = spots.rows
    worst = rows.iloc[int(np.argmax(rows["events"] / rows["n_sims"] / rows["allowed"].clip(lower=_LEAST)))]
    theta = [float(worst[f"theta{i}"]) for i in range(len(run.record.theta_min))]
    event = "did not reject" if _bounds_power(run) else "rejected"
    seen = (
        f"            At {_place(run, theta)} {int(worst['events']):,} of {int(worst['n_sims']):,} simulations {event}."
    )
    if spots.computed:
        return [
            f"{seen} The computed share is {worst['allowed']:.4%}.",
            "            Likely causes: exact_error does not compute what draw and statistic do, or rounds it down.",
        ]
    return [f"{seen} The family allows at most {worst['allowed']:.4%}.", *_causes(run)]


def _causes(run: Run) -> list[str]:
    """Return why simulations may contradict a family."""
    return [
        "            Likely causes: n is not the largest sample size that is drawn; the parameters are not those that",
        f"            the family has ({run.record.model.coordinates}); the statistic depends on theta; arms share",
        "            random numbers; the data are of another family.",
    ]


def _status(run: Run) -> str:
    meaning = "The grid was simulated as asked; nothing was adapted." if run.is_fixed else run.status.sentence
    if run.status is Status.NEW_STEP:
        last = max(float(frame["time"].max()) for frame in (run.table("config"), run.table("reports")) if len(frame))
        meaning += f" Last sign of life: {datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M:%S} UTC."
    return f"Status      {run.status.name}: {meaning}"


def _guarantee(run: Run, computed: bool, refuted: bool) -> str:
    if refuted:
        return "Guarantee   none: simulations contradict what the bounds rest on"
    if computed and run.guarantee == "certified":
        return (
            "Guarantee   certified: errors are sums over all outcomes, and bounds between the points hold for certain"
        )
    if run.is_fixed:
        return "Guarantee   certified: fixed grid, what was simulated did not choose where"
    if run.guarantee == "certified":
        return "Guarantee   certified: a fresh pass that had no part in choosing what it simulated"
    return f"Guarantee   {run.record.method.words_for.uncertified}"


def _job(run: Run) -> str:
    return f"Job         {run.record.job_id}, model seed {run.settings.model_seed}"


def _decided_at(run: Run, computed: bool) -> str:
    worst = run.worst_tile()
    theta = [float(worst[f"theta{i}"]) for i in range(len(run.record.theta_min))]
    between = run.record.method.words_for.around
    sims = f"{int(worst['n_sims']):,}"
    if run.record.quantity is not None and run.settings.validation.quantity != "error":
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
    """Return a line on how far thresholds from other simulations would be, from the last report that has it."""
    figures: list[dict[str, Any]] = [content.get("figures", {}) for content in run.table("reports")["content"]]
    known = [figure for figure in figures if "std" in figure]
    if not known:
        return []
    std, bias, grid = (float(known[-1][name]) for name in ("std", "bias", "grid cost"))
    lost = f"lost to tile size {grid:.2%}"
    if "confidence cost" in known[-1]:
        lost += f", to the confidence {float(known[-1]['confidence cost']):.2%}"
    return [f"Spread      of the error: standard deviation {std:.2%}, bias {bias:.2%}; {lost}"]
