"""What is removed from a snapshot, and what is missing from it."""

import numpy as np
import pandas as pd

from pipeline.prices.clean import clean

# Monday to Friday of two weeks; the second Monday is no session.
SESSIONS = pd.DatetimeIndex([f"2024-05-{day:02}" for day in (20, 21, 22, 23, 24, 28, 29, 30, 31)])


def frame(closes):
    """Return prices by day of May 2024; None is a row that has a volume only."""
    days = pd.DatetimeIndex([f"2024-05-{day:02}" for day, _ in closes], name="session")
    prices = [np.nan if close is None else close for _, close in closes]
    return pd.DataFrame({"open": prices, "high": prices, "low": prices, "close": prices, "volume": 9.0}, index=days)


def days(index):
    """Return days of May."""
    return [day.day for day in index]


def test_rows_are_removed_and_missing_sessions_counted_by_hand():
    """A Sunday row, the holiday, a row without prices, and a session without a row."""
    raw = frame([(20, 1.0), (21, 2.0), (23, None), (24, 3.0), (26, 3.0), (27, 3.0), (28, 4.0), (29, 5.0)])
    cleaned = clean(raw, SESSIONS)
    assert days(cleaned.prices.index) == [20, 21, 24, 28, 29]
    assert days(cleaned.without_price) == [23]
    assert days(cleaned.no_session) == [26, 27]
    assert days(cleaned.missing) == [22, 23]


def test_what_lies_before_the_first_and_after_the_last_price_is_not_missing():
    """A listing begins somewhere, and a stopped source has a rule of its own."""
    cleaned = clean(frame([(20, None), (21, None), (22, 1.0), (23, 2.0), (24, None), (28, None)]), SESSIONS)
    assert days(cleaned.prices.index) == [22, 23]
    assert days(cleaned.missing) == []
    assert len(cleaned.without_price) == 4


def test_a_row_with_one_price_stays_and_repeated_rows_too():
    """They are for the checks to judge: nothing is repaired."""
    raw = frame([(20, 1.0), (20, 1.5), (21, 2.0)])
    raw.iloc[2, :3] = np.nan
    assert clean(raw, SESSIONS).prices.equals(raw)


def test_nothing_is_a_snapshot_too():
    """No rows, or none with a price."""
    for raw in (frame([]), frame([(20, None)])):
        cleaned = clean(raw, SESSIONS)
        assert cleaned.prices.empty
        assert len(cleaned.missing) == len(cleaned.no_session) == 0
