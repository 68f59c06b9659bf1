"""`closecast retry`: a failed ticker is repeated after its file was mended; the other one is left alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.plan import folder_name
from pipeline.settings import load_settings
from pipeline.store.runs import run_folder
from tests.support.commands import say
from tests.support.nights import folder_of_run, sample_prices


@pytest.mark.usefixtures("tiny")
def test_wrong_usage_is_three_lines():
    """No run at all, a run that the store does not have, a name that leads elsewhere."""
    for words in (("retry",), ("retry", "manual__9"), ("retry", "../../etc")):
        code, text = say(*words)
        assert (code, len(text.strip().splitlines())) == (2, 3)


@pytest.fixture
def mended(finished):
    """Give BAD prices, in the folder that the plan names; other tests get its broken file back."""
    file = finished.settings.var_dir.parent / "prices" / "BAD.csv"
    broken = file.read_bytes()
    sample_prices("BAD").to_csv(file)
    yield finished
    file.write_bytes(broken)


def test_only_the_failed_ticker_is_repeated(mended, tmp_path, monkeypatch):
    """All of its steps; the files of the other keep their bytes; the second retry has nothing to do."""
    shutil.copytree(mended.settings.var_dir, tmp_path / "var")
    monkeypatch.setenv("CLOSECAST_VAR", str(tmp_path / "var"))
    settings = load_settings()
    run = folder_name(mended.batch["run"])
    good = folder_of_run(settings, run, "GOOD")
    before = {name: good.read(name) for name in good.names()}
    done = retried("manual__1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Repeated: BAD." in done.stdout
    assert "GOOD ingest" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("2 ticker(s): 2 done, 0 failed; ")
    assert {name: good.read(name) for name in good.names()} == before
    written = json.loads(run_folder(settings.store_url, run).read("results.json"))
    assert (written["counts"]["done"], written["failures"]) == (2, [])
    again = retried("manual__1", "--json")
    assert json.loads(again.stdout) == written
    assert again.returncode == 0


def retried(*words):
    """Run the command without a terminal."""
    command = [str(Path(sys.executable).with_name("closecast")), "retry", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
