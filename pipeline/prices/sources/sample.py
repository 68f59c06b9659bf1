"""SYNTHETIC prices: an invented market on the real calendar, for trials without a network.

Its figures are no evidence about a real market or about a model.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import calendar as exchange_calendar
from pipeline.errors import UnreadablePrices
from pipeline.prices.sources import Quoted, faults, price_frame

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.settings import Settings

CURRENCY = "USD"
FIRST = dt.date(2012, 1, 3)
_FREEDOM = 5.0  # degrees of freedom of the shocks: tails as fat as those of daily stock returns
_SHOCK = 0.08  # GARCH(1,1): weight of yesterday's squared return
_MEMORY = 0.90  # GARCH(1,1): weight of yesterday's variance
_LIMIT = 0.4  # largest |log return|: no move here looks like an unreported split


def fetch_planned(ticker: str, plan: Plan, settings: Settings) -> Quoted:
    """Return the market of a run, with the plan's fault in it; see `fetch`."""
    del settings
    market = fetch(ticker, plan.start, plan.as_of, calendar=plan.calendar)
    market = market[~market.index.isin([pd.Timestamp(day) for day in plan.closed_sessions])]
    if plan.fault:
        market = faults.inject(market, plan.fault, calendar=plan.calendar)
    return Quoted(market, CURRENCY)


def fetch(ticker: str, start: dt.date | None, as_of: dt.date, *, calendar: str) -> pd.DataFrame:
    """Return SYNTHETIC prices: no evidence about a market, even under the name of a real ticker.

    The same ticker gives the same history everywhere. It begins on 2012-01-03. A later `as_of` adds rows and changes no
    earlier row; a `start` removes rows. Returns cluster in volatility (GARCH(1,1)) and have fat tails.

    Args:
        ticker: seeds the path.
        start: first session to keep; None keeps all.
        as_of: last session.
        calendar: exchange of the sessions, a name of exchange_calendars.

    Returns:
        The frame described in `pipeline.prices.sources`, shape (sessions, 8): prices in USD with 6 decimals, volume in
        whole shares, `adj_close` equal to `close`, neither dividends nor splits.

    Raises:
        UnreadablePrices: `as_of` lies before the market's first session.
        UsageError: unknown calendar.
    """
    if as_of < FIRST:
        raise UnreadablePrices(f"The sample market begins at {FIRST}.", f"AS_OF={as_of}", "Use a later AS_OF.")
    market = _market(ticker, exchange_calendar.sessions(calendar, FIRST, as_of))
    return price_frame(market, start, as_of)


def _market(ticker: str, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the whole history of `ticker` on `sessions`.

    One generator per purpose, each used once and by rows, so that the first rows do not depend on the number of rows.
    """
    seed = int.from_bytes(hashlib.sha256(ticker.encode()).digest())
    nature, shocks, bars = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(3))
    count = len(sessions)

    price0, volume0 = np.exp(nature.uniform(np.log([20.0, 1e6]), np.log([300.0, 5e7])))  # USD, shares
    drift, usual = nature.uniform([0.0001, 0.010], [0.0005, 0.025]).tolist()  # per session: mean, standard deviation
    shock = shocks.standard_t(_FREEDOM, count) * np.sqrt((_FREEDOM - 2) / _FREEDOM)  # variance 1
    returns, deviation = _garch(shock, drift=drift, usual=usual)
    gap, above, below, crowd = bars.standard_normal((count, 4)).T

    close = price0 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[price0], close[:-1]]) * np.exp(0.3 * deviation * gap)
    high = np.maximum(opened, close) * np.exp(0.4 * deviation * np.abs(above))
    low = np.minimum(opened, close) * np.exp(-0.4 * deviation * np.abs(below))
    volume = volume0 * np.exp(0.2 * crowd + 0.2 * np.abs(shock))  # large moves trade more
    prices = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "adj_close": close}, sessions)
    return prices.round(6).assign(volume=np.ceil(volume), dividends=0.0, splits=0.0)


def _garch(
    shock: npt.NDArray[np.float64], *, drift: float, usual: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return log returns and their conditional standard deviations, both shaped like `shock`: (sessions,)."""
    returns = np.empty_like(shock)
    deviation = np.empty_like(shock)
    variance = usual**2
    for t, value in enumerate(shock.tolist()):
        deviation[t] = variance**0.5
        move = min(max(deviation[t] * value, -_LIMIT), _LIMIT)
        returns[t] = drift + move
        variance = (1 - _SHOCK - _MEMORY) * usual**2 + _SHOCK * move**2 + _MEMORY * variance
    return returns, deviation
