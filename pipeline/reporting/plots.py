"""Pictures, as PNG bytes. Every axis has a unit and readable dates."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline.arrays import Bools, Dates, Floats
from pipeline.evaluation import distributions
from pipeline.evaluation.amounts import amount_text
from pipeline.evaluation.scores import Scores
from pipeline.forecasting.forecasts import Forecasts
from pipeline.forecasting.intervals import PROBABILITIES
from pipeline.forecasting.rivals import REFERENCES
from pipeline.reporting.canvas import (
    ALPHA,
    BLUE,
    FAN,
    GREY,
    ORANGE,
    WIDTH,
    figure_of,
    format_dates,
    one_axes,
    png,
)

if TYPE_CHECKING:
    import pandas as pd

_RECENT = 60  # sessions in the enlarged part


def closes(sessions: Dates, prices: Floats, test: range, ticker: str, currency: str) -> bytes:
    """Return the close of every session, the test rows in another colour."""
    figure, axes = one_axes(f"{ticker}: close, {len(prices):,} sessions", currency or "close")
    axes.plot(sessions[: test.start], prices[: test.start], color=BLUE, linewidth=1, label="train")
    axes.plot(sessions[test.start :], prices[test.start :], color=ORANGE, linewidth=1, label="test")
    format_dates(axes)
    return png(figure, axes)


def loss_curves(curves: Mapping[str, list[float]], best_epoch: int, ticker: str, *, likelihood: bool = False) -> bytes:
    """Return the loss per epoch, and the validation loss if there is one.

    Args:
        curves: loss, and val_loss if there is one, each with a value per epoch.
        best_epoch: from 1.
        ticker: for the title.
        likelihood: the loss is the negative log likelihood, which may be negative; else it is the mean squared error,
            on a logarithmic scale.
    """
    unit = "negative log likelihood" if likelihood else "mean squared error, scaled values"
    figure, axes = one_axes(f"{ticker}: loss, {len(curves['loss'])} epochs", unit)
    epochs = range(1, len(curves["loss"]) + 1)
    axes.plot(epochs, curves["loss"], color=BLUE, marker=".", label="train")
    if "val_loss" in curves:
        axes.plot(epochs, curves["val_loss"], color=ORANGE, marker=".", label="validation")
        axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"best epoch: {best_epoch}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not likelihood:
        axes.set_yscale("log")
        figure.subplots_adjust(left=1.1 / WIDTH)  # its ticks are as wide as 2.5 x 10^-3
    return png(figure, axes)


def actual_and_forecast(
    sessions: Dates, actual: Floats, made: Forecasts, scores: Scores, ticker: str, currency: str
) -> bytes:
    """Return actual and forecast closes of the test rows, and below them a fan: the last sessions with each interval.

    Args:
        sessions: dates of the test rows, shape (n,).
        actual: their closes, shape (n,).
        made: their forecasts.
        scores: of these rows. Every price model looks good on such a plot, so the title shows the errors.
        ticker: for the title.
        currency: of the closes; "" if it is unknown.
    """
    figure = figure_of(4.8, between=0.55)
    parts = figure.subplots(2, 1)
    for axes, rows, levels in zip(parts, (slice(None), slice(-_RECENT, None)), ((95,), FAN), strict=True):
        for level in levels:
            low, high = made.interval(level)
            axes.fill_between(
                sessions[rows], low[rows], high[rows],
                color=ORANGE, alpha=ALPHA[level], linewidth=0, label=f"{level} % interval",
            )  # fmt: skip
        axes.plot(sessions[rows], actual[rows], color=BLUE, linewidth=1, label="actual")
        axes.plot(sessions[rows], made.forecast[rows], color=ORANGE, linewidth=1, label="forecast the session before")
        axes.set_ylabel(_with_unit("close", currency))
        axes.grid(alpha=0.25)
        format_dates(axes)
    rmse = amount_text(scores.rmse, 4, currency=currency)
    naive_rmse = amount_text(scores.naive_rmse, 4, currency=currency)
    parts[0].set_title(f"{ticker}: RMSE {rmse}, naive {naive_rmse}", loc="left", fontsize="medium")
    parts[1].set_title(f"last {min(_RECENT, len(actual))} sessions", loc="left", fontsize="small")
    parts[1].legend(frameon=False, fontsize="x-small", ncols=2)
    return png(figure, parts[0])


def intervals(
    sessions: Dates, actual: Floats, made: Forecasts, scores: Scores, ticker: str, *, reference: str
) -> bytes:
    """Return three parts: PIT histogram, rolling coverage, and 95 % interval scores beside those of the references.

    Args:
        sessions: dates of the test rows, shape (n,).
        actual: their closes, shape (n,).
        made: their forecasts.
        scores: of these rows.
        ticker: for the title.
        reference: name of the reference that was the best one before the test rows.
    """
    figure = figure_of(5.4, top=0.6, between=0.7)
    score = "" if scores.interval_score_95_pct is None else f" score {scores.interval_score_95_pct:.3f} %,"
    figure.suptitle(
        f"{ticker}: 95 % intervals,{score} coverage {scores.coverage_95:.1%}", x=0.01, ha="left", fontsize="medium"
    )
    top, bottom = figure.subplots(2, 1)
    grid = bottom.get_subplotspec()
    bottom.remove()
    left, right = grid.subgridspec(1, 2, wspace=0.85).subplots()
    _rolling_coverage(top, sessions, distributions.inside(actual, *made.interval(95)))
    _pit_histogram(left, actual, made)
    _score_bars(right, scores, reference)
    return png(figure, top)


def _rolling_coverage(axes: Axes, sessions: Dates, hits: Bools) -> None:
    window = min(distributions.WINDOW, len(hits))
    lowest, highest = (100 * share for share in distributions.GOOD)
    share = np.convolve(hits, np.ones(window), "valid") / window
    axes.axhspan(lowest, highest, color=GREY, alpha=0.15, linewidth=0, label=f"{lowest:g} to {highest:g} %")
    axes.axhline(95, color=GREY, linewidth=0.8)
    axes.plot(sessions[window - 1 :], 100 * share, color=BLUE, linewidth=1, marker="." if len(share) == 1 else None)
    axes.set_title(f"inside the 95 % interval, last {window} sessions", loc="left", fontsize="small")
    axes.set_ylabel("per cent")
    axes.set_ylim(min(90, 100 * share.min() - 1), 100.5)
    format_dates(axes)


def _pit_histogram(axes: Axes, actual: Floats, made: Forecasts) -> None:
    """Draw the share of closes in each tenth of probability: each has 10 % if the quantiles are right."""
    transformed = distributions.pit(actual, made.quantiles, np.array(PROBABILITIES) / 100)
    counts, _ = np.histogram(transformed, bins=10, range=(0, 1))
    axes.bar(np.arange(5, 100, 10), 100 * counts / len(actual), width=9, color=BLUE)
    axes.axhline(10, color=GREY, linewidth=0.8)
    axes.set_title("PIT of the closes", loc="left", fontsize="small")
    axes.set_xlabel("quantile, per cent")
    axes.set_ylabel("per cent of the closes")


def _score_bars(axes: Axes, scores: Scores, reference: str) -> None:
    named = {REFERENCES[name]: one.interval_score_95_pct for name, one in scores.references.items()}
    bars = {"served": scores.interval_score_95_pct, **named, "EWMA, once": scores.ewma_interval_score_95_pct}
    known = {name: value for name, value in bars.items() if value is not None}
    marked = {"served": BLUE, reference: ORANGE}
    colours = [marked.get(name, GREY) for name in known]
    axes.barh(range(len(known)), list(known.values()), color=colours)
    axes.set_yticks(range(len(known)), list(known))
    axes.invert_yaxis()
    axes.set_title("95 % interval score", loc="left", fontsize="small")
    axes.set_xlabel("per cent; less is better", fontsize="small")


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
    figure = figure_of(3.2, top=0.4)
    mean = amount_text(float(errors.mean()), 4, signed=True)
    deviation = amount_text(float(errors.std()), 4, currency=currency)
    figure.suptitle(f"{ticker}: error, mean {mean}, deviation {deviation}", x=0.01, ha="left", fontsize="medium")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1), gridspec_kw={"wspace": 0.12})
    left.plot(sessions, errors, color=BLUE, linewidth=0.7)
    left.axhline(0, color=GREY, linewidth=0.8)
    left.set_ylabel(_with_unit("forecast - close", currency))
    left.grid(alpha=0.25)
    format_dates(left)
    bins = np.histogram_bin_edges(np.concatenate((errors, naive_errors)), 40)
    right.hist(errors, bins=bins, orientation="horizontal", color=BLUE, alpha=0.6, label="forecast")
    right.hist(naive_errors, bins=bins, orientation="horizontal", histtype="step", color=ORANGE, label="naive")
    right.set_xlabel("sessions")
    return png(figure, right)


def skills(skill: Mapping[dt.date, float], ticker: str) -> bytes:
    """Return the skill of several runs, by their `as_of`; above the line a run is better than naive."""
    values = list(skill.values())
    figure, axes = one_axes(
        f"{ticker}: skill {values[-1]:+.4f}, median of {len(values)} runs {np.median(values):+.4f}",
        "1 - RMSE / naive RMSE",
    )
    axes.axhline(0, color=ORANGE, linewidth=1, label="naive")
    axes.plot(np.array(list(skill), "datetime64[D]"), values, color=BLUE, marker=".", linewidth=1, label="run")
    axes.set_xlabel("as of")
    format_dates(axes)
    return png(figure, axes)


def contenders(curves: Mapping[str, pd.DataFrame], window: int) -> bytes:
    """Return the interval skill and the coverage of several contenders, over the last sessions of each point.

    Args:
        curves: by contender, columns `interval_skill_95` and `inside_95`, by session.
        window: sessions behind a point.
    """
    figure = figure_of(4.8, 1.5 * WIDTH, between=0.15)
    top, bottom = figure.subplots(2, 1, sharex=True)
    styles = itertools.product(("-", "--", ":"), (BLUE, ORANGE, GREY, "black"))
    for (name, curve), (line, colour) in zip(curves.items(), styles, strict=False):
        days = curve.index.to_numpy()
        top.plot(days, curve["interval_skill_95"], color=colour, linestyle=line, linewidth=1.2, label=name)
        bottom.plot(days, 100 * curve["inside_95"], color=colour, linestyle=line, linewidth=1.2)
    top.set_title(f"interval skill, last {window} sessions, all tickers", loc="left", fontsize="medium")
    top.set_ylabel("1 - score / EWMA of closes")
    bottom.axhline(95, color=GREY, linewidth=0.8)
    bottom.set_ylabel("per cent inside 95 %")
    bottom.grid(alpha=0.25)
    format_dates(bottom)
    return png(figure, top)


def _with_unit(label: str, currency: str) -> str:
    return f"{label}, {currency}" if currency else label
