"""Amounts: compared up to rounding, written with significant digits."""

import math

import numpy as np
import pytest

from pipeline.evaluation.amounts import amount_text, at_most, same


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (226.190002, "226.19"),
        (100.0, "100.00"),
        (1234567.891, "1,234,567.89"),
        (0.8725, "0.8725"),
        (0.872534, "0.87253"),
        (1.08344, "1.0834"),
        (0.0000094, "0.0000094"),
        (9.43215e-6, "0.0000094322"),
        (-0.5, "-0.50"),
        (0.0, "0.00"),
        (9.4e-20, "9.4e-20"),
        (math.nan, "nan"),
    ],
)
def test_a_price_has_two_decimals_and_five_significant_digits(amount, text):
    """No amount above zero is shown as 0.00."""
    assert amount_text(amount) == text


def test_errors_take_four_decimals_and_a_sign():
    """Errors of two forecasts often differ in the fourth decimal."""
    assert amount_text(13.54416, 4) == "13.5442"
    assert amount_text(13.5, 4) == "13.5000"
    assert amount_text(0.25, signed=True) == "+0.25"
    assert amount_text(-3e-7, 4, signed=True) == "-0.0000003"


def test_comparisons_allow_for_rounding_and_nothing_more():
    """The low of VICI on 2025-03-18 lies 2e-16 of the price above the close."""
    close = 31.074928283691406
    low = 31.07492828369141
    assert low > close
    assert at_most(low, close)
    assert same(low, close)
    assert not at_most(close * (1 + 1e-8), close)
    assert not same(9.4e-12, 9.5e-12)  # no absolute floor


def test_missing_and_infinite_amounts_compare_as_floats_do():
    """NaN is neither equal nor smaller; only infinity reaches infinity."""
    nan, inf = np.nan, np.inf
    assert not at_most([nan, 1.0, inf], [1.0, nan, 5.0]).any()
    assert at_most([1.0, inf, -inf], [inf, inf, 1.0]).all()
    assert not same([nan, inf], [nan, 5.0]).any()


def test_an_amount_names_its_currency():
    assert amount_text(6602.994, currency="JPY") == "6,602.99 JPY"
    assert amount_text(4.40581, 4, currency="GBp") == "4.4058 GBp"
    assert amount_text(0.5, signed=True, currency="USD") == "+0.50 USD"


def test_an_unknown_currency_is_left_out():
    assert amount_text(6602.994) == "6,602.99"
