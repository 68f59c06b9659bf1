"""What a suite of column rules needs to judge prices: one row per price and per missing session, with flags."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.prices.clean import PRICES, Cleaned, priced

RECENT = 250  # sessions in which a broken high or low is no old quirk of the source but today's problem
LAST = 5  # sessions that must have prices: a hole there is no old quirk either
USUAL = 20  # sessions whose median volume is the usual one
_COLUMNS = ("session", *PRICES, "adj_close", "volume")


def checked_frame(raw: pd.DataFrame, cleaned: Cleaned, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """Return what the suite looks at: every priced row, missing sessions as rows of nulls, and helper columns.

    A helper column is null where it has nothing to say: then no rule applies. Flags are 1.0 or 0.0.

    - `is_session`, `has_price`, `has_price_in_last_5`, `has_close`, `complete`, `finite`, `ascending`: as they say;
    - `ordered`, `ordered_in_last_250`, `ordered_earlier`: low <= open, close <= high;
    - `priced_session`: the session, where it has a price; `sessions_since_previous`: how far back the one before lies;
    - `log_return`: of the close, which has its splits in it; `equal_closes`: length so far of a run of equal closes;
    - `last_volume_share`: the newest volume over the median of the 20 before; `adjusted_share`: adj_close / close.

    Args:
        raw: a frame as `pipeline.sources` promises it.
        cleaned: what `clean` made of it.
        sessions: the calendar's sessions from the first row of `raw` to its last.

    Returns:
        Shape (priced rows + missing sessions, columns of `raw` + 15), ascending by the column `session` (stable).
    """
    rows = raw[priced(raw)].rename_axis("session").reset_index()
    full = rows.reindex(columns=list(_COLUMNS))  # a column that is not there says nothing
    on_session = ~full["session"].isin(cleaned.no_session)
    closes = full["close"].where(on_session & (full["close"] > 0) & ~np.isinf(full["close"])).dropna()
    ordered, first = _ordered(full).where(on_session), on_session & ~full["session"].duplicated()
    helpers = {
        "is_session": on_session.astype("float64"),
        "has_price": on_session.astype("float64").where(on_session),
        "has_close": full["close"].notna().astype("float64").where(on_session),
        "complete": full[list(PRICES)].notna().all(axis=1).astype("float64").where(on_session),
        "finite": full[list(PRICES)]
        .isin([np.inf, -np.inf])
        .any(axis=1)
        .eq(other=False)
        .astype("float64")
        .where(on_session),
        "ascending": (~(full["session"].diff() < pd.Timedelta(0))).astype("float64"),
        "priced_session": full["session"].where(on_session),
        "sessions_since_previous": pd.Series(sessions.searchsorted(full["session"]))[first].diff(),
        "ordered": ordered,
        "ordered_in_last_250": ordered.where(ordered.index >= len(ordered) - RECENT),
        "ordered_earlier": ordered.where(ordered.index < len(ordered) - RECENT),
        "log_return": np.log(closes).diff(),
        "equal_closes": closes.groupby((closes != closes.shift()).cumsum()).cumcount() + 1.0,
        "last_volume_share": _last_volume_share(full["volume"]),
        "adjusted_share": full["adj_close"] / closes,
    }
    missing = pd.DataFrame({"session": cleaned.missing, "has_price": 0.0})
    frame = pd.concat([rows.assign(**helpers), missing]) if len(missing) else rows.assign(**helpers)
    frame = frame.sort_values("session", kind="stable", ignore_index=True)
    known = frame["session"][frame["has_price"].notna()].drop_duplicates()
    recent = frame["session"].isin(known.iloc[-LAST:])
    return frame.assign(has_price_in_last_5=frame["has_price"].where(recent))


def _ordered(full: pd.DataFrame) -> pd.Series[float]:
    body = full[["open", "close"]]
    ordered = (full["low"] <= body.min(axis=1)) & (body.max(axis=1) <= full["high"])
    return ordered.astype("float64").where(full[list(PRICES)].notna().all(axis=1))


def _last_volume_share(volume: pd.Series[float]) -> pd.Series[float]:
    """Return the newest volume as a share of the usual one, on its row alone."""
    share = volume / volume.shift().rolling(USUAL).median()
    return share.where((volume.index == len(volume) - 1) & ~np.isinf(share))
