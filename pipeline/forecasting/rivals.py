"""Rivals: forecasts of the same rows that need no network. Each is naive, with a scale of `references` around it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.arrays import Floats
from pipeline.forecasting import intervals, references
from pipeline.forecasting.bars import Bars
from pipeline.forecasting.forecasts import Forecasts

CONSTANT = "constant"
CLOSES = "EWMA of closes"
RANGE = "EWMA of the range"
GARCH = "GJR-GARCH"
REFERENCES = {"constant": CONSTANT, "closes": CLOSES, "range": RANGE, "garch": GARCH}  # by the name of the scale
SCALE_OF = {name: scale for scale, name in REFERENCES.items()}


class Calibration(NamedTuple):
    """How intervals are calibrated every night."""

    rows: int  # newest residuals
    step: float  # of the levels


class Rolled(NamedTuple):
    """Forecasts whose intervals are calibrated every night."""

    forecasts: Forecasts
    next_widths: Floats  # half-widths of the row after the last, shape (10,)


def ewma_once(bars: Bars, calibration: range, rows: range, window: int) -> Forecasts:
    """Return naive with the EWMA of closes, calibrated once: the product before it had a network for the scale.

    Args:
        bars: shape (n,).
        calibration: rows that the intervals are calibrated on, before `rows`.
        rows: rows to forecast.
        window: returns behind a scale.
    """
    scale = references.close_ewma(bars.close, window)
    widths = intervals.calibrate(_residuals(bars.close, scale, calibration))
    return _around_naive(bars.close, scale, rows, widths[np.newaxis])


def ewma_rolled(closes: Floats, rows: range, window: int, calibration: Calibration) -> Forecasts:
    """Return naive with the EWMA of closes, calibrated every night: the rival of served intervals.

    Args:
        closes: shape (n,).
        rows: rows to forecast, from `window` + 2 on: a row is calibrated on at least one before it.
        window: returns behind a scale.
        calibration: of the intervals.
    """
    return _rolled(closes, references.close_ewma(closes, window), rows, window, calibration).forecasts


def all_references(
    bars: Bars, rows: range, *, train_stop: int, window: int, decay: float, calibration: Calibration
) -> dict[str, Rolled]:
    """Return each reference by its name, calibrated every night on the residuals that were known by then.

    Args:
        bars: shape (n,).
        rows: rows to forecast.
        train_stop: first row that no parameter may see.
        window: returns behind a scale.
        decay: of the range EWMA.
        calibration: of the intervals.
    """
    closes = bars.close
    scales = {
        CONSTANT: np.full(len(closes) + 1, references.deviation(closes[:train_stop])),
        CLOSES: references.close_ewma(closes, window),
        RANGE: references.range_ewma(bars, window, decay),
        GARCH: references.garch(closes, references.fit_garch(closes[:train_stop]), window),
    }
    return {name: _rolled(closes, scale, rows, window, calibration) for name, scale in scales.items()}


def _rolled(closes: Floats, scale: Floats, rows: range, window: int, calibration: Calibration) -> Rolled:
    known = range(max(window + 1, rows.start - calibration.rows), rows.stop)
    residuals = _residuals(closes, scale, known)
    widths = intervals.roll(residuals, rows.start - known.start, most=calibration.rows, step=calibration.step)
    return Rolled(_around_naive(closes, scale, rows, widths[:-1]), widths[-1])


def _residuals(closes: Floats, scale: Floats, rows: range) -> Floats:
    last = closes[rows.start - 1 : rows.stop - 1]
    return intervals.residuals(closes[rows.start : rows.stop], last, last, scale[rows.start : rows.stop])


def _around_naive(closes: Floats, scale: Floats, rows: range, half_widths: Floats) -> Forecasts:
    last = closes[rows.start - 1 : rows.stop - 1]
    widths = np.broadcast_to(half_widths, (len(rows), len(intervals.LEVELS)))
    return Forecasts(forecast=last, center=last, scale=scale[rows.start : rows.stop], half_widths=widths)
