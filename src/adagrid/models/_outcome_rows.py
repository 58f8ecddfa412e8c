"""Read decision tables, check every row, and report all problems at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from adagrid._typing import BoolArray, FloatArray, IntArray
from adagrid.errors import InvalidInputError, at_most_ten

Missing: TypeAlias = Literal["reject", "accept"]

_MAX_ENTRIES = 2**26
_DECISIONS = {"true": "1", "t": "1", "false": "0", "f": "0"}


def read_table(
    frame: pd.DataFrame, patients: Sequence[int], missing: Missing | None, limits: tuple[float, float]
) -> tuple[FloatArray, bool]:
    """Return the statistic or decision of every outcome.

    Args:
        frame: the rows; messages name them by the index.
        patients: patients per arm.
        missing: meaning of outcomes without a row (see `DecisionTable`); None refuses them.
        limits: for outcomes without a row: a statistic that always rejects, and one that never does.

    Returns:
        Statistics, shape (hypotheses, outcomes), and whether they are decisions, 1 for a rejection.

    Raises:
        InvalidInputError: with everything that is wrong.
    """
    if frame.columns.nlevels > 1:
        raise InvalidInputError(
            f"A decision table has one name for each column; got {frame.columns.nlevels} levels of names, such as "
            f"{frame.columns[0]}. Join them, or take one: table.columns = table.columns.get_level_values(-1)."
        )
    frame = frame.rename(columns=lambda name: str(name).strip())
    shape = tuple(n + 1 for n in patients)
    values, kind, problems = _value_columns(list(frame.columns), len(patients))
    if int(np.prod(shape, dtype=float)) * max(len(values), 1) > _MAX_ENTRIES:
        raise InvalidInputError(
            f"A decision table may have at most {_MAX_ENTRIES:,} entries; {' x '.join(map(str, shape))} outcomes have "
            "more. Write the design as a Model instead."
        )
    columns = {name: frame[name] for name in frame.columns if list(frame.columns).count(name) == 1}
    numbers = {name: _numbers(column, decisions=_is_value(name, "reject")) for name, column in columns.items()}
    outcome, known = np.zeros(len(frame), np.int64), np.ones(len(frame), bool)
    for arm, n in enumerate(patients):
        name = f"responders{arm}"
        if name in numbers:
            right = np.isin(numbers[name], np.arange(n + 1))
            problems += _wrong(frame, name, ~right, f"a whole number from 0 to {n}, the patients of that arm")
            outcome = outcome * (n + 1) + np.where(right, numbers[name], 0).astype(np.int64)
            known &= right
        else:
            known[:] = False
    for name in values:
        wrong = ~np.isin(numbers[name], [0, 1]) if kind == "reject" else np.isnan(numbers[name])
        rule = "0 or 1 (or FALSE or TRUE)" if kind == "reject" else "a number (inf where the design can never reject)"
        problems += _wrong(frame, name, wrong, rule)
    problems += _repeated(frame[known], outcome[known])
    if known.all() and missing is None:
        problems += _absent(outcome, shape)
    if problems:
        raise InvalidInputError(problems)
    tables = np.full((len(values), int(np.prod(shape))), limits[0] if missing == "reject" else limits[1])
    for table, name in zip(tables, values, strict=True):
        table[outcome] = numbers[name]
    return tables, kind == "reject"


def _value_columns(columns: list[str], arms: int) -> tuple[list[str], str, list[str]]:
    """Return the columns of statistics or decisions in the order of hypotheses, their kind, and all problems."""
    counts = [f"responders{arm}" for arm in range(arms)]
    kinds = [kind for kind in ("statistic", "reject") if any(_is_value(name, kind) for name in columns)]
    problems = [f"The column {name} is there {columns.count(name)} times." for name in dict.fromkeys(columns)
                if columns.count(name) > 1]  # fmt: skip
    problems += [f"A column {name} is needed: the responders of arm {arm}." for arm, name in enumerate(counts)
                 if name not in columns]  # fmt: skip
    kind = kinds[0] if kinds else "statistic"
    values = [name for name in columns if _is_value(name, kind)]
    expected = [kind] if kind in values else [f"{kind}{i}" for i in range(len(values))]
    if len(kinds) != 1 or sorted(values) != sorted(expected):
        problems.append(
            "The decision must be one column statistic or reject, or, with several null hypotheses, statistic0, "
            f"statistic1, ... or reject0, reject1, ...; the columns are {', '.join(map(repr, columns))}."
        )
    unknown = [name for name in columns if name not in counts and not any(_is_value(name, kind) for kind in kinds)]
    if unknown:
        problems.append(
            f"The columns {', '.join(map(repr, unknown))} mean nothing here. A table for n of {arms} arms has "
            f"{', '.join(counts)} and the decision, separated by commas, semicolons or tabs."
        )
    return ([] if problems else expected), kind, problems


def _is_value(name: str, kind: str) -> bool:
    return name.startswith(kind) and (name == kind or name[len(kind) :].isdigit())


def _numbers(column: pd.Series, *, decisions: bool) -> FloatArray:
    """Return a column as numbers, NaN where it has none.

    Args:
        column: a column of a table; texts are read as numbers.
        decisions: whether TRUE and FALSE, as R writes them, mean 1 and 0.
    """
    if decisions:
        column = column.map(
            lambda value: _DECISIONS.get(value.strip().lower(), value) if isinstance(value, str) else value
        )
    return np.asarray(pd.to_numeric(column, errors="coerce"), float)


def _wrong(frame: pd.DataFrame, name: str, wrong: BoolArray, rule: str) -> list[str]:
    given = frame[name].to_numpy()
    return at_most_ten(
        f"{row}: {name} must be {rule}; got {given[i]!r}." for i, row in _rows(frame, np.flatnonzero(wrong))
    )


def _rows(frame: pd.DataFrame, positions: IntArray) -> Iterator[tuple[int, str]]:
    """Yield positions and the names of their rows."""
    for position in positions.tolist():
        yield position, f"{frame.index.name or 'row'} {frame.index[position]}"


def _repeated(frame: pd.DataFrame, outcome: IntArray) -> list[str]:
    _, first, place = np.unique(outcome, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[place] != np.arange(len(outcome)))
    earlier = dict(_rows(frame, first))
    return at_most_ten(
        f"{row}: the outcome of {earlier[int(first[place[i]])]} is given again. Keep one of them."
        for i, row in _rows(frame, again)
    )


def _absent(outcome: IntArray, shape: tuple[int, ...]) -> list[str]:
    """Return the problem of outcomes without a row, or nothing."""
    absent = np.setdiff1d(np.arange(int(np.prod(shape))), outcome)
    if not len(absent):
        return []
    some = [str(tuple(int(i) for i in np.unravel_index(place, shape))) for place in absent[:3]]
    return [
        f"{len(absent):,} of {int(np.prod(shape)):,} outcomes have no row, among them the responders "
        f"{', '.join(some)}. Add them, or say what they mean: missing='reject' counts them as rejections, which is "
        "safe whatever the design does there; missing='accept' declares that the design never rejects there."
    ]
