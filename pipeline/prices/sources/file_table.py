"""A price file as text: its header and its cells, so that CSV and Parquet follow the same rules.

An error shows the cell as written in the file.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline.errors import UnreadablePrices
from pipeline.store import formats

if TYPE_CHECKING:
    from pathlib import Path

# Names of each column in other sources, in letters and digits only; the first name found wins.
NAMES = {
    "date": ("date", "datetime", "timestamp", "session", "index"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close", "closelast"),
    "adj_close": ("adjclose", "adjusted", "adjustedclose"),
    "volume": ("volume", "vol", "totaltradequantity", "totaltradedquantity", "tradedvolume", "sharestraded"),
    "dividends": ("dividends", "dividend", "divcash", "dividendamount", "exdividend"),
    "splits": ("stocksplits", "splits", "splitfactor", "splitcoefficient", "splitratio"),
}
KNOWN = frozenset(itertools.chain.from_iterable(NAMES.values()))
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_LOOKED_AT = 20  # lines in which the header and the separator are searched


class Table(NamedTuple):
    """A file as text. `header` has one row per level; the index of `cells` is the line (or row) in the file."""

    header: list[list[str]]
    cells: pd.DataFrame


def read_table(file: Path) -> Table:
    """Return the cells of a CSV or Parquet file as text, without empty lines.

    Raises:
        UnreadablePrices: the file is not a table, or is written in a way that is not read.
    """
    try:
        return _parquet(file) if file.suffix.lower() == ".parquet" else _csv(file)
    except UnreadablePrices:
        raise
    except Exception as error:  # noqa: BLE001 - on foreign bytes the readers raise errors without a common base
        raise unreadable(file, f"{type(error).__name__}: {str(error)[:300]}", _advice(error)) from None


def unreadable(file: Path, received: str, todo: str) -> UnreadablePrices:
    """Return the error of a file that is no price table."""
    return UnreadablePrices(f"{file} must be a table of daily prices.", received, todo)


def key(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(filter(str.isalnum, name.lower()))


def _advice(error: Exception) -> str:
    if isinstance(error, OSError):
        return "Check the path and its permissions."
    if isinstance(error, UnicodeDecodeError):
        return "Save the file as UTF-8."
    return "Save the file as CSV with one row per session, or as Parquet."


def _csv(file: Path) -> Table:
    """Read a CSV file with a header of one line, or with the three lines of yfinance: Price, Ticker, Date."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        _check_separator(file, list(itertools.islice(stream, _LOOKED_AT)))
        stream.seek(0)
        reader = csv.reader(stream, skipinitialspace=True, strict=True)
        read = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    lines = [(line, row) for line, row in read if any(row)]
    if not lines:
        raise unreadable(file, "empty lines" if read else "an empty file", "Fetch the prices again.")
    header = [row for _, row in lines[:3]]
    date, *others = header[-1]
    if header[2:] and key(date) in NAMES["date"] and not any(others):
        levels = [[date, *level[1:]] for level in header[:2]]
        rows = lines[3:]
    else:
        _check_first_line(file, lines)
        levels = header[:1]
        rows = lines[1:]
    width = len(levels[0])
    cells = pd.DataFrame(
        [_of_width(width, row, line, file) for line, row in rows],
        index=pd.Index([line for line, _ in rows], name="line"),
        columns=range(width),
        dtype="object",
    )
    return Table([_of_width(width, level, lines[0][0], file) for level in levels], cells)


def _check_separator(file: Path, lines: Sequence[str]) -> None:
    """Raise an error that names the separator of the file if it is not a comma."""
    text = "".join(lines)
    separator = max(_SEPARATORS, key=text.count)
    if text.count(separator) <= text.count(","):
        return
    comma = re.search(r"\d,\d", text)
    numbers = " and numbers have a decimal comma" if comma else ""
    with_point = ", and with a decimal point" if comma else ""
    raise unreadable(
        file,
        f"columns separated by {_SEPARATORS[separator]} ({separator!r}){numbers}",
        f"Save it with commas between the columns{with_point}. Names are Date, Open, High, Low, Close, Volume.",
    )


def _check_first_line(file: Path, lines: Sequence[tuple[int, list[str]]]) -> None:
    """Raise an error if text stands above the header."""
    for place, (line, row) in enumerate(lines[:_LOOKED_AT]):
        known = KNOWN.intersection(map(key, row))
        if len(known) > 1 and known.intersection(NAMES["date"]):
            if place:
                text = ",".join(lines[0][1])[:60]
                received = f"{place} line(s) above the header, which is in line {line}; the first is {text!r}"
                raise unreadable(file, received, "Remove the lines above the header.")
            return


def _of_width(width: int, row: list[str], line: int, file: Path) -> list[str]:
    """Return a row as long as the header; cells beyond it must be empty, as a comma at the end of each line makes."""
    if any(row[width:]):
        received = f"{len(row)} cells in line {line}, where the header has {width}"
        raise unreadable(file, received, "Correct this line: a number with a comma must be in quotes.")
    return row[:width] + [""] * (width - len(row))


def _parquet(file: Path) -> Table:
    """Read a Parquet file with the dates in a column or in the index; yfinance's columns have two levels."""
    frame = formats.frame_of(file.read_bytes())
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(col_fill=None)  # None: the index's name is on every level, as in _csv
    header = [[str(name) for name in frame.columns.get_level_values(i)] for i in range(frame.columns.nlevels)]
    cells = frame.set_axis(range(frame.shape[1]), axis=1).astype(str).fillna("")
    cells = cells.astype(object)  # decodes every cell here: Arrow finds broken UTF-8 no earlier
    cells.index = pd.RangeIndex(1, len(cells) + 1, name="row")
    return Table(header, cells)
