"""The sessions that two snapshots share, by hand."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.prices.overlap import find_overlap, rounding


def frame(closes, days):
    """Return closes by day of May 2024."""
    index = pd.DatetimeIndex([f"2024-05-{day:02}" for day in days], name="session")
    return pd.DataFrame({"close": closes}, index=index, dtype="float64")


def test_only_sessions_with_a_price_in_both_count():
    """A null, a zero and an infinite close, a day in one frame only; of a repeated session the first price."""
    then = frame([1.0, np.nan, 3.0, 4.0, 5.0, 6.0], [20, 21, 22, 23, 24, 27])
    now = frame([1.0, 2.0, 0.0, np.inf, 5.0, 7.0, 6.0], [20, 21, 22, 23, 24, 24, 28])
    both = find_overlap(then, now)
    assert [day.day for day in both.sessions] == [20, 24]
    assert both.closes_then.tolist() == [1.0, 5.0]
    assert both.closes_now.tolist() == [1.0, 5.0]
    assert both.then["close"].tolist() == [1.0, 5.0]
    assert both.now["close"].tolist() == [1.0, 5.0]


def test_the_session_after_the_overlap_is_the_next_row_of_today_or_the_next_day():
    """28 May is the next row; without a later row it is the day after the last session."""
    then = frame([1.0, 2.0], [23, 24])
    assert find_overlap(then, frame([1.0, 2.0, 3.0], [23, 24, 28])).after == dt.date(2024, 5, 28)
    assert find_overlap(then, frame([1.0, 2.0], [23, 24])).after == dt.date(2024, 5, 25)
    assert find_overlap(then, frame([1.0], [28])).after == dt.date.max


def test_a_frame_without_a_close_shares_nothing():
    """Neither does an empty one."""
    prices = frame([1.0, 2.0], [23, 24])
    for other in (prices.drop(columns="close"), prices.iloc[:0]):
        assert len(find_overlap(prices, other).sessions) == 0
        assert len(find_overlap(other, prices).sessions) == 0


@pytest.mark.parametrize(
    ("closes", "half"),
    [
        ([1.25, 2.5], 0.5e-4),  # fewer decimals get no more slack
        ([1.2345, 2.0001], 0.5e-4),
        ([1.23456, 2.0], 0.5e-5),
        ([1.234567, 2.0], 0.5e-6),
        ([1.23456789, 2.0], 0.5e-6),
        ([*[1.2345] * 19, 1.234567], 0.5e-4),  # nearly all share the fourth decimal
        ([9.4321e-6, 9.4322e-6], 0.5e-10),  # below 0.1 the decimals move with the price
        ([9.432112345678e-6, 9.43e-6], 0.5e-11),
    ],
)
def test_rounding_is_half_a_unit_of_the_last_decimal(closes, half):
    """Of the fourth to the sixth, read off the closes."""
    assert rounding(np.array(closes)) == pytest.approx(half)


def test_a_difference_within_the_rounding_of_both_sides_is_none():
    """At 2 dollars the slack is 5e-6 * 2 + 0.5e-4 + 0.5e-4 = 1.1e-4 dollars."""
    then = frame([2.0, 2.0, 4.0], [20, 21, 22])
    now = frame([2.0001, 2.0002, 2.0], [20, 21, 22])
    both = find_overlap(then, now)
    assert both.differs_from(1.0).tolist() == [False, True, True]
    assert both.differs_from(np.array([1.0, 1.0, 0.5])).tolist() == [False, True, False]
    assert both.ratio.tolist() == pytest.approx([1.00005, 1.0001, 0.5])
    assert both.slack[0] == pytest.approx(5e-6 + 0.5e-4 / 2.0001 + 0.5e-4 / 2.0)
