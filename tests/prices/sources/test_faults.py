"""Faults on demand: each damages what it says, and nothing else."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline import calendar
from pipeline.errors import UsageError
from pipeline.prices.sources import COLUMNS, sample
from pipeline.prices.sources.faults import inject
from pipeline.settings.fault import FAULTS, Fault

AS_OF = dt.date(2026, 6, 5)
PRICES = ["open", "high", "low", "close", "adj_close"]
TICKERS = ["AAA", "BBB", "BRK-B", "^GSPC"]

every_fault = pytest.mark.parametrize("fault", FAULTS)
every_ticker = pytest.mark.parametrize("ticker", TICKERS)


def fetch(ticker: str = "AAA", as_of: dt.date = AS_OF, exchange: str = "XNYS") -> pd.DataFrame:
    """Return the unharmed sample market."""
    return sample.fetch(ticker, None, as_of, calendar=exchange)


def night(fault: Fault, ticker: str = "AAA") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sample market unharmed and with `fault`."""
    clean = fetch(ticker)
    return clean, inject(clean, fault, calendar="XNYS")


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """Compare bit for bit, in order; a spliced index has lost its frequency, which nobody was promised."""
    pd.testing.assert_frame_equal(left, right, check_exact=True, check_freq=False)


def assert_only_newest_changed(clean: pd.DataFrame, damaged: pd.DataFrame, columns: list[str]) -> None:
    """All other cells are the same, bit for bit, and each cell of `columns` in the newest row is not."""
    assert_same(damaged.iloc[:-1], clean.iloc[:-1])
    assert_same(damaged.drop(columns=columns), clean.drop(columns=columns))
    assert (damaged[columns].iloc[-1] != clean[columns].iloc[-1]).all()


def in_order(prices: pd.DataFrame) -> bool:
    """Say whether each bar has low <= open, close <= high."""
    body = prices[["open", "close"]]
    return bool(((prices["low"] <= body.min(axis=1)) & (body.max(axis=1) <= prices["high"])).all())


@every_fault
def test_keeps_the_promises_of_a_source(fault: Fault) -> None:
    """Only the values are bad: columns, types and order are as from any source."""
    clean, damaged = night(fault)
    assert list(damaged.columns) == list(COLUMNS)
    assert (damaged.dtypes == "float64").all()
    assert damaged.index.dtype == "datetime64[s]"
    assert damaged.index.name == "session"
    assert damaged.index.is_monotonic_increasing
    assert damaged.index.max() <= pd.Timestamp(AS_OF)
    assert not damaged.equals(clean)


@every_fault
def test_the_given_prices_stay_as_they_were(fault: Fault) -> None:
    """The result is a copy: neither the fault nor a later change of the result reaches what was given."""
    clean, damaged = night(fault)
    damaged.iloc[:, :] = -1.0
    assert_same(clean, fetch())


@every_fault
def test_the_same_fault_is_the_same_every_time(fault: Fault) -> None:
    """Nothing is left to chance: a retry sees the same bad night."""
    assert_same(night(fault)[1], night(fault)[1])


@every_ticker
def test_bad_bar_has_a_high_below_low_and_close(ticker: str) -> None:
    """The newest bar alone is out of order, by its high alone."""
    clean, damaged = night("bad_bar", ticker)
    assert_only_newest_changed(clean, damaged, ["high"])
    assert 0 < damaged["high"].iloc[-1] < damaged["low"].iloc[-1] <= damaged["close"].iloc[-1]


def test_bad_bar_breaks_a_bar_without_a_range_too() -> None:
    """Where open, high, low and close are one price, swapping two of them would break nothing."""
    flat = fetch()
    flat.iloc[-1, :5] = 100.0
    assert inject(flat, "bad_bar", calendar="XNYS")["high"].iloc[-1] == 99.0


@every_ticker
def test_null_tail_leaves_only_a_volume(ticker: str) -> None:
    """A session that is listed before its prices are in."""
    clean, damaged = night("null_tail", ticker)
    assert_only_newest_changed(clean, damaged, PRICES)
    assert damaged[PRICES].iloc[-1].isna().all()
    assert damaged["volume"].iloc[-1] > 0


def test_gap_loses_two_of_the_newest_five_sessions() -> None:
    """The newest session and the one before the gap stay: the series looks complete at both ends."""
    clean, damaged = night("gap")
    lost = clean.index.difference(damaged.index)
    assert lost.tolist() == [pd.Timestamp("2026-06-02"), pd.Timestamp("2026-06-03")]
    assert set(lost) < set(clean.index[-5:-1])
    assert_same(damaged, clean.drop(lost))


@every_ticker
def test_duplicate_repeats_the_newest_session_with_another_volume(ticker: str) -> None:
    """The first of the two is the true one; the second has the same prices."""
    clean, damaged = night("duplicate", ticker)
    assert_same(damaged.iloc[:-1], clean)
    assert_same(damaged.iloc[[-1]].drop(columns="volume"), clean.iloc[[-1]].drop(columns="volume"))
    assert damaged["volume"].iloc[-1] == 2 * damaged["volume"].iloc[-2]


@every_ticker
def test_split_restates_all_history_and_records_it(ticker: str) -> None:
    """Every return stays what it was, bit for bit: the factor is one half everywhere, the newest session included."""
    clean, damaged = night("split", ticker)
    assert (damaged[PRICES] * 2 == clean[PRICES]).all(axis=None)
    assert (damaged["volume"] == clean["volume"] * 2).all()
    assert (damaged["dividends"] == clean["dividends"]).all()
    assert damaged["splits"].iloc[-1] == 2.0
    assert (damaged["splits"].iloc[:-1] == 0).all()
    assert in_order(damaged)
    assert damaged["close"].pct_change().equals(clean["close"].pct_change())


@every_ticker
def test_unadjusted_split_halves_the_newest_session_alone(ticker: str) -> None:
    """The bar is in order and no split is recorded: only the return tells, beyond the 0.5 that the checks allow."""
    clean, damaged = night("unadjusted_split", ticker)
    assert_only_newest_changed(clean, damaged, PRICES)
    assert (damaged[PRICES].iloc[-1] * 2 == clean[PRICES].iloc[-1]).all()
    assert in_order(damaged)
    usual, newest = (np.diff(np.log(prices["close"].to_numpy()))[-1] for prices in (clean, damaged))
    assert newest == pytest.approx(usual + np.log(0.5))
    assert newest == pytest.approx(-0.69, abs=0.15)


def test_stale_ends_three_sessions_early() -> None:
    """The source has stopped, and says nothing of it."""
    clean, damaged = night("stale")
    assert_same(damaged, clean.iloc[:-3])
    assert damaged.index[-1] == pd.Timestamp("2026-06-02")


@every_ticker
def test_negative_has_a_close_below_zero_in_a_bar_in_order(ticker: str) -> None:
    """The sign alone is wrong: no other check has a reason to fire."""
    clean, damaged = night("negative", ticker)
    assert_only_newest_changed(clean, damaged, ["low", "close", "adj_close"])
    assert damaged["close"].iloc[-1] == damaged["adj_close"].iloc[-1] == -clean["close"].iloc[-1] < 0
    assert in_order(damaged)


def test_fake_holiday_adds_a_session_that_never_was() -> None:
    """On Memorial Day 2026, a Monday, Friday's bar appears again."""
    clean, damaged = night("fake_holiday")
    holiday = pd.Timestamp("2026-05-25")
    assert not calendar.exchange("XNYS").is_session(holiday)
    assert damaged.index.difference(clean.index).tolist() == [holiday]
    assert_same(damaged.drop(holiday), clean)
    assert damaged.loc[holiday].tolist() == clean.loc["2026-05-22"].tolist()


def test_fake_holiday_follows_the_calendar() -> None:
    """London was closed on the same Monday, Toronto a week before."""
    for exchange, holiday in {"XLON": "2026-05-25", "XTSE": "2026-05-18"}.items():
        clean = fetch(exchange=exchange)
        added = inject(clean, "fake_holiday", calendar=exchange).index.difference(clean.index)
        assert added.tolist() == [pd.Timestamp(holiday)]


@pytest.mark.parametrize("exchange", ["24/7", "24/5"])
def test_fake_holiday_needs_a_calendar_with_holidays(exchange: str) -> None:
    """Where every weekday is a session there is no day to invent."""
    with pytest.raises(UsageError, match="fake_holiday") as caught:
        inject(fetch(exchange=exchange), "fake_holiday", calendar=exchange)
    assert exchange in caught.value.received
    assert "XNYS" in caught.value.todo


def test_fake_holiday_needs_a_holiday_among_the_sessions() -> None:
    """The nine sessions since Memorial Day hold none, and a row before the first has nothing to copy."""
    with pytest.raises(UsageError, match="none from 2026-05-26 to 2026-06-05"):
        inject(fetch().iloc[-9:], "fake_holiday", calendar="XNYS")
    assert len(inject(fetch().iloc[-10:], "fake_holiday", calendar="XNYS")) == 11


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "fake_holiday"])
def test_all_others_work_without_holidays(fault: Fault) -> None:
    """A market that never closes has bad nights too."""
    clean = fetch(exchange="24/7")
    assert not inject(clean, fault, calendar="24/7").equals(clean)


@every_ticker
def test_partial_bar_has_a_tenth_of_the_usual_volume(ticker: str) -> None:
    """Under the fifth of the median that the checks warn of, in whole shares."""
    clean, damaged = night("partial_bar", ticker)
    assert_only_newest_changed(clean, damaged, ["volume"])
    volume = damaged["volume"].iloc[-1]
    assert volume / clean["volume"].iloc[-21:-1].median() == pytest.approx(0.1, rel=1e-4)
    assert volume % 1 == 0


def test_truncated_keeps_the_newest_sixty_sessions() -> None:
    """The source forgot the years before."""
    clean, damaged = night("truncated")
    assert len(damaged) == 60
    assert_same(damaged, clean.iloc[-60:])


@every_fault
def test_too_few_sessions_are_told(fault: Fault) -> None:
    """No fault is silently left out for want of rows: with one row fewer than needed it is refused."""
    needed = {"partial_bar": 21, "truncated": 61}.get(fault, 6)
    clean = fetch(as_of=dt.date(2025, 1, 2))  # a holiday lies before it: even the shortest frame spans one
    for rows in (0, 1, needed - 1):
        with pytest.raises(UsageError, match=f"{fault} needs at least {needed} sessions") as caught:
            inject(clean.iloc[len(clean) - rows :], fault, calendar="XNYS")
        assert caught.value.received == str(rows)
        assert caught.value.todo
    shortest = clean.iloc[-needed:]
    assert not inject(shortest, fault, calendar="XNYS").equals(shortest)
