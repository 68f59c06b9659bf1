"""Pictures, as PNG bytes. Every axis has a unit and readable dates."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.forecaster import Forecasts

Floats = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]

BLUE, ORANGE, GREY = "#1f6feb", "#d9730d", "#8b949e"


def closes(sessions: Dates, prices: Floats, test: range, ticker: str) -> bytes:
    """Return the close of every session, the test rows in another colour."""
    figure, axes = _canvas(f"{ticker}: close", "USD")
    axes.plot(sessions[: test.start], prices[: test.start], color=BLUE, linewidth=1, label="train")
    axes.plot(sessions[test.start :], prices[test.start :], color=ORANGE, linewidth=1, label="test")
    _dates(axes)
    return _png(figure, axes)


def loss_curves(curves: Mapping[str, list[float]], best_epoch: int, ticker: str) -> bytes:
    """Return loss and, where there is one, validation loss per epoch, on a logarithmic scale."""
    figure, axes = _canvas(f"{ticker}: loss", "mean squared error, scaled values")
    epochs = range(1, len(curves["loss"]) + 1)
    axes.plot(epochs, curves["loss"], color=BLUE, marker=".", label="train")
    if "val_loss" in curves:
        axes.plot(epochs, curves["val_loss"], color=ORANGE, marker=".", label="validation")
        axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"best epoch: {best_epoch}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yscale("log")
    return _png(figure, axes)


def actual_and_forecast(
    sessions: Dates, actual: Floats, made: Forecasts, scores: Mapping[str, float], ticker: str
) -> bytes:
    """Return actual and forecast closes of the test rows in dollars, and below them the error of each session.

    Args:
        sessions: dates of the test rows, shape (n,).
        actual: their closes in dollars, shape (n,).
        made: what was forecast for them.
        scores: with `rmse_usd` and `naive_rmse_usd`: a price model always looks good on such a plot, so the figures
            stand in its title.
        ticker: for the title.
    """
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.set_title(
        f"{ticker}: RMSE {scores['rmse_usd']:,.2f} USD, naive {scores['naive_rmse_usd']:,.2f} USD", loc="left"
    )
    upper.plot(sessions, actual, color=BLUE, linewidth=1, label="actual")
    upper.fill_between(sessions, made.low_95, made.high_95, color=ORANGE, alpha=0.2, linewidth=0, label="95 % interval")
    upper.plot(sessions, made.usd, color=ORANGE, linewidth=1, label="forecast of the session before")
    upper.set_ylabel("close, USD")
    lower.plot(sessions, actual - made.usd, color=GREY, linewidth=0.8)
    lower.axhline(0, color="black", linewidth=0.5)
    lower.set_ylabel("error, USD")
    lower.grid(alpha=0.25)
    _dates(lower)
    return _png(figure, upper)


def _canvas(title: str, unit: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, 4), layout="constrained")  # no pyplot: it keeps state and wants a display
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    axes.set_ylabel(unit)
    return figure, axes


def _dates(axes: Axes) -> None:
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _png(figure: Figure, axes: Axes) -> bytes:
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})  # no version: equal data, equal bytes
    return buffer.getvalue()
