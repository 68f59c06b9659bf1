"""Small files that were judged wrongly once, with the answers of their README; and noise that must stop nothing."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline import calendar
from pipeline.errors import UnreadablePrices
from pipeline.prices.clean import clean
from pipeline.prices.flags import checked_frame
from pipeline.prices.restatement import compare
from pipeline.prices.sources import files
from pipeline.prices.suite import check
from pipeline.settings import load_settings

SHORT = "critical The history must be long enough"
REFUSED = {  # file, ticker, AS_OF: words of the refusal
    ("decimal_comma_three_places.csv", "NFLX", "2023-10-27"): "'403,320' in line 2 as open, which is 403.320 or 403320",
    ("minute_bars_NFLX.csv", "NFLX", "2025-11-10"): "intraday bars: 8 of 2025-11-10",
    ("semicolon_decimal_comma_ALV.csv", "ALV", "2020-01-16"): "semicolons (';') and numbers have a decimal comma",
}
SPLIT = "critical Closes must be adjusted for reported splits: 1 jump"
TRADED = "warning Every session should have traded: 365 zero volumes"
STALE = "warning A close should not be equal in 5 sessions in a row"
EMPTY = "critical At least one session must have a price: 5 row(s): 5 without"
JUDGED = {  # file, ticker, AS_OF: the first words of each finding
    ("order_noise_VICI.csv", "VICI", "2026-07-23"): [],
    ("prev_dot_close.csv", "NFLX", "2023-10-27"): [SHORT],
    ("tiingo_split_AAPL.csv", "AAPL", "2020-09-03"): [SHORT, SPLIT],
    ("stooq_bulk_NFLX.txt", "NFLX", "2026-02-20"): [],
    ("longest_run_AMCR.csv", "AMCR", "2016-12-08"): [TRADED, STALE],
    ("long_name_column.csv", "AAPL", "2020-12-11"): [SHORT],
    ("all_empty_WBA.csv", "WBA", "2026-01-23"): [EMPTY],
}


def judged(test_data, name, ticker, as_of):
    """Return the findings of a case, in words."""
    day = dt.date.fromisoformat(as_of)
    raw = files.fetch(ticker, None, day, path=test_data / "cases" / name)
    trading = calendar.sessions("XNYS", raw.index[0].date(), day)
    suite = load_settings().suite_path.read_bytes()
    cleaned = clean(raw, trading)
    checked = check(ticker, raw, cleaned, suite, as_of=day, min_sessions=350, max_jump=0.5, sessions=trading)
    return [f"{one.severity} {one.rule}: {one.observed}" for one in checked.findings]


@pytest.mark.parametrize(("name", "ticker", "as_of"), REFUSED)
def test_what_is_no_table_of_daily_prices_is_refused_in_words(test_data, name, ticker, as_of):
    """The message names a cell, the bars or the separator."""
    with pytest.raises(UnreadablePrices) as error:
        files.fetch(ticker, None, dt.date.fromisoformat(as_of), path=test_data / "cases" / name)
    assert REFUSED[name, ticker, as_of] in error.value.received


@pytest.mark.parametrize(("name", "ticker", "as_of"), JUDGED)
def test_each_case_has_these_findings_and_no_other(test_data, name, ticker, as_of):
    """Most are too short to train on, which is right."""
    found = judged(test_data, name, ticker, as_of)
    expected = JUDGED[name, ticker, as_of]
    assert len(found) == len(expected), found
    for words, start in zip(found, expected, strict=True):
        assert words.startswith(start)


def test_the_longest_run_is_the_longest(test_data):
    """Great Expectations keeps 200 values of 316."""
    found = judged(test_data, "longest_run_AMCR.csv", "AMCR", "2016-12-08")
    assert found[-1].endswith("316 repeats beyond the 4th, the last on 2016-12-08, the longest run 80")


def test_every_case_has_its_test(test_data):
    """No file of the folder is left untried."""
    names = {path.name for path in (test_data / "cases").iterdir()} - {"README.md"}
    assert {name for name, _, _ in (*REFUSED, *JUDGED)} == names


def test_the_plain_close_and_the_rows_of_the_ticker_are_read(test_data):
    """Values of the README, and those of the file."""
    late = dt.date(2030, 1, 1)
    plain = files.fetch("NFLX", None, late, path=test_data / "cases" / "prev_dot_close.csv")
    assert plain["close"].tolist() == [406.84, 413.73, 411.25, 403.54, 397.87]
    long = test_data / "cases" / "long_name_column.csv"
    assert files.fetch("AAPL", None, late, path=long)["close"].tolist() == [121.779999, 123.239998, 122.410004]
    assert files.fetch("MSFT", None, late, path=long)["close"].iloc[-1] == 213.259995
    stooq = files.fetch("NFLX", None, late, path=test_data / "cases" / "stooq_bulk_NFLX.txt")
    assert stooq["volume"].iloc[-1] == 32_411_317
    tiingo = files.fetch("AAPL", None, late, path=test_data / "cases" / "tiingo_split_AAPL.csv")
    assert tiingo["splits"].tolist() == [1, 1, 1, 1, 4, 1, 1, 1]


def test_noise_of_rounding_stops_no_night(test_data):
    """Each price of XOM times 1 + e, |e| <= 1e-15, drawn independently: 63 sessions of 2,016 break the order of floats.

    A night reads the rows up to its session, so the flags of the whole file are those of every night.
    """
    prices = files.fetch("XOM", None, dt.date(2020, 12, 11), path=test_data / "panel")
    columns = ["open", "high", "low", "close", "adj_close"]
    draw = np.random.default_rng(0)
    noisy = prices.copy()
    noisy[columns] *= 1 + draw.uniform(-1e-15, 1e-15, noisy[columns].shape)
    body = noisy[["open", "close"]]
    broken = (noisy["low"] > body.min(axis=1)) | (body.max(axis=1) > noisy["high"])
    assert broken.sum() == 63
    trading = calendar.sessions("XNYS", noisy.index[0].date(), noisy.index[-1].date())
    flags = checked_frame(noisy, clean(noisy, trading), trading)
    for flag in ("ordered", "in_one_unit", "without_excursion", "split_adjusted", "complete", "finite"):
        assert (flags[flag] == 1).all(), flag
    plain = checked_frame(prices, clean(prices, trading), trading)
    pd.testing.assert_series_equal(flags["equal_closes"], plain["equal_closes"])
    for rows in range(400, len(noisy), 200):
        assert compare(prices.iloc[:rows], noisy.iloc[: rows + 1]).kind == "unchanged"
