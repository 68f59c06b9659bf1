"""One run of a DAG through Airflow without servers, with a tiny DAG in place of `retrain`."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.stacks import processes_of

if TYPE_CHECKING:
    from pathlib import Path

DAG = """
import os, pathlib
from airflow.sdk import DAG, task
with DAG("retrain", schedule=None, params={"tickers": []}) as dag:
    @task
    def first():
        pathlib.Path(os.environ["CLOSECAST_VAR"], "first").touch()
    @task
    def second():
        if "DIE" in os.environ:
            os._exit(3)
    first() >> second()
"""
RETRAIN = """
from pipeline.errors import PipelineError
from pipeline.operations.embedded import retrain
from pipeline.settings import load_settings
import pathlib, sys
settings = load_settings().model_copy(update={"home": pathlib.Path(sys.argv[1])})
try:
    print("run", retrain(settings, {}))
except PipelineError as error:
    print("error", error)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with the tiny DAG; both tests share its database."""
    place = tmp_path_factory.mktemp("embedded")
    (place / "dags").mkdir()
    (place / "dags" / "retrain.py").write_text(DAG)
    return place


def run_dag(home: Path, **variables: str) -> str:
    """Run the DAG in a process of its own, and return the last lines that it printed."""
    environment = os.environ | {"CLOSECAST_VAR": str(home / "var")} | variables
    command = [sys.executable, "-c", RETRAIN, str(home)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def states(home: Path, table: str) -> list[str]:
    """Return the states in a table of Airflow's database, in the order of their rows."""
    with sqlite3.connect(home / "var" / "airflow" / "airflow.db") as database:
        return [row[0] for row in database.execute(f"select state from {table} order by rowid")]  # noqa: S608 - a name


def test_a_run_of_the_dag_ends_and_leaves_no_process(home: Path) -> None:
    """It returns the id of the run, and all of its state is below `var`."""
    said = run_dag(home)
    assert "run manual__" in said
    assert (home / "var" / "first").exists()
    assert states(home, "dag_run") == ["success"]
    assert states(home, "task_instance") == ["success", "success"]
    assert processes_of(home) == {}


def test_a_dag_that_dies_is_reported_and_marked_as_ended(home: Path) -> None:
    """Otherwise the scheduler of the next `make up` would continue the run."""
    said = run_dag(home, DIE="1")
    assert "error Airflow must finish its run." in said
    assert "exit code 3" in said
    assert states(home, "dag_run")[-1] == "failed"
    assert not {"running", "queued", "scheduled", None} & set(states(home, "task_instance"))
