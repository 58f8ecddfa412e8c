"""Read files of outcomes that R, SAS and spreadsheets write, if they are unambiguous."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from adagrid.errors import InvalidInputError, at_most_ten

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
_IN_R = "In R: write.csv(table, file, row.names = FALSE)"
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d*([eE][+-]?\d+)?")
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d*([eE][+-]?\d+)?")
# 1,234 may mean 1234 or 1.234.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


def read_file(path: str | PathLike[str]) -> pd.DataFrame:
    """Return the rows of a file as text.

    The first line names the columns. The index has the line numbers. Commas, semicolons or tabs separate the columns.
    With semicolons or tabs, numbers may have decimal commas. R and pandas write the names of rows into a first column
    without a name, which is ignored.

    Raises:
        InvalidInputError: naming the separator or the lines that cannot be read, and the remedy.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        separator = _separator(text)
        reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
        header = [name.strip() for name in next(reader, [])]
        lines = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(
            f"{path} must be a readable CSV file in UTF-8, but: {error}. {_IN_R[:-1]}, fileEncoding = 'UTF-8')."
        ) from error
    if not header:
        raise InvalidInputError(f"{path} is empty; its first line must name the columns.")
    _check_lengths(header, lines, separator)
    cells = [row for _, row in lines]
    if separator != ",":
        cells = _with_points(cells, separator)
    frame = pd.DataFrame(cells, index=pd.Index([line for line, _ in lines], name="line"), columns=header)
    return frame.iloc[:, 1:] if not header[0] else frame


def _separator(text: str) -> str:
    """Return the separator of the names in the first line."""
    first = text.partition("\n")[0]
    counts = {separator: len(next(csv.reader([first], delimiter=separator), [])) for separator in _NAMES}
    return max(counts, key=counts.__getitem__)  # commas win ties


def _check_lengths(header: Sequence[str], lines: Sequence[tuple[int, Sequence[str]]], separator: str) -> None:
    wrong = [(line, row) for line, row in lines if len(row) != len(header)]
    if not wrong:
        return
    if len(wrong) == len(lines) and all(len(row) == len(header) + 1 for _, row in lines):
        ends = all(not row[-1] for _, row in lines)
        why = (
            "an empty one at its end" if ends else "as where R writes names of rows: which has no name cannot be known"
        )
        raise InvalidInputError(f"Every line has one value more than the {len(header)} names, {why}. {_IN_R}.")
    raise InvalidInputError(
        at_most_ten(
            f"line {line}: {len(row)} values for {len(header)} columns, which are separated by {_NAMES[separator]}."
            for line, row in wrong
        )
    )


def _with_points(cells: Sequence[Sequence[str]], separator: str) -> list[list[str]]:
    """Return numbers with decimal points in place of commas."""
    stripped = [[cell.strip() for cell in row] for row in cells]
    commas = [cell for row in stripped for cell in row if "," in cell and _DECIMAL_COMMA.fullmatch(cell)]
    if not commas:
        return stripped
    points = next((cell for row in stripped for cell in row if "." in cell and _DECIMAL_POINT.fullmatch(cell)), None)
    if points is not None or all(map(_THOUSANDS.fullmatch, commas)):
        other = f"and decimal points, such as {points!r}" if points is not None else "which may separate thousands"
        raise InvalidInputError(
            f"The columns are separated by {_NAMES[separator]}, and numbers have commas, such as {commas[0]!r}, "
            f"{other}: what they mean cannot be known. {_IN_R}, which writes decimal points."
        )
    return [[cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in stripped]
