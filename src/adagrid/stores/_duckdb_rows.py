"""Rows on their way between engines, in batches; those of files that anybody may have written are checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from adagrid.errors import CorruptStoreError
from adagrid.stores.tables import Columns

# A compressed file may say much in little space, but not without end: bytes in memory per byte of the file, and what
# any file may take.
_COMPRESSED, _FEW = 256, 2**29


def batches(rows: Any) -> Any:
    """Return what a relation of the engine gives, in batches of Arrow, as they are asked for."""
    import pyarrow as pa  # loaded where rows go from engine to engine only

    return pa.RecordBatchReader.from_stream(rows)


def checked(rows: Any, columns: Columns, file: Path, most: int) -> Iterator[Any]:
    """Yield batches as tables, after each has been checked.

    Args:
        rows: batches of Arrow.
        columns: what they must have.
        file: where they come from.
        most: how many rows there are, or more than that.

    Raises:
        CorruptStoreError: if there are other columns, missing values or NaN, or more rows or bytes than there can be.
    """
    import pyarrow as pa

    _check_columns(rows.schema, columns, file)
    n = size = 0
    room = _FEW + _COMPRESSED * file.stat().st_size
    for batch in rows:
        n, size = n + batch.num_rows, size + batch.nbytes
        if n > most:
            raise CorruptStoreError(f"{str(file)!r} has not as many rows as the manifest says: more than {most:,}.")
        if size > room:
            raise CorruptStoreError(f"{str(file)!r} is far larger than a file of a job, once it is unpacked.")
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            if values.null_count or (columns[name] in _FLOATS and np.isnan(values.to_numpy()).any()):
                raise CorruptStoreError(f"{str(file)!r} has missing values or NaN in the column {name!r}.")
        yield pa.Table.from_batches([batch])


_FLOATS = (np.float64, np.float32)


def _check_columns(schema: Any, columns: Columns, file: Path) -> None:
    import pyarrow as pa

    wanted = {name: pa.string() if kind is str else pa.from_numpy_dtype(kind) for name, kind in columns.items()}
    found = dict(zip(schema.names, schema.types, strict=True))
    if found != wanted or len(schema.names) != len(wanted):
        wrong = [
            f"{name} {found.get(name, 'missing')}"
            for name in {**wanted, **found}
            if found.get(name) != wanted.get(name)
        ]
        raise CorruptStoreError(f"{str(file)!r} has other columns than a job: {', '.join(wrong[:5]) or 'some twice'}.")


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn whatever reading a foreign file raises into an error of ours that names it."""
    try:
        yield
    except (duckdb.Error, ValueError, OSError, MemoryError) as error:
        raise CorruptStoreError(f"{str(file)!r} cannot be read ({error}). Take another copy of the export.") from error
    except RuntimeError as error:
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from None
        raise
