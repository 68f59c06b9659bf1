"""`closecast`: its commands, its help, and Airflow's own command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app

TERMINAL = CliRunner()
COMMANDS = (
    "run", "compare", "forecast", "retry", "status", "doctor", "runs", "diff", "champion", "ledger", "leaks", "prune",
    "config", "init", "completion", "store", "reproduce", "replay", "up", "down", "airflow",
)  # fmt: skip


def test_help_names_every_command():
    """`closecast` alone shows the same."""
    for arguments in (["--help"], []):
        text = TERMINAL.invoke(app, arguments).output
        listed = {line.split()[0] for line in text.splitlines() if line.startswith("  ")}
        assert set(COMMANDS) <= listed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(command):
    """`airflow` hands every other word to Airflow, but not --help."""
    answer = TERMINAL.invoke(app, [command, "--help"])
    assert answer.exit_code == 0
    assert answer.output.startswith(f"Usage: closecast {command}") or f" {command} " in answer.output.splitlines()[0]


def test_an_unknown_command_is_wrong_usage():
    """It is named, with exit code 2."""
    answer = TERMINAL.invoke(app, ["retrain"])
    assert (answer.exit_code, "'retrain'" in answer.output) == (2, True)


def test_a_wrong_calendar_stops_the_stack_before_it_starts(tiny, monkeypatch):
    """Airflow would only say that there is no next run."""
    monkeypatch.setenv("CLOSECAST_CALENDAR", "MARS")
    answer = TERMINAL.invoke(app, ["up"])
    assert (answer.exit_code, len(answer.stderr.strip().splitlines())) == (2, 3)
    assert "MARS" in answer.stderr
    assert not (tiny.var_dir / "run" / "supervisord.conf").exists()


@pytest.mark.usefixtures("tiny")
def test_down_without_a_stack_is_no_error():
    """It can be called twice."""
    for _ in range(2):
        answer = TERMINAL.invoke(app, ["down"])
        assert (answer.exit_code, answer.stderr) == (0, "")


def test_help_loads_nothing_heavy():
    """`closecast --help` is for a person who waits for it."""
    heavy = [
        "tensorflow",
        "keras",
        "mlflow",
        "great_expectations",
        "sklearn",
        "yfinance",
        "airflow",
        "pandas",
        "pydantic",
    ]
    code = "import sys, pipeline.cli; print(*[m for m in sys.argv[1:] if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


def test_the_end_of_a_command_looks_for_no_garbage():
    """After a run this took 20 s on a busy machine, between the last line and the prompt."""
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print('frozen', gc.get_freeze_count() > 0))\n"
        "from pipeline.cli import main; sys.argv[1:] = ['--help']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "frozen True"


def test_airflows_own_commands_work_on_this_checkout(tiny):
    """Its settings are ours: the folder of DAGs, the database below var."""
    command = [
        str(Path(sys.executable).with_name("closecast")),
        "airflow",
        "config",
        "get-value",
        "core",
        "dags_folder",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.strip().endswith(str(Path(__file__).parents[2] / "dags"))
    assert (tiny.var_dir / "airflow" / "airflow.db").exists()


def test_what_a_run_ignores_is_named_once_in_one_line(tiny, tmp_path):
    """On stderr, so that --json stays readable."""
    del tiny
    (tmp_path / "keras.json").write_text('{"floatx": "float16"}')
    foreign = {"MLFLOW_REGISTRY_URI": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path)}
    command = [str(Path(sys.executable).with_name("closecast")), "champion", "show", "AAA"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | foreign)
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"Ignored: MLFLOW_REGISTRY_URI, floatx in {tmp_path}/keras.json. ")
    assert len(rest) == 3  # there is no version yet
    assert "no version of AAA" in done.stderr
