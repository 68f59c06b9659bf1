"""Which heavy libraries each step loads: a task of Celery, Kubernetes or a spawned process imports them again."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "great_expectations", "statsmodels", "sklearn", "matplotlib", "arch")
CODE = """
import json, sys
from pipeline import runner, runs
from pipeline.settings import load_settings
step, batch, heavy = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
made = None
if step == "plan":
    (made,) = runs.plan(load_settings(tickers=("AAA",)), "manual__1")
elif step == "report":
    runs.report("manual__1")
else:
    runner.run(step, batch)
print(json.dumps([made, [name for name in heavy if name in sys.modules]]))
"""
LOADS = {
    "plan": [],
    "ingest": [],
    "validate": ["great_expectations"],
    "split_scale": ["sklearn"],
    "window": [],
    "train": ["tensorflow", "keras", "statsmodels", "sklearn", "matplotlib", "arch"],
    "evaluate": ["statsmodels", "matplotlib", "arch"],
    "promote": [],
    "forecast": [],
    "report": ["matplotlib"],
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Return what each step of a night loads, each in a process of its own."""
    environment = os.environ | {
        "CLOSECAST_VAR": str(tmp_path_factory.mktemp("var")),
        "CLOSECAST_AS_OF": "2025-11-21",
        "CLOSECAST_PRESETS__DAILY__EPOCHS": "1",
    }
    found, batch = {}, None
    for step in LOADS:
        words = [sys.executable, "-W", "ignore", "-c", CODE, step, json.dumps(batch), json.dumps(HEAVY)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (step, done.stderr[-2000:])
        made, found[step] = json.loads(done.stdout.splitlines()[-1])
        batch = batch or made
    return found


def test_each_step_loads_what_it_uses(loaded):
    """Only `train` needs the framework, only `validate` Great Expectations."""
    assert loaded == LOADS
