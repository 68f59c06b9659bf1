"""`closecast store`: its output, and the check that no run uses the store."""

import pytest
from typer.testing import CliRunner

from pipeline import runs
from pipeline.cli import app
from pipeline.store.runs import run_folder


def test_an_empty_store_is_converted_at_once(tiny):
    """The verdict is one line."""
    done = CliRunner().invoke(app, ["store", "convert"])
    assert (done.exit_code, done.stdout) == (0, "0 snapshot(s) converted: 0 bytes of raw.parquet became 0.\n")
    assert tiny.store_url


@pytest.mark.parametrize("finished", [False, True])
def test_nothing_is_converted_beside_a_run(tiny, finished):
    """A run without results is named, with exit code 2; afterwards the command works."""
    (batch, *_) = runs.plan(tiny, "manual__now")
    if finished:
        run_folder(tiny.store_url, batch["run"]).write("results.json", b"[]")
    done = CliRunner().invoke(app, ["store", "convert"])
    assert done.exit_code == (0 if finished else 2)
    assert ("no results yet of manual__now" in done.stderr) == (not finished)
