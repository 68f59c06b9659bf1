"""Step `forecast`: the champion's forecast of the next session, and the scores of the forecasts before it."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

from pipeline import calendar
from pipeline.evaluation import live
from pipeline.forecasting import forecaster
from pipeline.forecasting.bars import Bars
from pipeline.outcome import Effects, Finding, ForecastRecord, Outcome
from pipeline.serving import ages, ledger
from pipeline.serving.served import DECAY, LiveWindow, ScoredForecast, Served, ServedChampion
from pipeline.settings.currency import UNKNOWN, differ
from pipeline.steps import live_record
from pipeline.store.formats import frame_bytes, frame_of

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.plan import Plan
    from pipeline.steps.unit import Unit
    from pipeline.tracking.registry import Loaded
    from pipeline.tracking.versions import Version

_ANCHOR = 20  # sessions back: a bar that old is no longer corrected, only restated


def forecast(unit: Unit) -> Outcome:
    """Forecast the next session by the champion, and score the forecasts that the ledger has of earlier sessions.

    The row for the ledger is an effect: the runner writes it.
    """
    prices = frame_of(unit.read("validated.parquet"))
    closes: pd.Series[float] = prices["close"].astype("float64")
    champion = unit.registry.champion(unit.ticker)
    refusal = _refusal(champion, unit)
    written = ledger.read(unit.settings.ledger_place, unit.ticker)
    record = None
    if champion and not refusal:
        record = _already_written(written, champion, unit) or forecast_record(
            unit.ticker, unit.plan, unit.currency, champion.number, unit.registry.load(unit.ticker, champion), prices
        )
        if differ(record.currency, unit.currency):
            refusal = f"the ledger has a forecast of {record.session} by v{record.version} in {record.currency}"
            record = None
    scored = live_record.scored(written, closes, unit.plan, unit.currency)
    windows = {sessions: live.summary(scored, sessions) for sessions in live_record.SESSIONS}
    served = Served(
        champion=_served(champion),
        forecast=record,
        why_not=refusal,
        scored=_newest(scored),
        live={str(sessions): _window(summary, scored, sessions) for sessions, summary in windows.items()},
    )
    scores = _live_scores(served, len(scored))
    return Outcome(
        files={"forecast.json": served.to_json(), "scored.parquet": frame_bytes(scored)},
        attach=("forecast.json", "scored.parquet"),
        metrics={f"live/{name}": value for name, value in scores.items()},
        tags={"currency": unit.currency or UNKNOWN},
        live=scores,
        live_session=served.scored.session if served.scored else None,
        effects=Effects(forecast=record, no_forecast=refusal),
        findings=(*_decay(unit, windows[live_record.SESSIONS[-1]]), *_age(unit, served.champion, refusal)),
    )


def _refusal(champion: Version | None, unit: Unit) -> str:
    """Return why this run makes no forecast, "" when it makes one."""
    if champion is None:
        return "no champion yet: no version has passed the gate"
    if unit.plan.fault:
        return f"prices with the injected fault {unit.plan.fault}: a row of the ledger counts for ever"
    if champion.synthetic != unit.plan.synthetic:
        return f"champion v{champion.number} was trained on {'synthetic' if champion.synthetic else 'real'} prices"
    if champion.as_of > unit.plan.as_of:
        return f"champion v{champion.number} knows prices up to {champion.as_of}: from here it would look ahead"
    return ""


def _already_written(written: pd.DataFrame, champion: Version, unit: Unit) -> ForecastRecord | None:
    """Return the ledger's row of this session and version, which another try or run may have written."""
    session = str(_next_session(unit.plan))
    rows = written[(written["session"] == session) & (written["version"] == champion.number)]
    return None if rows.empty else ledger.record_of(rows.iloc[0])


def _next_session(plan: Plan) -> dt.date:
    return calendar.next_session(plan.calendar, plan.as_of, plan.closed_sessions)


def forecast_record(
    ticker: str, plan: Plan, currency: str, version: int, champion: Loaded, prices: pd.DataFrame
) -> ForecastRecord:
    """Return the champion's forecast of the session after the night.

    Args:
        ticker: of the prices.
        plan: of the run.
        currency: of the prices; "" if it is unknown.
        version: number of the champion.
        champion: its network and its recipe.
        prices: of sessions up to the night, validated.
    """
    network, recipe = champion
    bars = Bars(*(prices[name].to_numpy("float64") for name in Bars._fields))
    closes: pd.Series[float] = prices["close"].astype("float64")
    at_cutoff = closes[closes.index == recipe.cutoff]
    factor = float(at_cutoff.iloc[0]) / recipe.cutoff_close if len(at_cutoff) else 1.0
    values = bars.close
    made = forecaster.forecast(network, bars, range(len(values), len(values) + 1), recipe.rebased(factor))
    columns = {name: float(column[0]) for name, column in made.columns().items()}
    anchor = max(0, len(closes) - 1 - _ANCHOR)
    return ForecastRecord(
        ticker=ticker,
        session=_next_session(plan),
        version=version,
        run=plan.run,
        as_of=plan.as_of,
        created=dt.datetime.now(dt.UTC),
        source=plan.source,
        synthetic=plan.synthetic,
        currency=currency,
        last_close=float(values[-1]),
        **{name: columns[name] for name in ("forecast", "low_80", "high_80", "low_95", "high_95")},
        low_50=_known(columns["low_50"]),
        high_50=_known(columns["high_50"]),
        scale=columns["scale"],
        quantiles=tuple(map(float, made.quantiles[0])) if math.isfinite(columns["q05"]) else (),
        anchor_session=closes.index[anchor].date(),
        anchor_close=float(values[anchor]),
    )


def _known(value: float) -> float | None:
    """Return a value, or None where a model of earlier code has none."""
    return value if math.isfinite(value) else None


def _newest(scored: pd.DataFrame) -> ScoredForecast | None:
    if scored.empty:
        return None
    row = scored.iloc[-1]
    added = {name: row[name] for name in ScoredForecast.model_fields if name not in ForecastRecord.model_fields}
    return ScoredForecast.model_validate(ledger.record_of(row).model_dump() | added)


def _window(summary: live.Live | None, scored: pd.DataFrame, sessions: int) -> LiveWindow | None:
    if summary is None:
        return None
    values = summary._asdict() | {"late": int(scored.loc[scored["ago"] < sessions, "late"].sum())}
    return LiveWindow.model_validate({name: value if math.isfinite(value) else None for name, value in values.items()})


def _live_scores(served: Served, sessions: int) -> dict[str, float]:
    """Return the scores of served forecasts by their name in MLflow."""
    scores: dict[str, float] = {}
    for window, summary in served.live.items():
        if summary is None:
            continue
        if summary.skill is not None:
            scores[f"skill_{window}"] = summary.skill
        scores[f"rmse_{window}"] = summary.rmse
        scores[f"coverage_95_{window}"] = summary.coverage_95
        if summary.interval_score_95_pct is not None:
            scores[f"interval_score_95_pct_{window}"] = summary.interval_score_95_pct
        if summary.interval_skill_95 is not None:
            scores[f"interval_skill_95_{window}"] = summary.interval_skill_95
    if served.scored:
        scores["error"] = served.scored.error
        scores["sessions"] = float(sessions)
    return scores


def _served(champion: Version | None) -> ServedChampion | None:
    if champion is None:
        return None
    return ServedChampion(version=champion.number, trained=champion.trained, cutoff=champion.cutoff)


def _age(unit: Unit, champion: ServedChampion | None, refusal: str) -> tuple[Finding, ...]:
    """Return a warning about old weights, unless this run cannot use the champion anyway."""
    if champion is None or refusal:
        return ()
    old = ages.old_champion(unit.ticker, champion, unit.plan)
    return (old,) if old else ()


def _decay(unit: Unit, summary: live.Live | None) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            rule=DECAY,
            severity="warning",
            observed=one,
            todo=f"Look at closecast champion show {unit.ticker}; closecast champion rollback {unit.ticker} goes back.",
        )
        for one in live_record.decay(unit, summary)
    )
