"""The benchmarks run: each at its smallest size, in a process of its own. Their figures are for people."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.steps import FLOW

CHECKOUT = Path(__file__).resolve().parent.parent


def ran(*words):
    """Return what a benchmark printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_published_recipe_beside_ours(test_data, tmp_path):
    """The losses agree, which the benchmark checks itself."""
    words = [str(test_data / "NFLX.csv"), "--epochs", "1", "--pairs", "1", "--backends", "tensorflow"]
    out = ran("bench/recipe.py", *words, "--json", str(tmp_path / "figures.json"))
    assert "tensorflow 1 epochs: plain" in out.replace("  ", " ")
    assert (tmp_path / "figures.json").exists()


def test_windows_as_views_and_as_copies():
    """The loop runs beside the views."""
    out = ran("bench/windows.py", "--rows", "1000")
    assert "1,000 rows: views" in out
    assert "; loop " in out


def test_the_share_of_mlflow(tmp_path):
    """A night of one ticker on a real server; the figures name each step, and the requests are few."""
    ran("bench/tracking.py", "--tickers", "1", "--versions", "3", "--json", str(tmp_path / "figures.json"))
    figures = json.loads((tmp_path / "figures.json").read_text())["3"]
    assert set(figures["seconds"]) == {*(step.name for step in FLOW), "report"}
    assert figures["requests"]["POST runs/log-batch"] >= len(FLOW)
    assert figures["requests_per_ticker"] < 120  # 158 before steps logged in batches
    assert figures["requests"].get("POST model-versions/set-tag", 0) <= 2  # a move of the champion


def test_a_simulated_night(tmp_path):
    """A thousand tickers fit in the 6 hours of a run on two slots; fifty thousand do not, and the exit code says so."""
    out = ran("bench/simulate.py", "--tickers", "1000", "--json", str(tmp_path / "figures.json"))
    assert "fits in the 6 hours of a run" in out
    (night,) = json.loads((tmp_path / "figures.json").read_text())
    assert (night["batches"], night["trainings"]) == (2, 1)
    steps = [
        "plan",
        "prepare.ingest",
        "prepare.window",
        "gather",
        "train",
        "serve.evaluate",
        "serve.forecast",
        "report",
    ]
    assert set(steps) <= set(night["steps"])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "bench/simulate.py", "--tickers", "50000"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "DOES NOT FIT" in done.stdout) == (1, True)


def test_commands_and_pages_beside_few_and_many_nights(tmp_path):
    """Each command and each search of a page has its seconds beside both histories."""
    ran("bench/history.py", "--tickers", "1", "--nights", "2", "3", "--json", str(tmp_path / "figures.json"))
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {"closecast status", "closecast runs", "closecast ledger verify", "page of a registered model"} <= set(
        figures
    )
    assert all(len(one) == 2 for one in figures.values())


@pytest.mark.parametrize(
    "script", ["bench", "gpu", "history", "night", "panel", "recipe", "simulate", "tracking", "windows"]
)
def test_each_script_says_how_it_is_called(script):
    """`--help` imports what the script needs."""
    assert "usage:" in ran(f"bench/{script}.py", "--help")
