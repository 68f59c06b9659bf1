"""Two tickers of real prices' shape for the checks of leaks, and a plan of a tiny network for them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from pipeline.audit import night
from pipeline.plan import make_plan
from pipeline.prices.sources import sample

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.plan import Plan
    from pipeline.settings import Settings

TICKERS = ("AAA", "BBB")
NOW = dt.datetime(2025, 11, 22, tzinfo=dt.UTC)


class Prepared(NamedTuple):
    """All that `leaks` takes."""

    plan: Plan
    prices: dict[str, pd.DataFrame]
    settings: Settings


def prepared(settings: Settings, **preset: object) -> Prepared:
    """Return a night of two tickers; BBB has half the history, and `preset` replaces fields."""
    plan = make_plan(
        settings.model_copy(update={"tickers": TICKERS}), "manual__1", now=NOW, moment=NOW, overrides=preset
    )
    prices = {ticker: sample.fetch_planned(ticker, plan, settings).prices for ticker in TICKERS}
    prices = {ticker: one.assign(adj_close=one["close"]) for ticker, one in prices.items()}
    prices["BBB"] = prices["BBB"][len(prices["BBB"]) // 2 :]
    planned = night.plan_of(plan, settings, TICKERS)
    changed = planned.preset.model_copy(update=preset)
    return Prepared(planned.model_copy(update={"preset": changed}), prices, settings)
