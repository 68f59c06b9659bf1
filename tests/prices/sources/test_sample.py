"""The synthetic market."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import calendar
from pipeline.errors import UnreadablePrices, UsageError
from pipeline.prices.sources import COLUMNS, sample

AS_OF = dt.date(2026, 6, 5)


def fetch(ticker: str = "AAA", start: dt.date | None = None, as_of: dt.date = AS_OF) -> pd.DataFrame:
    """Return the sample market on the New York calendar."""
    return sample.fetch(ticker, start, as_of, calendar="XNYS")


def log_returns(prices: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the log returns of the closes."""
    return np.diff(np.log(prices["close"].to_numpy()))


def test_says_that_it_is_synthetic() -> None:
    """Nobody reads the documentation without learning that the prices are invented."""
    assert "SYNTHETIC" in str(sample.__doc__)
    assert "SYNTHETIC" in str(sample.fetch.__doc__)


def test_has_one_row_per_session_of_the_calendar() -> None:
    """The market trades when the exchange does, from its first session to `as_of`."""
    prices = fetch()
    assert list(prices.columns) == list(COLUMNS)
    assert prices.index.tolist() == calendar.sessions("XNYS", dt.date(2012, 1, 3), AS_OF).tolist()
    assert prices.index.name == "session"


def test_another_calendar_gives_its_own_sessions() -> None:
    """The calendar is a parameter: one without week-ends has a row on every day."""
    assert len(sample.fetch("AAA", None, dt.date(2012, 1, 31), calendar="24/7")) == 29


def test_the_same_ticker_is_the_same_everywhere() -> None:
    """The seed comes of the ticker's name alone: pinned, so that another process or machine cannot differ."""
    expected = [123.858083, 121.796872, 121.629435]
    assert fetch(as_of=dt.date(2012, 1, 5))["close"].tolist() == pytest.approx(expected, abs=2e-6)


def test_tickers_differ() -> None:
    """Two tickers are two unrelated paths."""
    correlation = np.corrcoef(log_returns(fetch("AAA")), log_returns(fetch("BBB")))[0, 1]
    assert abs(correlation) < 0.1


@given(days=st.integers(1, 5000), ticker=st.sampled_from(["AAA", "BBB", "BRK-B", "^GSPC"]))
@settings(max_examples=25, deadline=None)
def test_a_later_as_of_changes_no_earlier_row(days: int, ticker: str) -> None:
    """History is only ever extended, bit for bit."""
    earlier = fetch(ticker, as_of=dt.date(2012, 1, 3) + dt.timedelta(days))
    pd.testing.assert_frame_equal(fetch(ticker).iloc[: len(earlier)], earlier, check_exact=True, check_freq=False)


def test_a_start_only_cuts() -> None:
    """Asking for less history gives the same rows, fewer of them."""
    start = dt.date(2020, 1, 1)
    whole = fetch()
    pd.testing.assert_frame_equal(fetch(start=start), whole[whole.index >= pd.Timestamp(start)], check_exact=True)


@pytest.mark.parametrize("ticker", [f"T{number}" for number in range(20)])
def test_every_bar_could_have_been_traded(ticker: str) -> None:
    """Prices are positive dollars in order, volume is whole shares, and no day moves like a split."""
    prices = fetch(ticker)
    assert (prices["low"] > 0).all()
    assert (prices["low"] <= prices[["open", "close"]].min(axis=1)).all()
    assert (prices["high"] >= prices[["open", "close"]].max(axis=1)).all()
    assert (prices["volume"] > 0).all()
    assert (prices["volume"] % 1 == 0).all()
    assert (prices["adj_close"] == prices["close"]).all()
    assert (prices[["dividends", "splits"]] == 0).all(axis=None)
    assert (prices.round(6) == prices).all(axis=None)
    assert np.abs(log_returns(prices)).max() < 0.45


def test_returns_look_like_daily_stock_returns() -> None:
    """Fat tails, clusters of volatility and no memory in the returns themselves, as in real ones."""
    returns = [log_returns(fetch(f"T{number}")) for number in range(40)]

    def lag_one(series: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float(np.corrcoef(series[1:], series[:-1])[0, 1])

    assert 0.008 < np.median([r.std() for r in returns]) < 0.03
    assert abs(np.median([r.mean() for r in returns])) < 0.001
    assert np.median([((r - r.mean()) ** 4).mean() / r.var() ** 2 for r in returns]) > 5
    assert np.median([lag_one(np.abs(r)) for r in returns]) > 0.08
    assert abs(np.median([lag_one(r) for r in returns])) < 0.03


def test_no_last_bar_looks_partial() -> None:
    """The volume never falls under a fifth of its 20-session median, which the checks would warn of."""
    volume = fetch()["volume"]
    assert (volume / volume.rolling(20).median()).min() > 0.2


def test_before_its_first_session_there_is_no_market() -> None:
    """An `as_of` before 2012-01-03 is told, not answered with nothing."""
    with pytest.raises(UnreadablePrices, match="2012-01-03"):
        fetch(as_of=dt.date(2011, 12, 30))


def test_an_unknown_calendar_is_a_wrong_setting() -> None:
    """The name of the calendar is checked where calendars are known."""
    with pytest.raises(UsageError, match="NOPE"):
        sample.fetch("AAA", None, AS_OF, calendar="NOPE")
