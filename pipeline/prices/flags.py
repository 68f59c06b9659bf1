"""Flags for the column rules of the suite: a frame with one row per price and one per missing session."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.arrays import Bools, Floats
from pipeline.evaluation.amounts import at_most, same
from pipeline.prices import jumps
from pipeline.prices.clean import PRICES, Cleaned, priced

RECENT = 250  # sessions in which a broken high or low is critical; older history is often broken at the source
LAST = 5  # sessions that must have prices
USUAL = 20  # sessions whose median volume counts as usual
_COLUMNS = ("session", *PRICES, "adj_close", "volume")


def checked_frame(raw: pd.DataFrame, cleaned: Cleaned, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """Return every priced row, missing sessions as rows of nulls, and helper columns.

    The rules of the suite read this frame. A helper column is null where its rule does not apply. Flags are 1.0 or 0.0.

    - `is_session`, `has_price`, `has_price_in_last_5`, `has_close`, `complete`, `finite`, `ascending`: as named;
    - `ordered`, `ordered_in_last_250`, `ordered_earlier`: low <= open, close <= high;
    - `priced_session`: the session of a row with a price; `sessions_since_previous`: its distance from the row before;
    - `log_return`: of the split-adjusted close; `equal_closes`: length so far of a run of equal closes;
    - `in_one_unit`, `without_excursion`, `split_adjusted`: see `pipeline.prices.jumps`;
    - `traded_volume`: the volume, null in a series without any (currencies, funds, many indices);
    - `last_volume_share`: the newest volume over the median of the 20 before; `adjusted_share`: adj_close / close.

    Args:
        raw: a frame as `pipeline.prices.sources` describes it.
        cleaned: the result of `clean` for `raw`.
        sessions: the calendar's sessions from the first row of `raw` to its last.

    Returns:
        Shape (priced rows + missing sessions, columns of `raw` + 19), ascending by the column `session` (stable).
    """
    rows = raw[priced(raw)].rename_axis("session").reset_index()
    full = rows.reindex(columns=list(_COLUMNS))  # a column that the source lacks is null
    on_session = ~full["session"].isin(cleaned.no_session)
    closes = full["close"].where(on_session & (full["close"] > 0) & ~np.isinf(full["close"])).dropna()
    levels = closes.to_numpy("float64")
    volume = full["volume"] if (full["volume"] > 0).any() else pd.Series(np.nan, full.index)
    ordered = _ordered(full).where(on_session)
    first = on_session & ~full["session"].duplicated()
    infinite = full[list(PRICES)].isin([np.inf, -np.inf]).any(axis=1)
    helpers = {
        "is_session": on_session.astype("float64"),
        "has_price": on_session.astype("float64").where(on_session),
        "has_close": full["close"].notna().astype("float64").where(on_session),
        "complete": full[list(PRICES)].notna().all(axis=1).astype("float64").where(on_session),
        "finite": (~infinite).astype("float64").where(on_session),
        "ascending": (~(full["session"].diff() < pd.Timedelta(0))).astype("float64"),
        "priced_session": full["session"].where(on_session),
        "sessions_since_previous": pd.Series(sessions.searchsorted(full["session"]))[first].diff(),
        "ordered": ordered,
        "ordered_in_last_250": ordered.where(ordered.index >= len(ordered) - RECENT),
        "ordered_earlier": ordered.where(ordered.index < len(ordered) - RECENT),
        "log_return": np.log(closes).diff(),
        "equal_closes": closes.groupby(_starts_of_runs(levels).cumsum()).cumcount() + 1.0,
        "in_one_unit": _in_one_unit(full, closes),
        "without_excursion": pd.Series(jumps.without_excursions(levels), closes.index),
        "split_adjusted": pd.Series(jumps.split_adjusted(levels, _splits_between(raw, closes)), closes.index),
        "traded_volume": volume,
        "last_volume_share": _last_volume_share(volume),
        "adjusted_share": full["adj_close"] / closes,
    }
    frame = rows.assign(**helpers)
    if len(cleaned.missing):
        frame = pd.concat([frame, pd.DataFrame({"session": cleaned.missing, "has_price": 0.0})])
    frame = frame.sort_values("session", kind="stable", ignore_index=True)
    known = frame["session"][frame["has_price"].notna()].drop_duplicates()
    recent = frame["session"].isin(known.iloc[-LAST:])
    return frame.assign(has_price_in_last_5=frame["has_price"].where(recent))


def _ordered(full: pd.DataFrame) -> pd.Series[float]:
    """Return 1.0 where low <= open, close <= high, else 0.0; null where one of the four is missing."""
    body = full[["open", "close"]]
    ordered = at_most(full["low"], body.min(axis=1)) & at_most(body.max(axis=1), full["high"])
    return pd.Series(ordered.astype("float64"), full.index).where(full[list(PRICES)].notna().all(axis=1))


def _starts_of_runs(closes: Floats) -> Bools:
    """Return whether each close differs from the one before; True for the first."""
    return np.concatenate((np.ones(min(1, len(closes)), dtype=bool), ~same(closes[1:], closes[:-1])))


def _in_one_unit(full: pd.DataFrame, closes: pd.Series[float]) -> pd.Series[float]:
    """Return the flags of `jumps.in_one_unit` by row; null throughout where a close is not above 0: no prices."""
    if (full["close"] <= 0).any():
        return pd.Series(np.nan, closes.index)
    bars = full.loc[closes.index, list(PRICES)].to_numpy("float64")
    return pd.Series(jumps.in_one_unit(bars, np.asarray(closes, "float64")), closes.index)


def _splits_between(raw: pd.DataFrame, closes: pd.Series[float]) -> Floats:
    """Return the new shares per old one since the close before, shape (len(closes),): rows without a price count."""
    if "splits" not in raw.columns:
        return np.ones(len(closes))
    sizes = raw["splits"].where((raw["splits"] > 0) & ~np.isinf(raw["splits"]), 1.0).to_numpy("float64")
    total = np.cumsum(np.log(sizes))[priced(raw).to_numpy()][closes.index]
    between: Floats = np.exp(np.diff(total, prepend=total[:1]))
    return between


def _last_volume_share(volume: pd.Series[float]) -> pd.Series[float]:
    """Return the newest volume over the median of the 20 before, in the last row; null in all others."""
    share = volume / volume.shift().rolling(USUAL).median()
    return share.where((volume.index == len(volume) - 1) & ~np.isinf(share))
