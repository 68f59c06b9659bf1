"""Codes of currencies."""

import pytest

from pipeline.settings.currency import code_of, differ


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("USD", "USD"),
        (" jpy ", "JPY"),
        ("GBp", "GBp"),  # pence: not pounds
        ("GBP", "GBP"),
        ("GBX", "GBp"),
        ("ZAc", "ZAc"),
        ("ZAC", "ZAc"),
        ("ILA", "ILA"),
        ("USDT", "USDT"),
        ("", ""),
        ("$", ""),
        ("US dollars", ""),
        ("<b>", ""),
    ],
)
def test_a_code_has_one_spelling(text, code):
    assert code_of(text) == code


def test_only_known_currencies_differ():
    assert differ("GBP", "GBp")
    assert not differ("GBP", "GBP")
    assert not differ("", "GBP")
    assert not differ("GBP", "")
