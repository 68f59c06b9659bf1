"""kill -9 at every boundary of every step, without Airflow: each attempt goes on where the last one died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.serving import ledger
from pipeline.tracking.registry import Registry
from tests.faults.driver import STEPS
from tests.support.running import check, set_tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder for the one run that all tests here go on with, and its settings."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("killed")
        yield place, set_tiny(patch, place, TICKERS='["KILLED"]', BATCH_SIZE="1")


def killed_at_each(run, step, seen):
    """Let a step of a run die at each of its boundaries, and return their names."""
    command = [sys.executable, "-m", "tests.faults.driver", run, step, str(seen)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    names = seen.read_text().splitlines()
    print(f"{step}: killed {len(names)} times: {', '.join(names)}")  # noqa: T201 - for the record
    return names


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_boundary_of(step, home):
    """Nothing is lost or doubled; the step gets through at the first attempt that nobody kills."""
    place, settings = home
    seen = place / f"{step}.boundaries"
    names = killed_at_each("killed", step, seen)
    assert len(names) >= (3 if step in {"plan", "report"} else 7)
    if step == "report":
        check(settings, "killed", ["KILLED"])


def test_killed_at_every_boundary_of_a_champion_that_stays(tmp_path, monkeypatch):
    """The next night refuses its challenger: one version of it, one of the champion with new intervals, one row."""
    settings = set_tiny(monkeypatch, tmp_path, TICKERS='["KILLED"]', BATCH_SIZE="1", AS_OF="2025-11-20")
    killed_at_each("first", "report", tmp_path / "first")
    monkeypatch.setenv("CLOSECAST_AS_OF", "2025-11-21")
    monkeypatch.setenv("CLOSECAST_GATE__POLICY", "if_better")
    names = killed_at_each("second", "promote", tmp_path / "promote")
    assert {"promote: write continued.keras", "promote: finalize_logged_model"} <= set(names)
    assert names.count("promote: set alias champion") == 1
    killed_at_each("second", "forecast", tmp_path / "forecast")
    registry = Registry(settings)
    assert [one.number for one in registry.versions("KILLED")] == [1, 2, 3]
    assert (registry.champion("KILLED").number, registry.champion("KILLED").weights_of) == (3, 1)
    assert [(move.before, move.to) for move in registry.history("KILLED")] == [(1, 3), (None, 1)]
    assert ledger.read(settings.ledger_place, "KILLED")["version"].tolist() == [1, 3]
