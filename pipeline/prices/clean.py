"""Which rows of a snapshot are prices of a session. What is not is removed and counted, never filled.

A row without any price and a row on a day without trading are removed. A session between the first and the last price
that has none is missing, whether it had a row or not.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

PRICES = ("open", "high", "low", "close")


class Cleaned(NamedTuple):
    """A snapshot without what is no price of a session."""

    prices: pd.DataFrame  # the rows kept, as they came
    without_price: pd.DatetimeIndex  # rows removed: neither open, high, low nor close
    no_session: pd.DatetimeIndex  # rows removed: priced on a day that is no session of the calendar
    missing: pd.DatetimeIndex  # sessions between the first and the last price that have none


def clean(raw: pd.DataFrame, sessions: pd.DatetimeIndex) -> Cleaned:
    """Return the rows of `raw` that are prices of a session, and what was removed or is missing.

    Args:
        raw: a frame as `pipeline.sources` promises it; repeated sessions are kept for `validate` to judge.
        sessions: of the calendar, from the first row of `raw` at least to its last.
    """
    has_price = priced(raw)
    known = raw[has_price]
    kept = known[known.index.isin(sessions)]
    within = sessions[:0] if kept.empty else sessions[(sessions >= kept.index.min()) & (sessions <= kept.index.max())]
    return Cleaned(
        prices=kept,
        without_price=pd.DatetimeIndex(raw.index[~has_price]),
        no_session=pd.DatetimeIndex(known.index[~known.index.isin(sessions)]),
        missing=within[~within.isin(kept.index)],
    )


def priced(raw: pd.DataFrame) -> pd.Series[bool]:
    """Return for each row whether it has a price at all: open, high, low or close."""
    return raw[[name for name in PRICES if name in raw.columns]].notna().any(axis=1)
