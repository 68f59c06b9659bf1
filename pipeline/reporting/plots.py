"""Pictures, as PNG bytes. Every axis has a unit and readable dates."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping

import numpy as np
from matplotlib import rcdefaults
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from pipeline.arrays import Dates, Floats
from pipeline.evaluation.amounts import amount_text
from pipeline.evaluation.scores import Scores
from pipeline.forecasting.forecasts import Forecasts

rcdefaults()  # a user's matplotlibrc could ask for LaTeX, which is not installed
BLUE = "#1f6feb"
ORANGE = "#d9730d"
GREY = "#6e7681"

_WIDTH = 5.2  # inches: text is readable on a phone, and two pictures fit side by side on a desktop
_DPI = 150
_RECENT = 60  # sessions in the enlarged part
_COLOURS = 32  # of a picture: a third of the bytes, no visible difference


def closes(sessions: Dates, prices: Floats, test: range, ticker: str, currency: str) -> bytes:
    """Return the close of every session, the test rows in another colour."""
    figure, axes = _canvas(f"{ticker}: close, {len(prices):,} sessions", currency or "close")
    axes.plot(sessions[: test.start], prices[: test.start], color=BLUE, linewidth=1, label="train")
    axes.plot(sessions[test.start :], prices[test.start :], color=ORANGE, linewidth=1, label="test")
    _format_dates(axes)
    return _png(figure, axes)


def loss_curves(curves: Mapping[str, list[float]], best_epoch: int, ticker: str) -> bytes:
    """Return the loss per epoch, and the validation loss if there is one, on a logarithmic scale."""
    figure, axes = _canvas(f"{ticker}: loss, {len(curves['loss'])} epochs", "mean squared error, scaled values")
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
    sessions: Dates, actual: Floats, made: Forecasts, scores: Scores, ticker: str, currency: str
) -> bytes:
    """Return actual and forecast closes of the test rows, and below them the last sessions enlarged.

    Args:
        sessions: dates of the test rows, shape (n,).
        actual: their closes, shape (n,).
        made: their forecasts.
        scores: of these rows. Every price model looks good on such a plot, so the title shows the errors.
        ticker: for the title.
        currency: of the closes; "" if it is unknown.
    """
    figure = Figure(figsize=(_WIDTH, 4.8), layout="constrained")
    parts = figure.subplots(2, 1)
    low, high = made.interval(95)
    for axes, rows in zip(parts, (slice(None), slice(-_RECENT, None)), strict=True):
        axes.fill_between(
            sessions[rows], low[rows], high[rows],
            color=ORANGE, alpha=0.25, linewidth=0, label="95 % interval",
        )  # fmt: skip
        axes.plot(sessions[rows], actual[rows], color=BLUE, linewidth=1, label="actual")
        axes.plot(sessions[rows], made.forecast[rows], color=ORANGE, linewidth=1, label="forecast the session before")
        axes.set_ylabel(_with_unit("close", currency))
        axes.grid(alpha=0.25)
        _format_dates(axes)
    rmse = amount_text(scores.rmse, 4, currency=currency)
    naive_rmse = amount_text(scores.naive_rmse, 4, currency=currency)
    parts[0].set_title(f"{ticker}: RMSE {rmse}, naive {naive_rmse}", loc="left", fontsize="medium")
    parts[1].set_title(f"last {min(_RECENT, len(actual))} sessions", loc="left", fontsize="small")
    return _png(figure, parts[0])


def residuals(sessions: Dates, actual: Floats, forecast: Floats, naive: Floats, ticker: str, currency: str) -> bytes:
    """Return the error of each test row, and beside it the distribution of errors, naive's too.

    Args:
        sessions: dates of the test rows, shape (n,).
        actual: their closes, shape (n,).
        forecast: their forecasts, shape (n,).
        naive: the closes before them, shape (n,).
        ticker: for the title.
        currency: of the closes; "" if it is unknown.
    """
    errors = forecast - actual
    naive_errors = naive - actual
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    mean = amount_text(float(errors.mean()), 4, signed=True)
    deviation = amount_text(float(errors.std()), 4, currency=currency)
    figure.suptitle(f"{ticker}: error, mean {mean}, deviation {deviation}", x=0.01, ha="left", fontsize="medium")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    left.plot(sessions, errors, color=BLUE, linewidth=0.7)
    left.axhline(0, color=GREY, linewidth=0.8)
    left.set_ylabel(_with_unit("forecast - close", currency))
    left.grid(alpha=0.25)
    _format_dates(left)
    bins = np.histogram_bin_edges(np.concatenate((errors, naive_errors)), 40)
    right.hist(errors, bins=bins, orientation="horizontal", color=BLUE, alpha=0.6, label="forecast")
    right.hist(naive_errors, bins=bins, orientation="horizontal", histtype="step", color=ORANGE, label="naive")
    right.set_xlabel("sessions")
    return _png(figure, right)


def skills(skill: Mapping[dt.date, float], ticker: str) -> bytes:
    """Return the skill of several runs, by their `as_of`; above the line a run is better than naive."""
    values = list(skill.values())
    figure, axes = _canvas(
        f"{ticker}: skill {values[-1]:+.4f}, median of {len(values)} runs {np.median(values):+.4f}",
        "1 - RMSE / naive RMSE",
    )
    axes.axhline(0, color=ORANGE, linewidth=1, label="naive")
    axes.plot(np.array(list(skill), "datetime64[D]"), values, color=BLUE, marker=".", linewidth=1, label="run")
    axes.set_xlabel("as of")
    _format_dates(axes)
    return _png(figure, axes)


def _canvas(title: str, unit: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")  # no pyplot: it keeps state and wants a display
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize="medium")
    axes.set_ylabel(unit)
    return figure, axes


def _with_unit(label: str, currency: str) -> str:
    return f"{label}, {currency}" if currency else label


def _format_dates(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=7)  # a narrow picture has room for no more
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _png(figure: Figure, axes: Axes) -> bytes:
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize="small")
    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=_DPI)
    small = io.BytesIO()
    picture = Image.open(full).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)  # without version and time: equal data gives equal bytes
    return small.getvalue()
