"""Columns and rows of one ticker: families of names are never mixed."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import UnknownTicker, UnreadablePrices
from pipeline.prices.sources.file_columns import columns_of, rows_of
from pipeline.prices.sources.file_table import Table

FILE = Path("prices.csv")


def names(header: str, ticker: str = "NFLX") -> dict[str, str]:
    """Return the chosen name of each column, without the date."""
    fields = header.split(",")
    columns = columns_of(Table([fields], pd.DataFrame()), ticker, FILE)
    return {ours: fields[at] for ours, at in columns.items() if ours != "date"}


@pytest.mark.parametrize(
    ("header", "ticker", "close"),
    [
        ("Date,SPY.Close,Close", "NFLX", "Close"),
        ("Date,Close,SPY.Close", "SPY", "SPY.Close"),
        ("Date,Prev.Close,Close", "NFLX", "Close"),
        ("Date,NFLX.Close,SPY.Close", "NFLX", "NFLX.Close"),
        ("Date,SPY.Close", "NFLX", "SPY.Close"),
        ("Date,4. close", "NFLX", "4. close"),
        ("<DATE>,<CLOSE>", "NFLX", "<CLOSE>"),
    ],
)
def test_the_plain_close_wins_unless_the_prefix_is_the_ticker(header, ticker, close):
    """A lone foreign prefix counts only without a plain name."""
    assert names(header, ticker)["close"] == close


def test_columns_of_two_families_are_not_mixed():
    """A missing column stays missing: no volume of SPY for NFLX, no adjusted open of Quandl beside a raw close."""
    assert names("Date,Close,Market.Volume") == {"close": "Close"}
    assert names("Date,Close,Adj. Open,Adj. Close") == {"close": "Close", "adj_close": "Adj. Close"}
    assert names("Date,Open,Close,SPY.Close", "SPY") == {"close": "SPY.Close"}
    assert names("Date,Open,Close,SPY.Volume", "SPY") == {"open": "Open", "close": "Close"}


def test_adjusted_columns_alone_are_refused():
    """Each dividend rewrites them."""
    with pytest.raises(UnreadablePrices, match=r"no close column(.|\n)*Adj Close cannot replace close"):
        names("Date,Adj. Open,Adj. Close,Adj. Volume")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("<VOL>", "volume"),
        ("Vol.", "volume"),
        ("Total Trade Quantity", "volume"),
        ("6. volume", "volume"),
        ("splitFactor", "splits"),
        ("split_coefficient", "splits"),
        ("Split Ratio", "splits"),
        ("Stock Splits", "splits"),
        ("divCash", "dividends"),
        ("Ex-Dividend", "dividends"),
    ],
)
def test_names_of_other_sources_are_known(name, ours):
    """Stooq, investing.com, Quandl, Alpha Vantage, Tiingo, Yahoo."""
    assert names(f"Date,Close,{name}")[ours] == name


def test_the_advice_names_the_column_that_is_missing():
    """Adj Close has nothing to do with dates."""
    with pytest.raises(UnreadablePrices) as error:
        names("Day,Close")
    assert error.value.todo == "Name the column of the days Date; the names must be in the first line."


def rows(header: str, cells: list[list[str]], ticker: str) -> list[str]:
    """Return the first cell of each row of a ticker."""
    return rows_of(Table([header.split(",")], pd.DataFrame(cells)), ticker, FILE).cells[0].tolist()


TWO = [["1", "AAPL"], ["2", "AAPL"], ["3", "MSFT"]]


@pytest.mark.parametrize("name", ["Name", "symbol", "<TICKER>", "Ticker"])
def test_rows_of_the_ticker_are_taken(name):
    """One ticker after the other in one file."""
    assert rows(f"Date,{name}", TWO, "AAPL") == ["1", "2"]
    assert rows(f"Date,{name}", TWO, "MSFT") == ["3"]


def test_a_file_of_several_tickers_without_the_one_asked_for_is_refused():
    """With the tickers that it holds."""
    with pytest.raises(UnknownTicker, match="2 tickers: AAPL, MSFT"):
        rows("Date,Name", TWO, "NFLX")


def test_one_name_for_all_rows_serves_any_ticker():
    """A company's name is no ticker."""
    assert rows("Date,Name", [["1", "Apple Inc."], ["2", "Apple Inc."]], "AAPL") == ["1", "2"]
    assert rows("Date,Name,Symbol", [["1", "A", "AAPL"], ["2", "B", "AAPL"]], "AAPL") == ["1", "2"]


def test_an_exchange_behind_the_ticker_is_left_out_and_a_class_of_shares_is_not():
    """Stooq writes NFLX.US."""
    cells = [["1", "NFLX.US"], ["2", "BRK.B"], ["3", "BRK"]]
    assert rows("Date,Symbol", cells, "NFLX") == ["1"]
    assert rows("Date,Symbol", cells, "BRK") == ["3"]
    assert rows("Date,Symbol", cells, "BRK-B") == ["2"]
