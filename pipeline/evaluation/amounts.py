"""Amounts: prices, and errors of prices, as text."""

from __future__ import annotations


def amount_text(amount: float, decimals: int = 2, *, signed: bool = False, currency: str = "") -> str:
    """Return an amount for a reader, with its currency if that is known.

    Args:
        amount: in `currency`.
        decimals: 2 suit a price. Errors that are compared with each other take 4.
        signed: write a plus, too.
        currency: its code.
    """
    sign = "+" if signed else "-"
    return f"{amount:{sign},.{decimals}f} {currency}".rstrip()
