"""The ages of champions and of forecasts, in sessions, and the findings about those beyond their limit in `[gate]`.

A champion's age counts from the night that trained its weights: a champion that stays is registered again each night,
with the same weights. For presets with `refit` that night is the cutoff of the weights.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from pipeline import calendar
from pipeline.errors import Damaged
from pipeline.outcome import Finding
from pipeline.serving import ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.plan import Plan
    from pipeline.serving.served import ServedChampion

log = logging.getLogger("closecast")
_MOST_NAMED = 10  # tickers in one finding


class OldForecast(NamedTuple):
    """The newest forecast of a ticker, and the sessions that have closed after those that it knows."""

    ticker: str
    age: int


def old_champion(ticker: str, champion: ServedChampion, plan: Plan) -> Finding | None:
    """Return a warning if the champion's weights are older than the limit, as of the run's session."""
    age = calendar.sessions_after(plan.calendar, champion.trained, plan.as_of, plan.closed_sessions)
    limit = plan.gate.max_champion_age
    if age <= limit:
        return None
    return Finding(
        rule="The weights of the champion should have been trained recently",
        severity="warning",
        observed=f"v{champion.version} has weights of {champion.trained}, {age} sessions ago",
        limit=f"at most {limit} sessions",
        todo=f"closecast champion show {ticker} says why later versions were refused. If the age is meant, raise "
        "max_champion_age in [gate].",
        lasting=True,
    )


def old_forecasts(place: str, tickers: Iterable[str], plan: Plan) -> list[OldForecast]:
    """Return the tickers that have forecasts in the ledger, but none that is young enough.

    Args:
        place: of the ledger.
        tickers: of the run, without a forecast of their own tonight.
        plan: of the run.
    """
    found = []
    for ticker in tickers:
        try:
            record = ledger.newest(place, ticker, synthetic=plan.synthetic)
        except Damaged as error:  # one file must not keep the report of the other tickers from being written
            log.warning("%s: the age of its forecast is unknown. %s", ticker, error)
            continue
        if record is None:
            continue
        age = calendar.sessions_after(plan.calendar, record.as_of, plan.as_of, plan.closed_sessions)
        if age > plan.gate.max_forecast_age:
            found.append(OldForecast(ticker, age))
    return found


def old_forecasts_finding(old: Sequence[OldForecast], limit: int) -> Finding | None:
    """Return one warning about all old forecasts of a run."""
    if not old:
        return None
    return Finding(
        rule="Each ticker should have a recent forecast",
        severity="warning",
        observed=f"{len(old)} ticker(s) without one: the oldest misses {max(one.age for one in old)} sessions",
        limit=f"at most {limit} sessions",
        rows=tuple(one.ticker for one in old[:_MOST_NAMED]),
        todo="The report gives the reason of each ticker. closecast status lists all of them.",
    )
