"""The verdict, the lines, the page and the picture of a replay."""

import datetime as dt
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.reporting import plots, replayed
from pipeline.reporting.replayed import Replayed, Scored
from pipeline.store.formats import json_of

DAYS = pd.bdate_range("2024-01-02", periods=400)


def scored(contender, ticker, skill):
    """Return a contender whose interval score is `1 - skill` of the rival's."""
    rows = pd.DataFrame(
        {
            "session": DAYS,
            "interval_score_95_pct": np.full(400, 10 * (1 - skill)),
            "rival_score_95_pct": np.full(400, 10.0),
            "inside_95": np.arange(400) % 20 > 0,
        }
    )
    return Scored(contender, ticker, 400, 7, 5, 2, 0.001, skill, 0.95, rows)


def made(**changed):
    """Return a replay of two tickers and four contenders."""
    skills = {"unless_worse": 0.06, "if_better": 0.05, "never": 0.05, "reference": 0.0599}
    several = [scored(name, ticker, skill) for name, skill in skills.items() for ticker in ("AAA", "<B>")]
    fields = {
        "first": dt.date(2024, 1, 2), "last": dt.date(2025, 7, 14), "nights": 400, "every": 63,
        "tickers": ("AAA", "<B>"), "preset": "daily", "synthetic": False, "shares_network": True,
        "policies": ("unless_worse", "if_better"), "scored": tuple(several), "from_snapshots": 20, "from_history": 779,
        "skipped": 1, "checked": 8, "leak": "", "started": {},
    }  # fmt: skip
    return Replayed(**(fields | changed))


def test_the_verdict_sets_each_policy_beside_the_baselines():
    """Less than 0.0005 is equal."""
    assert replayed.verdict(made()) == (
        "unless_worse: interval skill +0.060, 0.010 above never retraining (+0.050) and equal to the reference "
        "(+0.060); if_better: interval skill +0.050, equal to never retraining (+0.050) and 0.010 below the reference "
        "(+0.060)."
    )


def test_a_leak_is_the_verdict():
    """No figure counts then."""
    leaking = made(leak="AAA 2024-02-01, never: forecast 1 -> 2")
    assert replayed.verdict(leaking).startswith("LEAK: AAA 2024-02-01, never: forecast 1 -> 2.")
    assert replayed.leak_line(leaking).startswith("Leak: AAA")
    assert "8 ticker-night(s) were made again" in replayed.leak_line(made())


def test_the_lines_say_where_prices_and_champions_come_from():
    """Snapshots, history, skipped nights; the store's champions or none."""
    assert "20 ticker-night(s) from snapshots of the store, 779 from the history" in replayed.source_line(made())
    assert replayed.start_line(made()).startswith("Start: without a champion")
    assert "AAA v3 of 2024-01-01" in replayed.start_line(made(started={"AAA": "v3 of 2024-01-01"}))


def test_the_curves_are_means_over_the_window():
    """Of 250 sessions: a constant ratio stays, and 19 of 20 closes are inside."""
    curve = replayed.curves(made())["unless_worse"]
    assert len(curve) == 400 - 250 + 1
    assert curve["interval_skill_95"].to_numpy() == pytest.approx(0.06)
    assert curve["inside_95"].iloc[-1] == pytest.approx(0.95, abs=0.003)


def test_the_picture_has_a_line_for_each_contender():
    """Four colours, more of each than a legend has."""
    curves = {name: curve + at / 100 for at, (name, curve) in enumerate(replayed.curves(made()).items())}
    image = Image.open(io.BytesIO(plots.contenders(curves, 250))).convert("RGB")
    counts = {colour: count for count, colour in image.getcolors(1 << 20)}
    for colour in (plots.BLUE, plots.ORANGE, plots.GREY, "#000000"):
        red_green_blue = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
        assert counts[red_green_blue] > 300


def test_the_page_and_the_results_have_the_table():
    """Names of tickers are escaped; rows of sessions are not in results.json."""
    html = replayed.page(made()).decode()
    assert html.index("unless_worse: interval skill") < html.index("<table")
    assert "&lt;B&gt;" in html
    assert "<B>" not in html
    assert "data:image/png;base64," in html
    written = json_of(replayed.results_json(made()))
    assert [one["contender"] for one in written["summaries"]] == ["unless_worse", "if_better", "never", "reference"]
    assert written["summaries"][0]["promoted"] == 10
    assert "rows" not in written["scored"][0]


def test_a_replay_of_one_night_has_no_score_yet():
    """Its forecast is of the session after it."""
    several = [
        scored(name, "AAA", 0.0)._replace(
            live_skill=None, interval_skill_95=None, coverage_95=None, rows=scored(name, "AAA", 0.0).rows[:0]
        )
        for name in ("unless_worse", "never")
    ]
    empty = made(scored=tuple(several), policies=("unless_worse",))
    assert replayed.verdict(empty) == "unless_worse: no scored forecast."
    assert replayed.page(empty).decode().count("\u2013") > 5
