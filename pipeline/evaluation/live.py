"""Live scores: served forecasts compared with the closes that followed.

The source may restate its history after a forecast, for a split for example. Each forecast therefore keeps an anchor:
an older session and its close at that time. The anchor's close now over its close then is the factor that converts the
forecast to prices of today. The last close before the forecast gives a second factor, which is equal unless the source
corrected that close later. If both factors differ by more than a correction, one of the two closes was not in the
forecast's basis: on the day of a split the source may restate the history a night later. The factor nearer to 1 is
used then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.arrays import Dates, Floats
from pipeline.evaluation import distributions, metrics
from pipeline.evaluation.amounts import at_most, same

_CORRECTION = 0.2  # largest log distance of both factors that a corrected close explains
_AMOUNTS = ["last_close", "forecast", "low_80", "high_80", "low_95", "high_95"]  # columns of the ledger


class Live(NamedTuple):
    """Scores of the served forecasts of the last sessions."""

    rows: int
    rmse: float
    naive_rmse: float
    skill: float  # NaN if no close moved
    coverage_80: float  # share of rows inside the 80 % interval
    coverage_95: float
    interval_score_95_pct: float = float("nan")  # mean, in per cent of the close before
    interval_skill_95: float = float("nan")  # 1 - score / score of the rival; NaN without one


def score(forecasts: pd.DataFrame, closes: pd.Series[float]) -> pd.DataFrame:
    """Return one row per session with a forecast and a close, oldest first, on the basis of `closes`.

    Of several forecasts of a session the first one written counts: a run that is repeated after the close must not
    improve the record.

    Args:
        forecasts: rows of the ledger, of one ticker; other columns are kept.
        closes: prices by session, in the currency of `forecasts`, ascending, unique; later sessions are not scored.

    Returns:
        The rows of `forecasts` in prices of today, and the columns `factor` (price today / then), `close`,
        `error` (forecast - close), `inside_80`, `inside_95`, `interval_score_95_pct` (in per cent of the close before),
        and `ago` (sessions from this one to the last).
    """
    first = forecasts.sort_values(["session", "created"], kind="stable").drop_duplicates("session")
    scored = first[first["session"].isin(closes.index)].reset_index(drop=True)
    scored["factor"] = _restated_by(scored, closes)
    scored[_AMOUNTS] = scored[_AMOUNTS].mul(scored["factor"], axis="index")
    scored["close"] = closes.reindex(pd.DatetimeIndex(scored["session"])).to_numpy()
    scored["error"] = scored["forecast"] - scored["close"]
    for level in ("80", "95"):
        above = at_most(scored[f"low_{level}"], scored["close"])
        scored[f"inside_{level}"] = above & at_most(scored["close"], scored[f"high_{level}"])
    scored["interval_score_95_pct"] = _interval_losses(scored, "low_95", "high_95")
    scored["ago"] = len(closes) - 1 - closes.index.get_indexer(pd.DatetimeIndex(scored["session"]))
    return scored


def _interval_losses(scored: pd.DataFrame, low: str, high: str) -> Floats:
    """Return the 95 % interval score of each row in per cent of the close before, shape (len(scored),)."""
    actual, below, above, last = (scored[name].to_numpy("float64") for name in ("close", low, high, "last_close"))
    return distributions.interval_score_pct(actual, below, above, 0.95, last)


def with_rival(scored: pd.DataFrame, sessions: Dates, low: Floats, high: Floats) -> pd.DataFrame:
    """Return the rows of `score` with the column `rival_score_95_pct`: the interval score of another model.

    Args:
        scored: the result of `score`.
        sessions: dates that the rival has an interval for, shape (m,), ascending.
        low: lower bounds of its 95 % intervals, in prices of today, shape (m,).
        high: upper bounds, shape (m,).
    """
    bounds = pd.DataFrame({"rival_low": low, "rival_high": high}, index=pd.DatetimeIndex(sessions))
    asked = bounds.reindex(pd.DatetimeIndex(scored["session"])).reset_index(drop=True)
    joined = pd.concat([scored, asked], axis="columns")
    return scored.assign(rival_score_95_pct=_interval_losses(joined, "rival_low", "rival_high"))


def _restated_by(scored: pd.DataFrame, closes: pd.Series[float]) -> Floats:
    """Return the factor from prices then to prices of today for each row, shape (len(scored),)."""
    anchor = _log_change(closes, scored["anchor_session"], scored["anchor_close"])
    last = _log_change(closes, scored["as_of"], scored["last_close"])
    smaller = np.where(np.isnan(anchor) | (np.abs(last) < np.abs(anchor)), last, anchor)
    chosen = np.where(np.isnan(anchor) | (np.abs(last - anchor) > _CORRECTION), smaller, anchor)
    factors: Floats = np.exp(np.nan_to_num(chosen))  # 1 where the history of today has neither session
    return factors


def _log_change(closes: pd.Series[float], sessions: pd.Series[pd.Timestamp], then: pd.Series[float]) -> Floats:
    """Return log(close now / close then) for each row; NaN where `closes` lacks the session."""
    now = closes.reindex(pd.DatetimeIndex(sessions)).to_numpy("float64")
    return np.log(now / then.to_numpy("float64"))


def summary(scored: pd.DataFrame, sessions: int) -> Live | None:
    """Return the scores of the last `sessions` sessions; None without a scored forecast among them.

    Args:
        scored: the result of `score` or of `with_rival`.
        sessions: number of sessions, up to the last close.
    """
    recent = scored[scored["ago"] < sessions]
    if recent.empty:
        return None
    actual, forecast, naive = (recent[name].to_numpy() for name in ("close", "forecast", "last_close"))
    rmse = metrics.rmse(actual, forecast)
    naive_rmse = metrics.rmse(actual, naive)
    return Live(
        rows=len(recent),
        rmse=rmse,
        naive_rmse=naive_rmse,
        skill=float("nan") if same(actual, naive).all() else metrics.skill(rmse, naive_rmse),
        coverage_80=float(recent["inside_80"].mean()),
        coverage_95=float(recent["inside_95"].mean()),
        interval_score_95_pct=float(recent["interval_score_95_pct"].mean()),
        interval_skill_95=_interval_skill(recent),
    )


def _interval_skill(scored: pd.DataFrame) -> float:
    """Return 1 - score / score of the rival over the rows that both have; NaN without such a row."""
    if "rival_score_95_pct" not in scored:
        return float("nan")
    both = scored.dropna(subset="rival_score_95_pct")
    if both.empty:
        return float("nan")
    return metrics.skill(float(both["interval_score_95_pct"].mean()), float(both["rival_score_95_pct"].mean()))


def decayed(
    live: Live | None, *, min_rows: int, min_skill: float, min_coverage: float, min_interval_skill: float
) -> list[str]:
    """Return a sentence for each limit that is crossed; an empty list with fewer than `min_rows` rows.

    Args:
        live: the result of `summary`.
        min_rows: scored forecasts needed for a judgement.
        min_skill: lowest accepted skill.
        min_coverage: lowest accepted share of rows inside the 95 % interval.
        min_interval_skill: lowest accepted skill of the 95 % intervals against the rival.
    """
    if live is None or live.rows < min_rows:
        return []
    crossed = []
    if live.skill < min_skill:
        crossed.append(f"skill {live.skill:+.4f} over {live.rows} served forecasts (limit: at least {min_skill:+.4f})")
    if live.coverage_95 < min_coverage:
        crossed.append(
            f"{live.coverage_95:.1%} of {live.rows} closes inside their 95 % interval "
            f"(limit: at least {min_coverage:.1%})"
        )
    if live.interval_skill_95 < min_interval_skill:
        crossed.append(
            f"interval skill {live.interval_skill_95:+.3f} against the EWMA of closes over {live.rows} forecasts "
            f"(limit: at least {min_interval_skill:+.3f})"
        )
    return crossed
