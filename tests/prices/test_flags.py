"""The frame that the rules of the suite read, by hand."""

import numpy as np
import pandas as pd
import pytest

from pipeline.prices.clean import clean
from pipeline.prices.flags import checked_frame

# Monday to Friday of two weeks of May 2024; Monday 27 is a holiday.
SESSIONS = pd.DatetimeIndex([f"2024-05-{day:02}" for day in (20, 21, 22, 23, 24, 28, 29, 30, 31)])


def frame(days, **columns):
    """Return bars around a close of 10 by day of May, with some columns replaced."""
    index = pd.DatetimeIndex([f"2024-05-{day:02}" for day in days], name="session")
    bars = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 5.0} | columns
    return pd.DataFrame(bars, index=index, dtype="float64")


def flags(raw, sessions=SESSIONS):
    """Return the checked frame by day of May."""
    checked = checked_frame(raw, clean(raw, sessions), sessions)
    return checked.set_index(checked["session"].dt.day)


def test_a_missing_session_is_a_row_of_nulls_without_a_price():
    """21 and 24 May have no row; all other rows keep their values."""
    checked = flags(frame([20, 22, 23, 28]))
    assert checked.index.tolist() == [20, 21, 22, 23, 24, 28]
    assert checked["has_price"].tolist() == [1, 0, 1, 1, 0, 1]
    assert checked.loc[[21, 24], "close"].isna().all()
    assert checked["sessions_since_previous"].loc[[22, 23, 28]].tolist() == [2, 1, 2]
    assert checked["has_price_in_last_5"].loc[[21, 22, 23, 24, 28]].tolist() == [0, 1, 1, 0, 1]
    assert np.isnan(checked["has_price_in_last_5"][20])


def test_a_row_on_a_holiday_is_flagged_and_no_other_rule_applies_to_it():
    """Monday 27 May with a negative close."""
    checked = flags(frame([24, 27, 28], close=[10.0, -5.0, 10.0]))
    assert checked["is_session"].tolist() == [1, 0, 1]
    for flag in ("has_price", "has_close", "complete", "finite", "ordered", "priced_session", "log_return"):
        assert pd.isna(checked[flag][27]), flag
    assert checked["log_return"][28] == pytest.approx(0.0)


def test_flags_of_a_bar_by_hand():
    """A null close, an infinite high, a low above the open."""
    raw = frame([20, 21, 22, 23], close=[10, np.nan, 10, 10], high=[11, 11, np.inf, 11], low=[9, 9, 9, 10.5])
    checked = flags(raw)
    assert checked["has_close"].tolist() == [1, 0, 1, 1]
    assert checked["complete"].tolist() == [1, 0, 1, 1]
    assert checked["finite"].tolist() == [1, 1, 0, 1]
    assert checked["ordered"].tolist()[0] == 1
    assert np.isnan(checked["ordered"][21])
    assert checked["ordered"][23] == 0


def test_returns_and_runs_of_equal_closes_by_hand():
    """Doubling is log 2; the third equal close in a row counts 3."""
    checked = flags(frame([20, 21, 22, 23], close=[10, 20, 20, 20], high=30, adj_close=[5, 20, 20, 10]))
    assert checked["log_return"].tolist()[1:] == pytest.approx([np.log(2), 0, 0])
    assert checked["equal_closes"].tolist() == [1, 1, 2, 3]
    assert checked["adjusted_share"].tolist() == [0.5, 1, 1, 0.5]


def test_rounding_breaks_no_order_and_no_run():
    """A low 2e-16 above the close that it equals, and closes that differ by as little."""
    close = 31.074928283691406
    low = 31.07492828369141
    assert low > close
    checked = flags(frame([20, 21], open=32, high=33, low=low, close=[close, low]))
    assert checked["ordered"].tolist() == [1, 1]
    assert checked["equal_closes"].tolist() == [1, 2]


def test_splits_count_from_the_close_before_also_on_rows_without_a_price():
    """4:1 on 22 May, whose row has no price; the closes are not adjusted."""
    raw = frame([20, 21, 22, 23], close=[100, 100, np.nan, 25], splits=[0, 0, 4, 0])
    raw.loc["2024-05-22", ["open", "high", "low"]] = np.nan
    checked = flags(raw)
    assert checked["split_adjusted"].loc[[20, 21, 23]].tolist() == [1, 1, 0]
    assert flags(raw.assign(close=[25, 25, np.nan, 25]))["split_adjusted"].loc[23] == 1


def test_a_series_with_a_close_of_zero_or_below_is_not_judged_for_its_unit():
    """Such numbers are no prices; ratios of them say nothing."""
    assert flags(frame([20, 21], close=[10, 1000]))["in_one_unit"].tolist() == [1, 0]
    assert flags(frame([20, 21, 22], close=[10, 1000, -1]))["in_one_unit"].isna().all()


def test_rows_out_of_order_are_flagged_before_they_are_sorted():
    """22 May comes before 21 May in the source."""
    checked = flags(frame([20, 22, 21, 23]))
    assert checked.index.tolist() == [20, 21, 22, 23]
    assert checked["ascending"].tolist() == [1, 0, 1, 1]


def test_the_last_volume_is_a_share_of_the_median_of_20_sessions():
    """Volumes 1 to 20 have the median 10.5; only the last row has a share."""
    sessions = pd.bdate_range("2024-01-02", periods=21)
    raw = pd.DataFrame({"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0}, index=sessions.rename("session"))
    raw["volume"] = [*range(1, 21), 21.0]
    checked = checked_frame(raw, clean(raw, sessions), sessions)
    assert checked["last_volume_share"].iloc[-1] == pytest.approx(2.0)
    assert checked["last_volume_share"].iloc[:-1].isna().all()


def test_order_counts_as_recent_in_the_last_250_rows():
    """Of 252 rows the first two are earlier."""
    sessions = pd.bdate_range("2023-01-02", periods=252)
    raw = pd.DataFrame({"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 5.0}, index=sessions)
    checked = checked_frame(raw, clean(raw, sessions), sessions)
    assert checked["ordered_in_last_250"].notna().sum() == 250
    assert checked["ordered_earlier"].notna().tolist()[:3] == [True, True, False]
