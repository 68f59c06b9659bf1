"""Amounts as text."""

from pipeline.evaluation.amounts import amount_text


def test_an_amount_names_its_currency():
    assert amount_text(6602.994, currency="JPY") == "6,602.99 JPY"
    assert amount_text(4.40581, 4, currency="GBp") == "4.4058 GBp"
    assert amount_text(0.5, signed=True, currency="USD") == "+0.50 USD"


def test_an_unknown_currency_is_left_out():
    assert amount_text(6602.994) == "6,602.99"
