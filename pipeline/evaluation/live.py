"""How good the forecasts were that have been served: each one beside the close that came.

History may have been restated since a forecast was made, by a split for instance. Each forecast therefore keeps an
anchor: an older session and its close as it was told then. The close that the same session has now, over that one, is
the factor that brings the forecast's dollars to today's. The last close known then tells the same, unless it has been
corrected since; where both disagree by more than a correction, one of them was in other dollars than the forecast, as
on the day of a split whose history followed a night later, and the one that was restated less is believed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.evaluation import metrics

_CORRECTION = 0.2  # a close that was corrected by more was in other dollars
_DOLLARS = ("last_close", "forecast", "low_80", "high_80", "low_95", "high_95")  # columns, without their `_usd`


class Live(NamedTuple):
    """Served forecasts of the last sessions together."""

    rows: int
    rmse_usd: float
    naive_rmse_usd: float
    skill: float  # NaN where no close moved
    coverage_80: float  # share of rows inside the 80 % interval
    coverage_95: float


def score(forecasts: pd.DataFrame, closes: pd.Series[float]) -> pd.DataFrame:
    """Return one row per session that was forecast and has closed, oldest first, in the dollars of `closes`.

    Of several forecasts of a session the first one that was written counts: a run that is repeated when the close is
    known must not improve the record.

    Args:
        forecasts: rows of the ledger, of one ticker; other columns are kept.
        closes: dollars by session, ascending, unique; what lies after the last one is not scored.

    Returns:
        The rows of `forecasts` with dollars rescaled, and: `factor` they were multiplied with, `close_usd`,
        `error_usd` (forecast - close), `inside_80`, `inside_95`, and `ago`, the sessions from that one to the last.
    """
    first = forecasts.sort_values(["session", "created"], kind="stable").drop_duplicates("session")
    scored = first[first["session"].isin(closes.index)].reset_index(drop=True)
    anchor, last = (
        np.log(closes.reindex(pd.DatetimeIndex(scored[session])).to_numpy() / scored[close].to_numpy("float64"))
        for session, close in (("anchor_session", "anchor_close_usd"), ("as_of", "last_close_usd"))
    )
    less = np.where(np.isnan(anchor) | (np.abs(last) < np.abs(anchor)), last, anchor)
    restated = np.where(np.isnan(anchor) | (np.abs(last - anchor) > _CORRECTION), less, anchor)
    scored["factor"] = np.exp(np.nan_to_num(restated))  # a history that starts later cannot tell: 1
    for name in _DOLLARS:
        scored[f"{name}_usd"] *= scored["factor"]
    scored["close_usd"] = closes.reindex(pd.DatetimeIndex(scored["session"])).to_numpy()
    scored["error_usd"] = scored["forecast_usd"] - scored["close_usd"]
    for level in ("80", "95"):
        scored[f"inside_{level}"] = scored["close_usd"].between(scored[f"low_{level}_usd"], scored[f"high_{level}_usd"])
    scored["ago"] = len(closes) - 1 - closes.index.get_indexer(pd.DatetimeIndex(scored["session"]))
    return scored


def summary(scored: pd.DataFrame, sessions: int) -> Live | None:
    """Return the figures of the last `sessions` sessions; None when none of them was forecast.

    Args:
        scored: of `score`.
        sessions: how far to look back, from the last close.
    """
    recent = scored[scored["ago"] < sessions]
    if recent.empty:
        return None
    actual, forecast, naive = (recent[f"{name}_usd"].to_numpy() for name in ("close", "forecast", "last_close"))
    rmse, naive_rmse = metrics.rmse(actual, forecast), metrics.rmse(actual, naive)
    return Live(
        rows=len(recent),
        rmse_usd=rmse,
        naive_rmse_usd=naive_rmse,
        skill=metrics.skill(rmse, naive_rmse) if naive_rmse else float("nan"),
        coverage_80=float(recent["inside_80"].mean()),
        coverage_95=float(recent["inside_95"].mean()),
    )


def decayed(live: Live | None, *, min_rows: int, min_skill: float, min_coverage: float) -> list[str]:
    """Return what has passed its limit, one sentence each; nothing with fewer than `min_rows` rows.

    Args:
        live: of `summary`.
        min_rows: scored forecasts before anything is judged.
        min_skill: least skill.
        min_coverage: least share of rows inside the 95 % interval.
    """
    if live is None or live.rows < min_rows:
        return []
    told = []
    if live.skill < min_skill:
        told.append(f"skill {live.skill:+.4f} over {live.rows} served forecasts (limit: at least {min_skill:+.4f})")
    if live.coverage_95 < min_coverage:
        told.append(
            f"{live.coverage_95:.1%} of {live.rows} closes inside their 95 % interval "
            f"(limit: at least {min_coverage:.1%})"
        )
    return told
