"""The frame that every source returns."""

import datetime as dt

import pandas as pd

from pipeline.prices.sources import COLUMNS, price_frame

RAW = pd.DataFrame(
    {"Note": "x", "close": ["3", "1", "2", "9"], "open": [3, 1, 2, 9]},
    index=pd.DatetimeIndex(["2024-05-22", "2024-05-20", "2024-05-21", "2024-05-20"]),
)


def test_rows_are_sorted_and_no_row_is_dropped():
    """Of a repeated session the first row stays first; unknown columns are dropped, numbers are floats."""
    frame = price_frame(RAW, None, dt.date(2024, 5, 22))
    assert frame["close"].tolist() == [1.0, 9.0, 2.0, 3.0]
    assert list(frame.columns) == [name for name in COLUMNS if name in ("open", "close")]
    assert (frame.dtypes == "float64").all()
    assert frame.index.name == "session"
    assert frame.index.dtype == "datetime64[s]"


def test_the_frame_ends_at_as_of_and_begins_at_start():
    """Both days are included."""
    assert price_frame(RAW, None, dt.date(2024, 5, 21))["close"].tolist() == [1.0, 9.0, 2.0]
    assert price_frame(RAW, dt.date(2024, 5, 21), dt.date(2024, 5, 22))["close"].tolist() == [2.0, 3.0]
    assert price_frame(RAW, dt.date(2024, 5, 23), dt.date(2024, 5, 24)).empty
