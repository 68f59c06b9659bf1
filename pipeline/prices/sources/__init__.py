"""Sources of prices. Each source is one function that returns the same frame, and the currency of its prices.

The frame: index `session` (tz-naive midnights), float columns `open, high, low, close, volume` and, where the source
has them, `adj_close, dividends, splits`. Rows are as the source delivers them, ascending by session (stable), cut to
`start..as_of`. Nothing is filled, dropped or deduplicated here: the step `validate` judges the rows.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import pandas as pd

COLUMNS = ("open", "high", "low", "close", "adj_close", "volume", "dividends", "splits")


class Quoted(NamedTuple):
    """Prices, a frame as described above, and their currency: "" if the source does not name it."""

    prices: pd.DataFrame
    currency: str


def price_frame(raw: pd.DataFrame, start: dt.date | None, as_of: dt.date) -> pd.DataFrame:
    """Return `raw` as the frame of every source, described above.

    Args:
        raw: columns among `COLUMNS`, indexed by tz-naive midnights in any order.
        start: first session to keep; None keeps all.
        as_of: last session to keep: no later row enters a run.
    """
    frame = raw[[name for name in COLUMNS if name in raw.columns]].astype("float64")
    frame.index = pd.DatetimeIndex(frame.index).astype("datetime64[s]").rename("session")
    frame = frame.sort_index(kind="stable")
    frame = frame[frame.index <= pd.Timestamp(as_of)]
    return frame if start is None else frame[frame.index >= pd.Timestamp(start)]
