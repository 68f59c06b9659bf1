"""Amounts: prices, and errors of prices. Comparisons allow for rounding, and texts have significant digits."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pipeline.arrays import Bools

# Sources compute prices: a dividend-adjusted low lies up to 2e-16 of the price above the close that it equals.
SLACK = 1e-9
_DIGITS = 5  # significant digits at least: 0.87253, 0.0000094321
_MOST_DECIMALS = 16


def same(one: npt.ArrayLike, other: npt.ArrayLike) -> Bools:
    """Return where two amounts are equal up to rounding; NaN equals nothing."""
    return np.asarray(np.isclose(one, other, rtol=SLACK, atol=0))


def at_most(one: npt.ArrayLike, other: npt.ArrayLike) -> Bools:
    """Return where `one` <= `other` up to rounding; NaN gives False."""
    return np.asarray(np.less_equal(one, other) | same(one, other))


def amount_text(amount: float, decimals: int = 2, *, signed: bool = False, currency: str = "") -> str:
    """Return an amount for a reader: at least `decimals` decimals, and more where 5 significant digits need them.

    Zeros beyond `decimals` are left out: 226.19, 0.8725, 0.0000094. The currency follows if it is known.

    Args:
        amount: in `currency`.
        decimals: 2 suit a price. Errors that are compared with each other take 4.
        signed: write a plus, too.
        currency: its code.
    """
    return f"{_number_text(amount, decimals, '+' if signed else '-')} {currency}".rstrip()


def _number_text(amount: float, decimals: int, sign: str) -> str:
    if not math.isfinite(amount):
        return f"{amount:{sign}}"
    magnitude = math.floor(math.log10(abs(amount))) if amount else 0
    needed = max(decimals, _DIGITS - 1 - magnitude)
    if needed > _MOST_DECIMALS:
        return f"{amount:{sign}.{_DIGITS}g}"
    whole, _, fraction = f"{amount:{sign},.{needed}f}".partition(".")
    return f"{whole}.{fraction[:decimals]}{fraction[decimals:].rstrip('0')}"
