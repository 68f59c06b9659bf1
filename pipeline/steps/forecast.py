"""What is served: the gate between a trained network and its users, and the forecast of the next session."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import calendar
from pipeline.arrays import Floats
from pipeline.evaluation import live
from pipeline.forecasting import forecaster
from pipeline.outcome import Finding, Outcome
from pipeline.serving import ledger
from pipeline.store.formats import frame_bytes, frame_of, json_bytes

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.steps.unit import Unit
    from pipeline.tracking.versions import Version

_ANCHOR = 20  # sessions back: a bar that old is corrected no more, only restated
_LIVE_SESSIONS = (20, 60)  # sessions that served forecasts are judged over


def forecast(unit: Unit) -> Outcome:
    """Write the champion's forecast of the next session into the ledger, and score the forecasts before it."""
    import pandas as pd

    plan = unit.plan
    closes: pd.Series[float] = frame_of(unit.read("validated.parquet"))["close"].astype("float64")
    place = unit.settings.ledger_place
    champion, row = unit.registry.champion(unit.ticker), None
    why = _why_not(champion, unit)
    if champion and not why:
        row = _row(unit, champion, closes)
        ledger.write(place, row)
    written = ledger.read(place, unit.ticker)
    # A run of the past must not see what was forecast after it.
    known = written[(written["synthetic"] == plan.synthetic) & (written["session"] <= pd.Timestamp(plan.as_of))]
    scored = live.score(known, closes)
    closed_at = calendar.closes_at(plan.calendar, pd.DatetimeIndex(scored["session"]))
    scored["late"] = scored["created"].array >= closed_at.array
    lately = {window: live.summary(scored, window) for window in _LIVE_SESSIONS}
    newest = scored.iloc[-1] if len(scored) else None
    made = _told(written, row)
    told = {
        "forecast": made,
        "why_not": why,
        "scored": None if newest is None else {name: _plain(value) for name, value in newest.items()},
        "live": {
            str(window): one and one._asdict() | {"late": int(scored.loc[scored["ago"] < window, "late"].sum())}
            for window, one in lately.items()
        },
    }
    figures = {
        f"{name}_{window}": value
        for window, one in lately.items()
        if one
        for name, value in (("skill", one.skill), ("rmse_usd", one.rmse_usd), ("coverage_95", one.coverage_95))
        if np.isfinite(value)
    }
    if newest is not None:
        figures |= {"error_usd": float(newest["error_usd"]), "sessions": float(len(scored))}
    return Outcome(
        files={"forecast.json": json_bytes(told), "scored.parquet": frame_bytes(scored)},
        attach=("forecast.json", "scored.parquet"),
        metrics={f"live/{name}": value for name, value in figures.items()} | _forecast_metrics(made),
        tags={"forecast": why or f"v{champion.number if champion else '?'} for {row.session if row else '?'}"},
        live=figures,
        live_session=None if newest is None else newest["session"].date(),
        findings=_decay(unit, lately[_LIVE_SESSIONS[-1]]),
    )


def _why_not(champion: Version | None, unit: Unit) -> str:
    """Return why nothing is forecast, "" when something is."""
    if champion is None:
        return "no champion yet: no version has passed the gate"
    if unit.plan.fault:
        return f"prices damaged on purpose ({unit.plan.fault}): what is written down once would count"
    if champion.synthetic != unit.plan.synthetic:
        return f"champion v{champion.number} was trained on {'synthetic' if champion.synthetic else 'real'} prices"
    if champion.as_of > unit.plan.as_of:
        return f"champion v{champion.number} knows prices up to {champion.as_of}: from here it would look ahead"
    return ""


def _row(unit: Unit, champion: Version, closes: pd.Series[float]) -> ledger.Row:
    network, recipe = unit.registry.load(unit.ticker, champion)
    then = closes[closes.index == recipe.cutoff]
    factor = float(then.iloc[0]) / recipe.cutoff_close_usd if len(then) else 1.0
    values: Floats = np.asarray(closes, "float64")
    made = forecaster.forecast(network, values, range(len(values), len(values) + 1), recipe.rebased(factor))
    anchor = max(0, len(closes) - 1 - _ANCHOR)
    return ledger.Row(
        ticker=unit.ticker,
        session=calendar.next_session(unit.plan.calendar, unit.plan.as_of),
        version=champion.number,
        run=unit.plan.run,
        as_of=unit.plan.as_of,
        created=dt.datetime.now(dt.UTC),
        source=unit.plan.source,
        synthetic=unit.plan.synthetic,
        last_close_usd=float(values[-1]),
        forecast_usd=float(made.usd[0]),
        low_80_usd=float(made.low_80[0]),
        high_80_usd=float(made.high_80[0]),
        low_95_usd=float(made.low_95[0]),
        high_95_usd=float(made.high_95[0]),
        anchor_session=closes.index[anchor].date(),
        anchor_close_usd=float(values[anchor]),
    )


def _told(written: pd.DataFrame, row: ledger.Row | None) -> dict[str, Any] | None:
    """Return the ledger's row: another run may have written it first, and what it wrote is what counts."""
    if row is None:
        return None
    same = written[(written["session"] == str(row.session)) & (written["version"] == row.version)].iloc[0]
    return {str(name): _plain(value) for name, value in same.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell of a table
    if hasattr(value, "item"):
        return value.item()
    return value.isoformat()[:10] if hasattr(value, "isoformat") and getattr(value, "hour", 1) == 0 else value


def _forecast_metrics(made: dict[str, Any] | None) -> dict[str, float]:
    return {name: made[name] for name in ("forecast_usd", "low_95_usd", "high_95_usd")} if made else {}


def _decay(unit: Unit, summary: live.Live | None) -> tuple[Finding, ...]:
    gate = unit.plan.gate
    passed = live.decayed(
        summary, min_rows=gate.min_live_sessions, min_skill=gate.min_live_skill, min_coverage=gate.min_live_coverage_95
    )
    return tuple(
        Finding(
            rule="Served forecasts should not decay",
            severity="warning",
            observed=one,
            todo=f"Look at closecast champion show {unit.ticker}; closecast champion rollback {unit.ticker} goes back.",
        )
        for one in passed
    )
