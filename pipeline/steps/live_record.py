"""The served forecasts of a ticker beside the closes that came: their scores, and whether they have decayed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline import calendar
from pipeline.evaluation import live
from pipeline.forecasting import rivals
from pipeline.forecasting.rivals import Calibration
from pipeline.settings.currency import differ

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.plan import Plan
    from pipeline.settings.preset import Preset
    from pipeline.steps.unit import Unit

SESSIONS = (20, 60)  # that served forecasts are judged over


def scored(written: pd.DataFrame, closes: pd.Series[float], plan: Plan, currency: str) -> pd.DataFrame:
    """Return the forecasts of closed sessions with their errors, and whether each was written after its close.

    Forecasts in another currency are left out: no rate of exchange is known. Beside them stand the intervals of the
    EWMA of closes.

    Args:
        written: the ticker's rows of the ledger.
        closes: of the ticker, by session, up to the night.
        plan: of the night.
        currency: of the closes; "" if it is unknown.
    """
    import pandas as pd

    # A run of the past must not see forecasts that were made after it.
    known = written[(written["synthetic"] == plan.synthetic) & (written["session"] <= pd.Timestamp(plan.as_of))]
    others = [differ(one, currency) for one in known["currency"]]
    found = live.score(known[~np.array(others, dtype=bool)], closes)
    closed_at = calendar.closes_at(plan.calendar, pd.DatetimeIndex(found["session"]))
    found["late"] = found["created"].array >= closed_at.array
    return _beside_ewma(found, closes, plan.preset)


def decay(unit: Unit, summary: live.Live | None) -> tuple[str, ...]:
    """Return each limit of the gate that the served forecasts have crossed, with the value found.

    Args:
        unit: for the limits.
        summary: of the forecasts over the longest of `SESSIONS`.
    """
    gate = unit.plan.gate
    return tuple(
        live.decayed(
            summary,
            min_rows=gate.min_live_sessions,
            min_skill=gate.min_live_skill,
            min_coverage=gate.min_live_coverage_95,
            min_interval_skill=gate.min_live_interval_skill,
        )
    )


def _beside_ewma(scored: pd.DataFrame, closes: pd.Series[float], preset: Preset) -> pd.DataFrame:
    """Return the scored forecasts beside the intervals of the EWMA of closes, calibrated every night."""
    if scored.empty:
        return scored.assign(rival_score_95_pct=[])
    prices = np.asarray(closes, dtype="float64")
    window = max(1, preset.lookback - 1)
    first = max(window + 2, int(closes.index.searchsorted(scored["session"].iloc[0])))
    rows = range(first, len(prices))
    if not rows:
        return scored.assign(rival_score_95_pct=math.nan)
    rival = rivals.ewma_rolled(prices, rows, window, Calibration(preset.calibration_rows, preset.adaptive_step))
    return live.with_rival(scored, closes.index[rows.start :].to_numpy(), *rival.interval(95))
