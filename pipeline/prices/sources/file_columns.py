"""The part of a price file that belongs to one ticker: its columns and its rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.errors import UnknownTicker
from pipeline.prices.sources.file_table import KNOWN, NAMES, Table, key, unreadable

if TYPE_CHECKING:
    from pathlib import Path

_TICKER_NAMES = frozenset(("ticker", "symbol", "name", "tic", "stock", "code", "instrument", "security", "actsymbol"))
_NUMBERING = re.compile(r"^\d+\.\s+")  # Alpha Vantage: "4. close"
_EXCHANGE = re.compile(r"\.[A-Za-z]{2,}$")  # Stooq: NFLX.US; a single letter may be a class of shares, as in BRK.B
_DIVIDEND_ADVICE = "Adj Close cannot replace close: each dividend rewrites it."


def columns_of(table: Table, ticker: str, file: Path) -> dict[str, int]:
    """Return the position of the date and of each price column of `ticker`, by our names.

    Columns form families: those without a prefix, and those of each prefix (`NFLX.Close`) or of each ticker in a second
    header line. All prices come from one family: that of the ticker if it has a close, else the one without a
    prefix, else the only other one.

    Raises:
        UnknownTicker: the file holds several tickers, and not this one.
        UnreadablePrices: a column is missing or is there twice.
    """
    # Of two levels the one with more known names holds the fields, the other the tickers: LOW is a ticker, too.
    fields = max(table.header, key=lambda level: len(KNOWN.intersection(map(key, level))))
    owners = next((level for level in table.header if level is not fields), [""] * len(fields))
    mine = _family(_families(fields, owners), ticker, file)
    columns: dict[str, int] = {}
    for ours, synonyms in NAMES.items():
        at, *more = next((mine[synonym] for synonym in synonyms if synonym in mine), [-1])
        if more:
            raise unreadable(file, f"{1 + len(more)} columns called {fields[at]!r}", "Leave one of them.")
        if at >= 0:
            columns[ours] = at
    if not any(fields[:1]):
        columns.setdefault("date", 0)  # an index that was written without a name
    advice = {
        "date": "Name the column of the days Date; the names must be in the first line.",
        "close": f"Rename the column that holds it. {_DIVIDEND_ADVICE}",
    }
    for needed, todo in advice.items():
        if needed not in columns:
            received = f"no {needed} column; the columns are {', '.join(map(repr, fields))}"
            raise unreadable(file, received[:500], todo)
    return columns


def _families(fields: list[str], owners: list[str]) -> dict[str, dict[str, list[int]]]:
    """Return prefix or ticker ("" without one) -> known name -> positions. Dates belong to all: their prefix is ""."""
    families: dict[str, dict[str, list[int]]] = {}
    for at, (numbered, owner) in enumerate(zip(fields, owners, strict=True)):
        name = _NUMBERING.sub("", numbered)
        prefix, _, field = (owner, "", name) if key(name) in KNOWN else name.rpartition(".")  # quantmod: NFLX.Close
        if key(field) in KNOWN:
            family = "" if key(field) in NAMES["date"] else key(prefix)
            families.setdefault(family, {}).setdefault(key(field), []).append(at)
    return families


def _family(families: dict[str, dict[str, list[int]]], ticker: str, file: Path) -> dict[str, list[int]]:
    """Return the positions of the dates and of the one family that holds the prices of `ticker`."""
    shared = families.pop("", {})
    dates = {name: places for name, places in shared.items() if name in NAMES["date"]}
    own = families.get(key(ticker), {})
    if own.keys() & set(NAMES["close"]):
        return dates | own
    if len(shared) > len(dates):
        return shared
    if len(families) > 1:
        raise _unknown(ticker, list(families), file, "Add its columns")
    return dates | next(iter(families.values()), {})


def rows_of(table: Table, ticker: str, file: Path) -> Table:
    """Return the rows of `ticker`: all, unless a column such as Symbol or Name says that rows belong to several.

    Raises:
        UnknownTicker: the rows belong to several tickers, and none to this one.
    """
    several: list[str] = []
    for at, name in enumerate(table.header[0]):
        if len(table.header) > 1 or key(name) not in _TICKER_NAMES:
            continue
        owners = table.cells[at]
        names = [owner for owner in owners.unique() if owner]
        mine = [owner for owner in names if key(owner) == key(ticker)]
        mine = mine or [owner for owner in names if key(_EXCHANGE.sub("", owner)) == key(ticker)]
        if mine:
            return table._replace(cells=table.cells[owners.isin([*mine, ""])])
        if len(names) > 1:
            several = names
    if several:
        raise _unknown(ticker, several, file, "Add its rows")
    return table


def _unknown(ticker: str, found: list[str], file: Path, advice: str) -> UnknownTicker:
    return UnknownTicker(
        f"{file} holds several tickers and must hold {ticker}.",
        f"{len(found)} tickers: {', '.join(sorted(found)[:10])}",
        f"{advice}, or remove the ticker from TICKERS.",
    )
