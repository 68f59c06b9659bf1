"""What a person at a terminal gets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.settings.fault import FAULTS

TERMINAL = CliRunner()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--preset", "weekly"], 2, "'weekly'"),
        (["--source", "bloomberg"], 2, "'bloomberg'"),
        (["--tickers", "../../etc/x"], 2, "'../../ETC/X'"),
        (["--tickers", "NFLX\nAAPL"], 2, r"'NFLX\nAAPL'"),
        (["--source", "files", "--prices", "/no/such.csv"], 2, "/no/such.csv"),
        (["--start", "2025-11-21", "--as-of", "2025-11-20"], 2, "START=2025-11-21"),
        (["--as-of", "2025-11-27"], 2, "AS_OF=2025-11-26"),
        (["--as-of", "2099-01-02"], 2, "2099-01-02"),
        (["--as-of", "soon"], 2, "'soon'"),
        (["--set", "epochs"], 2, "'epochs'"),
        (["--set", "epochs=0"], 2, "epochs"),
    ],
)
@pytest.mark.parametrize("command", [["run"], ["run", "--airflow"]], ids=" ".join)
def test_wrong_usage_is_three_lines_and_exit_code_2(tiny, command, arguments, code, words):
    """Rule, what was received, what to do; no traceback; nothing in the store."""
    answer = TERMINAL.invoke(app, [*command, *arguments])
    assert answer.exit_code == code
    assert words in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 3
    assert not Path(tiny.store_url).exists() or not list(Path(tiny.store_url).iterdir())


def test_a_store_that_cannot_be_written_fails_the_run(tiny, tmp_path, monkeypatch):
    """Exit code 1, the path, and the traceback in a log."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLOSECAST_STORE", str(tmp_path / "file"))
    answer = TERMINAL.invoke(app, ["run"])
    assert answer.exit_code == 1
    assert str(tmp_path / "file") in answer.stderr
    (log,) = (tiny.var_dir / "log").iterdir()
    assert "Traceback" in log.read_text()
    assert "Traceback" not in answer.output


def test_an_mlflow_server_that_does_not_answer_fails_the_run(tiny, monkeypatch):
    """Exit code 1 within seconds, before anything is started."""
    monkeypatch.setenv("CLOSECAST_TRACKING_URI", "http://127.0.0.1:9")
    answer = TERMINAL.invoke(app, ["run"])
    assert answer.exit_code == 1
    assert "127.0.0.1:9" in answer.stderr
    assert not list(Path(tiny.store_url).iterdir())


def test_a_ledger_that_cannot_be_written_is_said_before_training(tiny, monkeypatch):
    """Its step is the last one: hours of training would come first."""
    monkeypatch.setenv("CLOSECAST_LEDGER", "postgres://closecast@db/closecast")
    answer = TERMINAL.invoke(app, ["run"])
    assert (answer.exit_code, len(answer.stderr.strip().splitlines())) == (2, 3)
    assert "CLOSECAST_LEDGER" in answer.stderr
    assert not list(Path(tiny.store_url).iterdir())


def test_help_says_what_each_fault_is():
    """One line each."""
    lines = TERMINAL.invoke(app, ["run", "--help"]).output.splitlines()
    for fault, what in FAULTS.items():
        assert f"{fault}: {what}" in [line.strip() for line in lines]


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


def test_a_run_without_a_terminal_prints_plain_lines_and_the_table(tiny):
    """The same steps in one process; the table is the last thing, with the word SYNTHETIC."""
    command = [str(Path(sys.executable).with_name("closecast")), "run", "--tickers", "AAA"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AAA train: epoch 1 of at most 3" in done.stdout
    assert "AAA evaluate:" in done.stdout
    assert "SYNTHETIC" in done.stdout
    assert "naive $" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert str(tiny.store_url) in done.stdout


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
