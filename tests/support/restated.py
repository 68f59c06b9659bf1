"""A night in which the past of some tickers was restated, on price files."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pipeline import runner, runs
from pipeline.settings import load_settings
from tests.support.nights import sample_prices

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BEFORE = dt.date(2025, 11, 20)
CHANGES = ((-100, 1.02), (-50, 0.95))  # row and factor of a restated close


def write_prices(folder: Path, tickers: Iterable[str], *, restated: bool = False) -> None:
    """Write price files up to 2025-11-21; restated ones have two other bars in the past."""
    for ticker in tickers:
        frame = sample_prices(ticker)
        for row, factor in CHANGES if restated else ():
            frame.iloc[row, frame.columns.get_indexer(["open", "high", "low", "close", "adj_close"])] *= factor
        frame.to_csv(folder / f"{ticker}.csv")


def take_snapshots_of_the_night_before() -> None:
    """Let all tickers of the settings pass `validate`: the next night is compared with these snapshots."""
    settings = load_settings(as_of=BEFORE)
    for batch in runs.plan(settings, "manual__before"):
        for step in ("ingest", "validate"):
            runner.run(step, batch, settings=settings)
