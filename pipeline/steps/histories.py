"""The tickers of one training: their rows, cut at common dates, and the histories that a network is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.arrays import Dates
from pipeline.forecasting import target, windows
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.fitting import History
from pipeline.forecasting.scale import Scaler, fit_scaler
from pipeline.forecasting.split import Borders, Split, borders_of, common_borders, split, split_at
from pipeline.store.formats import arrays_of, json_of

if TYPE_CHECKING:
    from pipeline.forecasting.windows import Windows
    from pipeline.steps.unit import Unit


class Ticker(NamedTuple):
    """One ticker of a training."""

    unit: Unit
    sessions: Dates
    bars: Bars
    parts: Split
    laid: Windows
    scaler: Scaler  # of the target, fitted on rows before test
    learned: bool = True  # whether the network is fitted to its rows


def read(unit: Unit) -> Ticker:
    """Return a ticker with the split of its own."""
    arrays = arrays_of(unit.read("scaled.npz"))
    bars = Bars(arrays["open"], arrays["high"], arrays["low"], arrays["closes"])
    scaler = Scaler(**json_of(unit.read("scaler.json")))
    return Ticker(unit, arrays["sessions"], bars, unit.split, unit.windows, scaler)


def with_common_borders(tickers: Sequence[Ticker]) -> list[Ticker]:
    """Return the tickers, cut at the same dates."""
    borders = common_borders([borders_of(one.sessions, one.parts) for one in tickers])
    return [cut_at(one, borders) for one in tickers]


def cut_at(one: Ticker, borders: Borders) -> Ticker:
    """Return a ticker, cut at the dates of a shared network.

    With too little history before them it keeps its own split, and the network learns none of its rows.
    """
    preset = one.unit.plan.preset
    parts = split_at(one.sessions, borders)
    laid = windows.windows_of(parts, preset)
    if not (laid.train and laid.validation and laid.test):
        return one._replace(learned=False)
    values = target.to_values(one.bars.close[: parts.test], preset.target)
    return one._replace(parts=parts, laid=laid, scaler=fit_scaler(values, preset.scaler))


def evaluated_history(one: Ticker) -> History:
    """Return the past of the test rows."""
    return _history(one, one.parts.test, one.laid, one.scaler)


def whole_history(one: Ticker) -> History:
    """Return every row, all of them for train."""
    preset = one.unit.plan.preset
    whole = split(one.parts.end, 1.0, 0.0)
    scaler = fit_scaler(target.to_values(one.bars.close, preset.target), preset.scaler)
    return _history(one, one.parts.end, windows.windows_of(whole, preset), scaler)


def _history(one: Ticker, train_stop: int, laid: Windows, scaler: Scaler) -> History:
    return History(
        ticker=one.unit.ticker,
        calendar=one.unit.plan.calendar,
        currency=one.unit.currency,
        bars=one.bars,
        scaler=scaler,
        laid=laid,
        cutoff=str(one.sessions[train_stop - 1]),
        train_stop=train_stop,
    )
