"""Faults on demand for the SYNTHETIC market. Each one imitates a bad night of a real source and makes a check fail.

A fault damages the newest sessions, as a bad night does. `split` restates all history and `truncated` loses most rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from pipeline import calendar as exchange_calendar
from pipeline.errors import UsageError
from pipeline.settings.fault import Fault

_PRICES = ["open", "high", "low", "close", "adj_close"]
_USUAL = 20  # sessions whose median volume counts as usual
_KEPT = 60  # sessions that are left of a truncated history
_LEAST = 6  # sessions; `gap` needs five new ones and one before
_NEEDED: dict[Fault, int] = {"partial_bar": _USUAL + 1, "truncated": _KEPT + 1}


def inject(prices: pd.DataFrame, fault: Fault, *, calendar: str) -> pd.DataFrame:
    """Return a damaged copy of `prices`, still a frame as `pipeline.prices.sources` describes it.

    Args:
        prices: the frame of `sample.fetch`, with all 8 columns.
        fault: one of `pipeline.settings.fault.FAULTS`.
        calendar: name of the exchange of the sessions; only `fake_holiday` uses it.

    Raises:
        UsageError: too few sessions for the fault, or for `fake_holiday` no holiday among them (24/7 has no holidays).
    """
    needed = _NEEDED.get(fault, _LEAST)
    if len(prices) < needed:
        raise UsageError(
            f"The fault {fault} needs at least {needed} sessions of prices.",
            str(len(prices)),
            "Use an earlier START, a later AS_OF or another fault.",
        )
    if fault == "fake_holiday":
        return _fake_holiday(prices, calendar)
    return _DAMAGE[fault](prices.copy())


def _newest(prices: pd.DataFrame, **values: float) -> pd.DataFrame:
    """Return `prices` with `values` in its newest row."""
    return pd.concat([prices.iloc[:-1], prices.iloc[[-1]].assign(**values)])


def _bad_bar(prices: pd.DataFrame) -> pd.DataFrame:
    # Swapping high and low would still be in order where a bar closes at its low.
    return _newest(prices, high=round(0.99 * prices["low"].iloc[-1], 6))


def _null_tail(prices: pd.DataFrame) -> pd.DataFrame:
    return _newest(prices, **dict.fromkeys(_PRICES, np.nan))


def _gap(prices: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([prices.iloc[:-4], prices.iloc[-2:]])


def _duplicate(prices: pd.DataFrame) -> pd.DataFrame:
    # More volume, not less: the second row must not look like a partial bar as well.
    return pd.concat([prices, prices.iloc[[-1]].assign(volume=2 * prices["volume"].iloc[-1])])


def _split(prices: pd.DataFrame) -> pd.DataFrame:
    # A factor of two is exact in floats: the restated history divided by the old one is one constant.
    # The newest volume counts new shares too: left alone, it would halve overnight.
    restated = prices.assign(**{name: prices[name] / 2 for name in _PRICES}, volume=2 * prices["volume"])
    return _newest(restated, splits=2.0)


def _unadjusted_split(prices: pd.DataFrame) -> pd.DataFrame:
    return _newest(prices, **{name: prices[name].iloc[-1] / 2 for name in _PRICES})


def _stale(prices: pd.DataFrame) -> pd.DataFrame:
    return prices.iloc[:-3]


def _negative(prices: pd.DataFrame) -> pd.DataFrame:
    # The low goes along: the bar stays in order, so that the sign alone is wrong.
    return _newest(prices, **dict.fromkeys(["low", "close", "adj_close"], -prices["close"].iloc[-1]))


def _fake_holiday(prices: pd.DataFrame, calendar: str) -> pd.DataFrame:
    first = prices.index[0].date()
    newest = prices.index[-1].date()
    closed = pd.bdate_range(first, newest).difference(exchange_calendar.sessions(calendar, first, newest))
    if closed.empty:
        raise UsageError(
            "The fault fake_holiday needs a weekday among the sessions on which the exchange is closed.",
            f"none from {first} to {newest} on the calendar {calendar}",
            "Use a calendar with holidays such as XNYS, an earlier START or another fault.",
        )
    holiday = pd.DatetimeIndex(closed[-1:]).astype("datetime64[s]").rename("session")
    before: pd.DataFrame = prices[prices.index < holiday[0]]
    invented: pd.DataFrame = before.iloc[[-1]].set_axis(holiday)
    return pd.concat([before, invented, prices.iloc[len(before) :]])


def _partial_bar(prices: pd.DataFrame) -> pd.DataFrame:
    usual = prices["volume"].iloc[-1 - _USUAL : -1].median()
    return _newest(prices, volume=np.ceil(usual / 10))  # whole shares


def _truncated(prices: pd.DataFrame) -> pd.DataFrame:
    return prices.iloc[-_KEPT:]


_DAMAGE: dict[Fault, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "bad_bar": _bad_bar,
    "null_tail": _null_tail,
    "gap": _gap,
    "duplicate": _duplicate,
    "split": _split,
    "unadjusted_split": _unadjusted_split,
    "stale": _stale,
    "negative": _negative,
    "partial_bar": _partial_bar,
    "truncated": _truncated,
}
