"""Dates and numbers of a price file: a cell that can be read in two ways is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UnreadablePrices
from pipeline.prices.sources.file_cells import check_daily, numbers, sessions

FILE = Path("prices.csv")


def cells(*texts: str) -> pd.Series:
    """Return cells of lines 2 and following."""
    return pd.Series(texts, index=pd.RangeIndex(2, 2 + len(texts), name="line"), dtype="object")


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1,234.50", "3"], [1234.5, 3]),
        (["999.5", "1,002"], [999.5, 1002]),  # the point is the decimal sign
        (["12,345,678", "816,269"], [12_345_678, 816_269]),
        (["$1,234.50", "-$5", "$-5"], [1234.5, -5, -5]),
        ([" 3 ", "null", "-", "N/A", ""], [3, np.nan, np.nan, np.nan, np.nan]),
        (["9.4e-06"], [9.4e-6]),
    ],
)
def test_numbers_are_read_with_their_separators(texts, values):
    """A comma separates thousands where the column proves it."""
    np.testing.assert_array_equal(numbers(cells(*texts), "close", FILE), values)


@pytest.mark.parametrize(
    "text", ["0,201", "282,94", "1234,567", "12,34,567", "1,2345", ",201", "1$2", "1.234,50", "inf"]
)
def test_other_commas_are_refused(text):
    """None of them can separate thousands."""
    with pytest.raises(UnreadablePrices, match=r"in line 3 where a number as close should be"):
        numbers(cells("1,234.50", text), "close", FILE)


@pytest.mark.parametrize("texts", [("406,840",), ("201,070", "202,110"), ("998", "1,002")])
def test_a_column_that_could_be_either_is_refused_by_a_cell(texts):
    """406,840 is 406.84 or 406840."""
    with pytest.raises(UnreadablePrices, match=r"'\d+,\d+' in line \d as close, which is \d+\.\d+ or \d+, and no cell"):
        numbers(cells(*texts), "close", FILE)


def test_closes_with_a_point_show_how_a_volume_is_meant():
    """Few shares a day have one separator only."""
    volume = cells("512,809", "816,269")
    assert numbers(volume, "volume", FILE, beside=cells("3.5", "3")).tolist() == [512_809, 816_269]
    with pytest.raises(UnreadablePrices, match="512809"):
        numbers(volume, "volume", FILE, beside=cells("406,84", "3"))


def test_short_volumes_and_written_ratios_are_read():
    """investing.com writes 7.39M, other sources 4:1; neither is a price."""
    volumes = numbers(cells("7.39M", "512.8K", "1.2B", "-"), "volume", FILE).tolist()
    assert volumes[:3] == pytest.approx([7.39e6, 512.8e3, 1.2e9])
    assert numbers(cells("4:1", "1/8", "1.0"), "splits", FILE).tolist() == [4, 0.125, 1]
    for text in ("7.39M", "4:1"):
        with pytest.raises(UnreadablePrices):
            numbers(cells(text), "close", FILE)


def daily(*dates: str, times: pd.Series | None = None) -> None:
    """Check the dates."""
    check_daily(sessions(cells(*dates), FILE), cells(*dates), times, FILE)


def test_bars_within_a_day_are_named():
    """By the time in the date, or by a column of times."""
    with pytest.raises(
        UnreadablePrices, match=r"intraday bars: 2 of 2025-11-10, from 09:30:00-05:00 to 09:31:00-05:00"
    ):
        daily("2025-11-10 09:30:00-05:00", "2025-11-10 09:31:00-05:00")
    with pytest.raises(UnreadablePrices, match=r"intraday bars: 2 of 2025-11-10, from 0930 to 1600"):
        daily("20251110", "20251110", times=cells("1600", "0930"))


def test_a_repeated_day_is_no_intraday_bar():
    """`validate` reports it: one bar twice, or the running session after its own bar."""
    daily("2025-11-10", "2025-11-10")
    daily("2025-11-07 00:00:00", "2025-11-10 00:00:00", "2025-11-10 16:00:01")
    daily("2025-11-07 00:00:00-05:00", "2025-07-07 00:00:00-04:00")
