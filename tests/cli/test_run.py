"""`closecast run`: wrong usage, help, and a whole run without a terminal."""

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


def test_help_says_what_each_fault_is():
    """One line each."""
    lines = TERMINAL.invoke(app, ["run", "--help"]).output.splitlines()
    for fault, what in FAULTS.items():
        assert f"{fault}: {what}" in [line.strip() for line in lines]


def test_a_run_without_a_terminal_prints_plain_lines_and_the_table(tiny):
    """The same steps in one process; the table is the last thing, with the word SYNTHETIC."""
    command = [str(Path(sys.executable).with_name("closecast")), "run", "--tickers", "AAA"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AAA train: epoch 1 of at most 3" in done.stdout
    assert "AAA evaluate:" in done.stdout
    assert "SYNTHETIC" in done.stdout
    assert " USD" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert str(tiny.store_url) in done.stdout
