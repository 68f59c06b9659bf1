"""Adjusted closes as factors: each bit comes back, and few bytes are needed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.prices.adjustment import Adjustment, factored, restored, same_bits

CLOSES = np.array([10.0, 11.0, 12.0, 13.0])


def test_one_dividend_makes_two_factors():
    """By hand: a dividend of 1 % before the third session."""
    made = factored(CLOSES, CLOSES * [0.99, 0.99, 1, 1])
    assert made.grid == "micro"
    assert made.factor == pytest.approx([0.99, 0.99, 1, 1], abs=1e-12)
    assert made.residual.tolist() == [0, 0, 0, 0]


def test_later_sessions_continue_the_last_factor():
    """So a night without a dividend needs no new file."""
    made = factored(CLOSES[:3], CLOSES[:3] * [0.5, 0.5, 1])
    assert restored(CLOSES, made).tolist() == [5, 5.5, 12, 13]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_each_precision_has_a_grid(kind):
    """Yahoo's numbers are singles; a source may also send every digit of a double."""
    adjusted = (CLOSES * 0.987654321).astype(kind).astype("float64")
    made = factored(CLOSES, adjusted)
    assert made.grid == {"float32": "single", "float64": "double"}[kind]
    assert same_bits(restored(CLOSES, made), adjusted)


NUMBERS = arrays("float64", 6, elements=st.floats(width=64))


@given(NUMBERS, NUMBERS)
def test_any_numbers_come_back_to_the_last_bit(closes, adjusted):
    """Missing prices, zeros, negative prices, infinities and numbers of any size, through the file's bytes."""
    made = Adjustment.from_bytes(factored(closes, adjusted).to_bytes())
    assert same_bits(restored(closes, made), adjusted)


def test_real_dividends_need_about_a_byte_per_session(test_data):
    """Realty Income pays monthly: 98 dividends in 2,016 sessions."""
    prices = pd.read_csv(test_data / "panel" / "O.csv")
    closes, adjusted = prices["Close"].to_numpy(), prices["Adj Close"].to_numpy()
    data = factored(closes, adjusted).to_bytes()
    assert same_bits(restored(closes, Adjustment.from_bytes(data)), adjusted)
    assert len(np.unique(Adjustment.from_bytes(data).factor)) == 98
    assert len(data) < 2 * len(closes)
