"""kill -9 at every boundary of every step, without Airflow: each attempt goes on where the last one died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.driver import STEPS
from tests.support.running import check, set_tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder for the one run that all tests here go on with, and its settings."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("killed")
        yield place, set_tiny(patch, place, TICKERS='["KILLED"]', BATCH_SIZE="1")


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_boundary_of(step, home):
    """Nothing is lost or doubled; the step gets through at the first attempt that nobody kills."""
    place, settings = home
    seen = place / f"{step}.boundaries"
    command = [sys.executable, "-m", "tests.faults.driver", "killed", step, str(seen)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    names = seen.read_text().splitlines()
    print(f"{step}: killed {len(names)} times: {', '.join(names)}")  # noqa: T201 - for the record
    assert len(names) >= (3 if step in {"plan", "report"} else 7)
    if step == "report":
        check(settings, "killed", ["KILLED"])
