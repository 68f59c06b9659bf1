"""A history in pieces, by hand."""

import hashlib

import numpy as np
import pandas as pd

from pipeline.prices.pieces import common_rows, cut, joined, piece_bytes, rows_sha256, same_rows
from pipeline.store.formats import columns_of

DAYS = pd.DatetimeIndex(["2023-12-29", "2024-01-02", "2024-12-31", "2025-01-02", "2025-01-03", "2025-03-03"])
PRICES = pd.DataFrame(
    {"close": [1.0, 2.0, 3.0, 4.0, np.nan, 6.0], "volume": [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]},
    index=DAYS.astype("datetime64[ms]").rename("session"),
)


def test_years_and_months_close_and_the_newest_month_is_open():
    """A year is whole once a session of the next one is there."""
    closed, newest = cut(PRICES)
    assert {name: len(rows) for name, rows in closed.items()} == {"2023": 1, "2024": 2, "2025-01": 2}
    assert newest.equals(PRICES[-1:])
    assert pd.concat([*closed.values(), newest]).equals(PRICES)


def test_the_hash_is_that_of_the_documented_bytes():
    """Written out by hand: names, seconds, values. A file format has no part in it."""
    text = b'["close", "volume"]'
    seconds = np.array([1735776000], "<i8").tobytes()
    values = np.array([4.0, 0.0], "<f8").tobytes()
    assert rows_sha256(PRICES[3:4]) == hashlib.sha256(text + seconds + values).hexdigest()


def test_the_hash_sees_each_bit_and_no_payload_of_a_missing_value():
    """-0.0 is another value than 0.0; one NaN is as good as another."""
    negative = PRICES.assign(volume=PRICES["volume"] * [1, 1, 1, -1, 1, 1])
    assert negative["volume"].equals(PRICES["volume"])
    assert rows_sha256(negative) != rows_sha256(PRICES)
    other_nan = PRICES.copy()
    other_nan.iloc[4, 0] = np.array([0xFFF8000000000001], "u8").view("f8")[0]
    assert rows_sha256(other_nan) == rows_sha256(PRICES)
    assert rows_sha256(PRICES.astype("float64").set_axis(DAYS.astype("datetime64[s]"))) == rows_sha256(PRICES)


def test_common_rows_end_at_the_first_difference():
    """In a value, a session, or the length."""
    assert common_rows(PRICES, PRICES) == 6
    assert common_rows(PRICES, PRICES[:4]) == 4
    changed = PRICES.assign(close=[1.0, 2.0, 9.0, 4.0, 5.0, 6.0])
    assert common_rows(PRICES, changed) == 2
    assert common_rows(PRICES[1:], PRICES) == 0
    assert not same_rows(PRICES, changed)
    assert not same_rows(PRICES, PRICES[:4])
    assert same_rows(PRICES, PRICES.copy())


def test_rows_come_back_as_they_were():
    """In one piece or in several, and equal rows give equal bytes."""
    for ends in ([6], [2, 3, 6]):
        pieces = np.split(np.arange(6), ends[:-1])
        read = joined([columns_of(piece_bytes(PRICES.iloc[rows])) for rows in pieces])
        assert same_rows(read, PRICES)
        assert read.equals(PRICES)
    assert piece_bytes(PRICES) == piece_bytes(PRICES.copy())
