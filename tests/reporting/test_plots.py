"""Pictures: small, equal for equal data, with units and readable dates."""

import datetime as dt
import io
import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from pipeline.evaluation.scores import ReferenceScores, Scores
from pipeline.reporting import canvas, plots
from tests.support.report_units import forecasts_around

RANGE = ReferenceScores(interval_score_80_pct=2.5, interval_score_95_pct=3.5, pinball_pct=0.3, coverage_95=0.94)
TITLE = Scores.model_construct(  # all that the pictures read
    rmse=1.0, naive_rmse=2.0, coverage_95=0.951, interval_score_95_pct=3.25, ewma_interval_score_95_pct=3.75,
    references={"range": RANGE, "garch": RANGE},
)  # fmt: skip


def drawn(name, rows, currency="JPY", level=100.0):
    """Return a picture of `rows` rows around a level of prices."""
    closes = level * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, rows + 1)))
    actual, naive = closes[1:], closes[:-1]
    sessions = pd.bdate_range(end="2025-11-21", periods=rows).to_numpy("datetime64[D]")
    made = forecasts_around(naive + 0.1)
    curve = pd.DataFrame({"interval_skill_95": naive / level, "inside_95": 0.95}, index=sessions)
    days = {day: float(one) / level for day, one in zip(sessions.astype(dt.date), naive, strict=True)}
    return {
        "closes": lambda: plots.closes(sessions, actual, range(rows // 2, rows), "AAA", currency),
        "loss_curves": lambda: plots.loss_curves({"loss": list(actual), "val_loss": list(naive)}, 1, "AAA"),
        "likelihood": lambda: plots.loss_curves({"loss": [-0.5] + [-1.0] * (rows - 1)}, 1, "AAA", likelihood=True),
        "without_validation": lambda: plots.loss_curves({"loss": list(actual)}, 1, "AAA"),
        "actual_and_forecast": lambda: plots.actual_and_forecast(sessions, actual, made, TITLE, "AAA", currency),
        "intervals": lambda: plots.intervals(sessions, actual, made, TITLE, "AAA", reference="GJR-GARCH"),
        "residuals": lambda: plots.residuals(sessions, actual, made.forecast, naive, "AAA", currency),
        "skills": lambda: plots.skills(days, "AAA"),
        "contenders": lambda: plots.contenders({"never": curve, "reference": curve / 2}, 250),
    }[name]()


NAMES = (
    "closes",
    "loss_curves",
    "likelihood",
    "without_validation",
    "actual_and_forecast",
    "intervals",
    "residuals",
    "skills",
    "contenders",
)


@pytest.mark.parametrize("rows", [2, 40, 1000, 10_000])
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_any_length_is_drawn_without_a_complaint(name, rows):
    """Two rows or forty years: a PNG on white, below 40 kB, the same bytes for the same data."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png = drawn(name, rows)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    assert picture.width > 700
    assert len(png) < 40_000
    assert png == drawn(name, rows)


def figure_of(monkeypatch, name, *given, **more):
    """Return the figure of a picture."""
    figures = []

    def keep(figure):
        figures.append(figure)
        return FigureCanvasAgg(figure)

    with monkeypatch.context() as patch:
        patch.setattr(canvas, "FigureCanvasAgg", keep)
        drawn(name, *given, **more)
    (figure,) = figures
    return figure


@pytest.mark.parametrize("level", [0.002, 100, 700_000])
@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_cut_and_none_lies_on_another_part(monkeypatch, name, level):
    """Whatever the price: the margins are fixed, so nothing moves to make room."""
    figure = figure_of(monkeypatch, name, 1000, level=level)
    whole = figure.bbox_inches
    used = figure.get_tightbbox()
    assert used.x0 >= 0
    assert used.y0 >= 0
    assert used.x1 <= whole.width
    assert used.y1 <= whole.height
    parts = [one.get_tightbbox() for one in figure.axes]
    assert not [pair for pair in itertools.combinations(parts, 2) if pair[0].overlaps(pair[1])]


def words_of(monkeypatch, name, rows=1000, currency="JPY"):
    """Return titles, labels and ticks of the dates of a picture."""
    figure = figure_of(monkeypatch, name, rows, currency)
    every = figure.axes
    titles = [figure.get_suptitle(), *(one.get_title(loc="left") for one in every)]
    labels = [label for one in every for label in (one.get_xlabel(), one.get_ylabel())]
    ticks = [[tick.get_text() for tick in one.get_xticklabels()] for one in every]
    return " | ".join(titles), " | ".join(labels), ticks


def test_titles_carry_figures_and_axes_their_unit(monkeypatch):
    """The currency where it is one; the years that the rows span."""
    title, labels, ticks = words_of(monkeypatch, "actual_and_forecast")
    assert "RMSE 1.0000 JPY, naive 2.0000 JPY" in title
    assert labels.count("close, JPY") == 2
    assert ticks[0][1:-1] == ["2022", "2023", "2024", "2025"]  # the outermost lie outside
    title, labels, _ = words_of(monkeypatch, "residuals")
    assert "error, mean +" in title
    assert "forecast - close, JPY" in labels
    assert "sessions" in labels
    title, labels, ticks = words_of(monkeypatch, "skills", rows=30)
    assert "median of 30 runs" in title
    assert "1 - RMSE / naive RMSE" in labels
    assert "Nov" in ticks[0]


@pytest.mark.parametrize("name", ["closes", "actual_and_forecast", "residuals"])
@pytest.mark.parametrize("currency", ["GBp", ""])
def test_a_picture_names_the_currency_where_it_is_known(monkeypatch, name, currency):
    title, labels, _ = words_of(monkeypatch, name, currency=currency)
    assert ("GBp" in labels) == bool(currency)
    assert "USD" not in title + labels
    assert "close" in labels or currency


@pytest.mark.parametrize("name", ["closes", "actual_and_forecast", "residuals"])
def test_lines_keep_their_colour_in_the_small_palette(name):
    """No picture has more than 16 colours, and those of the lines are among them as they were drawn."""
    picture = Image.open(io.BytesIO(drawn(name, 1000))).convert("RGB")
    colours = {colour for _, colour in picture.getcolors()}
    assert len(colours) <= 16
    assert {(0x1F, 0x6F, 0xEB), (0xD9, 0x73, 0x0D)} <= colours
