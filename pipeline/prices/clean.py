"""Cleaning of a snapshot: rows that are not prices of a session are removed and counted; nothing is filled in.

A row without any price and a row on a day without trading are removed. A session without a price between the first and
the last price is missing, with or without a row.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

PRICES = ("open", "high", "low", "close")


class Cleaned(NamedTuple):
    """The rows of a snapshot that are prices of a session, and the days of all others."""

    prices: pd.DataFrame  # the rows kept, unchanged
    without_price: pd.DatetimeIndex  # rows removed: neither open, high, low nor close
    no_session: pd.DatetimeIndex  # rows removed: priced on a day without trading
    missing: pd.DatetimeIndex  # sessions without a price between the first and the last price


def clean(raw: pd.DataFrame, sessions: pd.DatetimeIndex) -> Cleaned:
    """Return the rows of `raw` that are prices of a session, and the days that were removed or are missing.

    Args:
        raw: a frame as `pipeline.prices.sources` describes it; repeated sessions are kept for `validate` to judge.
        sessions: the calendar's sessions from the first row of `raw` at least to its last.
    """
    has_price = priced(raw)
    known = raw[has_price]
    on_session = known.index.isin(sessions)
    kept = known[on_session]
    within = sessions[:0]
    if not kept.empty:
        within = sessions[(sessions >= kept.index.min()) & (sessions <= kept.index.max())]
    return Cleaned(
        prices=kept,
        without_price=pd.DatetimeIndex(raw.index[~has_price]),
        no_session=pd.DatetimeIndex(known.index[~on_session]),
        missing=within[~within.isin(kept.index)],
    )


def priced(raw: pd.DataFrame) -> pd.Series[bool]:
    """Return for each row whether it has an open, high, low or close."""
    return raw[[name for name in PRICES if name in raw.columns]].notna().any(axis=1)
