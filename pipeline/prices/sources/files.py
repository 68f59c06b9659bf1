"""Prices from a file, or from a folder with one file per ticker: the formats found in the wild."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.errors import PipelineError, UnknownTicker
from pipeline.prices.sources import Quoted, file_cells, price_frame
from pipeline.prices.sources.file_columns import columns_of, rows_of
from pipeline.prices.sources.file_table import key, read_table, unreadable

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from pipeline.plan import Plan
    from pipeline.settings import Settings

_SUFFIXES = (".csv", ".parquet")


def fetch_planned(ticker: str, plan: Plan, settings: Settings) -> Quoted:
    """Return the prices of a run from the plan's file or folder; see `fetch`. The plan states their currency."""
    del settings
    assert plan.prices is not None  # noqa: S101 - a plan with source `files` has a path
    return Quoted(fetch(ticker, plan.start, plan.as_of, path=plan.prices), plan.currency)


def fetch(ticker: str, start: dt.date | None, as_of: dt.date, *, path: Path) -> pd.DataFrame:
    """Return the prices of `ticker` in a file.

    Reads CSV and Parquet from Yahoo, yfinance (also several tickers in one file), nasdaq.com, quantmod, Stooq, Tiingo
    and Alpha Vantage, in any order of rows and columns. Empty cells, empty rows and duplicated dates are kept:
    `validate` judges them.

    Args:
        ticker: picks the file in a folder, and columns and rows in a file of several tickers.
        start: first session to keep; None keeps all.
        as_of: last session to keep.
        path: a price file, which is used for any ticker, or a folder with TICKER.csv or TICKER.parquet.

    Returns:
        The frame described in `pipeline.prices.sources`, shape (sessions, columns found), in the file's currency.

    Raises:
        UnknownTicker: the folder, or a file of several tickers, lacks the ticker.
        UnreadablePrices: no such file, not a table of daily prices, or a cell that is neither a date nor a number.
    """
    try:
        file = _find(ticker, path)
    except PipelineError:
        raise
    except OSError as error:
        problem = f"{type(error).__name__}: {str(error)[:300]}"
        raise unreadable(path, problem, "Check the path and its permissions.") from None
    table = read_table(file)
    columns = columns_of(table, ticker, file)
    if table.cells.empty:
        raise unreadable(file, "a header without any row", "Fetch the prices again.")
    header, cells = rows_of(table, ticker, file)
    dates = cells[columns.pop("date")]
    days = file_cells.sessions(dates, file)
    time = next((at for at, name in enumerate(header[0]) if key(name) == "time"), None)
    file_cells.check_daily(days, dates, None if time is None else cells[time], file)
    closes = cells[columns["close"]]
    raw = pd.DataFrame(
        {
            name: file_cells.numbers(cells[at], name, file, beside=closes if name == "volume" else None)
            for name, at in columns.items()
        }
    )
    return price_frame(raw.set_axis(pd.DatetimeIndex(days)), start, as_of)


def _find(ticker: str, path: Path) -> Path:
    """Return the file that holds `ticker`."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise unreadable(path, "no such file or folder", "Set PRICES to a price file or a folder of them.")
    named = [
        file
        for file in sorted(path.iterdir())
        if file.stem.upper() == ticker.upper() and file.suffix.lower() in _SUFFIXES
    ]
    file = next((one for one in named if one.is_file()), None)
    if file is None:
        raise UnknownTicker(
            f"The folder {path} must hold a price file for every ticker.",
            f"no {' or '.join(ticker + suffix for suffix in _SUFFIXES)}, in capital or small letters",
            "Add the file, or remove the ticker from TICKERS.",
        )
    if not file.resolve().is_relative_to(path.resolve()):
        raise unreadable(file, "a link that leads out of the folder", f"Put the file itself into {path}.")
    return file
