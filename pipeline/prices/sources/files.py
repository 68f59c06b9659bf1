"""Prices from a file, or from a folder with one file per ticker: the formats found in the wild.

All cells are read as text first and converted in one place, so that CSV and Parquet follow the same rules and an error
shows the cell as written in the file.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pipeline.errors import PipelineError, UnknownTicker, UnreadablePrices
from pipeline.prices.sources import Quoted, price_frame

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from pipeline.plan import Plan
    from pipeline.settings import Settings

# Names of each column in other sources, in letters and digits only; the first name found wins.
_NAMES = {
    "date": ("date", "datetime", "timestamp", "session", "index"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close", "closelast"),
    "adj_close": ("adjclose", "adjusted", "adjustedclose"),
    "volume": ("volume",),
    "dividends": ("dividends", "dividend"),
    "splits": ("stocksplits", "splits"),
}
_KNOWN = frozenset(itertools.chain.from_iterable(_NAMES.values()))
_DATE_FORMATS = ("%Y-%m-%d", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d")
_YEARS = (1700, 2200)  # pandas reads "-2025-11-05" as a year before Christ
_TIME_OF_DAY = r"[T ]\d{1,2}:.*$"  # with its offset: the local date as written is the session
_DECORATION = r"\$|,(?=\d{3}(?:\D|$))"  # "$1,234.50"; not a decimal comma, which would make "282,94" 28294
_MISSING = ("", "null", "nan", "none", "nat", "na", "n/a")


class _Table(NamedTuple):
    """A file as text. `header` has one row per level; the index of `cells` is the line (or row) in the file."""

    header: list[list[str]]
    cells: pd.DataFrame


def fetch_planned(ticker: str, plan: Plan, settings: Settings) -> Quoted:
    """Return the prices of a run from the plan's file or folder; see `fetch`. The plan states their currency."""
    del settings
    assert plan.prices is not None  # noqa: S101 - a plan with source `files` has a path
    return Quoted(fetch(ticker, plan.start, plan.as_of, path=plan.prices), plan.currency)


def fetch(ticker: str, start: dt.date | None, as_of: dt.date, *, path: Path) -> pd.DataFrame:
    """Return the prices of `ticker` in a file.

    Reads CSV and Parquet from Yahoo, yfinance (also several tickers in one file), nasdaq.com and quantmod, in any
    order of rows and columns. Empty cells, empty rows and duplicated dates are kept: `validate` judges them.

    Args:
        ticker: picks the file in a folder, and the columns in a file of several tickers.
        start: first session to keep; None keeps all.
        as_of: last session to keep.
        path: a price file, which is used for any ticker, or a folder with TICKER.csv or TICKER.parquet.

    Returns:
        The frame described in `pipeline.prices.sources`, shape (sessions, columns found), in the file's currency.

    Raises:
        UnknownTicker: the folder, or a file of several tickers, lacks the ticker.
        UnreadablePrices: no such file, not a price table, or a cell that is neither a date nor a number.
    """
    file = path
    try:
        file = _find(ticker, path)
        table = (_parquet if file.suffix.lower() == ".parquet" else _csv)(file)
    except PipelineError:
        raise
    except Exception as error:  # noqa: BLE001 - on foreign bytes the readers raise errors without a common base
        problem = f"{type(error).__name__}: {str(error)[:300]}"
        raise _unreadable(file, problem, "Check its permissions; save it as UTF-8 CSV or as Parquet.") from None
    columns = _columns(table.header, ticker, file)
    if table.cells.empty:
        raise _unreadable(file, "a header without any row", "Fetch the prices again.")
    sessions = _sessions(table.cells[columns.pop("date")], file)
    raw = pd.DataFrame({name: _numbers(table.cells[at], name, file) for name, at in columns.items()})
    return price_frame(raw.set_axis(pd.DatetimeIndex(sessions)), start, as_of)


def _find(ticker: str, path: Path) -> Path:
    """Return the file that holds `ticker`."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise _unreadable(path, "no such file or folder", "Set CLOSECAST_PRICES to a price file or a folder of them.")
    stems = dict.fromkeys((ticker, ticker.lower()))
    names = [f"{stem}{suffix}" for stem, suffix in itertools.product(stems, (".csv", ".parquet"))]
    file = next((path / name for name in names if (path / name).is_file()), None)
    if file is None:
        raise UnknownTicker(
            f"The folder {path} must hold a price file for every ticker.",
            f"{ticker}, and no {' or '.join(names)}",
            "Add the file, or remove the ticker from CLOSECAST_TICKERS.",
        )
    if not file.resolve().is_relative_to(path.resolve()):
        raise _unreadable(file, "a link that leads out of the folder", f"Put the file itself into {path}.")
    return file


def _csv(file: Path) -> _Table:
    """Read a CSV file with a header of one line, or with the three lines of yfinance: Price, Ticker, Date."""
    lines = pd.read_csv(
        file,
        header=None,
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=False,  # so that the n-th row is line n
        skipinitialspace=True,
        encoding="utf-8-sig",
    ).fillna("")
    lines.index = pd.RangeIndex(1, len(lines) + 1, name="line")
    lines = lines[(lines != "").any(axis=1)]
    if lines.empty:
        raise _unreadable(file, "empty lines", "Fetch the prices again.")
    header = [[str(cell) for cell in row] for row in lines.head(3).to_numpy()]
    date, *others = header[-1]
    if header[2:] and _key(date) in _NAMES["date"] and not any(others):
        return _Table([[date, *level[1:]] for level in header[:2]], lines.iloc[3:])
    return _Table(header[:1], lines.iloc[1:])


def _parquet(file: Path) -> _Table:
    """Read a Parquet file with the dates in a column or in the index; yfinance's columns have two levels."""
    frame = pd.read_parquet(file)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(col_fill=None)  # None: the index's name is on every level, as in _csv
    header = [[str(name) for name in frame.columns.get_level_values(i)] for i in range(frame.columns.nlevels)]
    cells = frame.set_axis(range(frame.shape[1]), axis=1).astype(str).fillna("")
    cells = cells.astype(object)  # decodes every cell here: Arrow finds broken UTF-8 no earlier
    cells.index = pd.RangeIndex(1, len(cells) + 1, name="row")
    return _Table(header, cells)


def _columns(header: list[list[str]], ticker: str, file: Path) -> dict[str, int]:
    """Return the position of the date and of each price column of `ticker`, by our names."""
    # Of two levels the one with more known names holds the fields, the other the tickers: LOW is a ticker, too.
    fields = max(header, key=lambda level: len(_KNOWN.intersection(map(_key, level))))
    owners = next((level for level in header if level is not fields), [""] * len(fields))
    mine = _positions(fields, owners, ticker, file)
    columns: dict[str, int] = {}
    for ours, synonyms in _NAMES.items():
        at, *more = next((mine[synonym] for synonym in synonyms if synonym in mine), [-1])
        if more:
            raise _unreadable(file, f"{1 + len(more)} columns called {fields[at]!r}", "Leave one of them.")
        if at >= 0:
            columns[ours] = at
    if not any(fields[:1]):
        columns.setdefault("date", 0)  # an index that was written without a name
    for needed in ("date", "close"):
        if needed not in columns:
            received = f"no {needed} column; the columns are {', '.join(map(repr, fields))}"
            todo = "Rename the column that holds it. Adj Close cannot replace close: each dividend rewrites it."
            raise _unreadable(file, received[:500], todo)
    return columns


def _positions(fields: list[str], owners: list[str], ticker: str, file: Path) -> dict[str, list[int]]:
    """Return the positions of each known name that belongs to `ticker`; of all, unless several tickers are named."""
    places: dict[str, dict[str, list[int]]] = {}  # ticker ("" for an unnamed one) -> known name -> positions
    for at, (name, owner) in enumerate(zip(fields, owners, strict=True)):
        known = _key(name) in _KNOWN
        prefix, _, field = (owner, "", name) if known else name.rpartition(".")  # quantmod: NFLX.Close
        if _key(field) in _KNOWN:
            of_ticker = "" if _key(field) in _NAMES["date"] else _key(prefix)
            places.setdefault(of_ticker, {}).setdefault(_key(field), []).append(at)
    tickers = sorted(places.keys() - {""})
    if len(tickers) > 1 and _key(ticker) not in tickers:
        raise UnknownTicker(
            f"{file} holds several tickers and must hold {ticker}.",
            f"{len(tickers)} tickers: {', '.join(tickers[:10])}",
            "Add its columns, or remove the ticker from CLOSECAST_TICKERS.",
        )
    own = _key(ticker) if len(tickers) > 1 else "".join(tickers)
    return places.get("", {}) | places.get(own, {})


def _sessions(cells: pd.Series[str], file: Path) -> pd.Series[pd.Timestamp]:
    """Return the dates as midnights; the first cell decides the format of all."""
    dates = cells.str.replace(_TIME_OF_DAY, "", regex=True).str.strip()
    for form in _DATE_FORMATS:
        sessions = pd.to_datetime(dates, format=form, errors="coerce")
        if pd.notna(sessions.iloc[0]):
            break
    sessions = sessions.where(sessions.dt.year.between(*_YEARS))
    _refuse(cells[sessions.isna()], "a date such as 2024-12-31 or 12/31/2024, in one format throughout", file)
    return sessions


def _numbers(cells: pd.Series[str], name: str, file: Path) -> pd.Series[float]:
    """Return the numbers; NaN for a cell that is empty or holds a word for missing."""
    missing = cells.str.strip().str.lower().isin(_MISSING)
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    decorated = cells[~missing & numbers.isna()].str.replace(_DECORATION, "", regex=True)
    numbers[decorated.index] = pd.to_numeric(decorated, errors="coerce")
    _refuse(cells[~missing & ~np.isfinite(numbers)], f"a number as {name}", file)
    return numbers


def _refuse(wrong: pd.Series[str], expected: str, file: Path) -> None:
    """Raise an error that names the first cell of `wrong`; do nothing if `wrong` is empty."""
    if not wrong.empty:
        problem = f"{wrong.iloc[0][:60]!r} in {wrong.index.name} {wrong.index[0]} where {expected} should be"
        raise _unreadable(file, f"{problem} ({len(wrong)} such cells)", "Correct the file or fetch it again.")


def _unreadable(file: Path, received: str, todo: str) -> UnreadablePrices:
    return UnreadablePrices(f"{file} must be a table of daily prices.", received, todo)


def _key(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(filter(str.isalnum, name.lower()))
