"""Sets of rows as dataclasses of arrays, and their data frames. Subclasses say what the rows are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, final

import numpy as np
import pandas as pd

from adagrid._typing import Array

_COLUMN = "column"


@dataclass(frozen=True, eq=False)
class ColumnSet:
    """A set of rows, held as columns.

    Every field of a subclass, a frozen dataclass, is an array whose first axis is the rows, or a column set with as
    many rows.
    """

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, index: Array | slice) -> Self:
        """Return the rows that an index array, mask or slice selects."""
        return type(self)(**{column.name: _rows(getattr(self, column.name), index) for column in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of several sets, in order."""
        return cls(**{column.name: _joined([getattr(part, column.name) for part in parts]) for column in fields(cls)})


@final
@dataclass(frozen=True)
class Column:
    """The form of a field in data frames.

    Args:
        kind: type of the field in memory.
        name: name of the column, if it differs from the name of the field.
        wide: whether the field is a matrix. Data frames have its columns as name0, name1 and so on.
    """

    kind: type[np.generic]
    name: str | None = None
    wide: bool = False


@dataclass(frozen=True, eq=False)
class FrameColumns(ColumnSet):
    """A column set that converts to data frames. Each field of a subclass has the metadata of `column`."""

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a data frame: columns in the order of the fields, truth values as 0 and 1."""
        columns: dict[str, Array] = {}
        for field, name, how in _frame_columns(self):
            values = getattr(self, field)
            values = values.astype(np.uint8) if how.kind is np.bool_ else values
            columns |= matrix_columns(name, values) if how.wide else {name: values}
        return pd.DataFrame(columns)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Self:
        """Return the rows of a data frame; columns of other names are ignored."""
        columns: dict[str, Array] = {}
        for field, name, how in _frame_columns(cls):
            columns[field] = matrix(frame, name).astype(how.kind) if how.wide else frame[name].to_numpy(how.kind)
        return cls(**columns)


def column(kind: type[np.generic], name: str | None = None, *, wide: bool = False) -> Mapping[str, Column]:
    """Return the metadata of a field, with the arguments of `Column`."""
    return {_COLUMN: Column(kind, name, wide)}


def matrix_columns(prefix: str, values: Array) -> dict[str, Array]:
    """Return the columns of a matrix by name: the prefix and the column's number."""
    return {f"{prefix}{i}": values[:, i] for i in range(values.shape[1])}


def matrix(frame: pd.DataFrame, prefix: str) -> Array:
    """Return the matrix whose columns have the names of `matrix_columns` in a data frame."""
    width = sum(1 for name in frame.columns if name.startswith(prefix) and name[len(prefix) :].isdigit())
    if not len(frame):
        return np.empty((0, width))
    return np.stack([frame[f"{prefix}{i}"].to_numpy() for i in range(width)], axis=1)


def _frame_columns(columns: FrameColumns | type[FrameColumns]) -> Iterator[tuple[str, str, Column]]:
    """Yield the name of each field, the name of its column, and its form."""
    for field in fields(columns):
        how = field.metadata[_COLUMN]
        yield field.name, how.name or field.name, how


def _rows(values: Any, index: Array | slice) -> Any:
    return values.take(index) if isinstance(values, ColumnSet) else values[index]


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    return type(first).concatenate(parts) if isinstance(first, ColumnSet) else np.concatenate(parts)
