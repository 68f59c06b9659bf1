"""`closecast compare`: its exit codes and its table. The ladder itself: tests/test_ladder.py."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.tracking.registry import Registry

TERMINAL = CliRunner()


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Undo what `--prices` sets: Airflow's tasks read the variable, and so would the next test."""
    monkeypatch.setenv("CLOSECAST_PRICES", "")
    monkeypatch.delenv("CLOSECAST_PRICES")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "bloomberg"], "'bloomberg'"),
        (["--tickers", "../../etc/x"], "'../../ETC/X'"),
        (["--source", "files", "--prices", "/no/such.csv"], "/no/such.csv"),
        (["--start", "2025-11-21", "--as-of", "2025-11-20"], "START=2025-11-21"),
        (["--as-of", "soon"], "'soon'"),
    ],
)
def test_wrong_usage_is_three_lines_and_exit_code_2(tiny, arguments, words):
    """Nothing is trained, and nothing is in the store."""
    answer = TERMINAL.invoke(app, ["compare", *arguments])
    assert answer.exit_code == 2
    assert words in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 3
    assert not Path(tiny.store_url).exists() or not list(Path(tiny.store_url).iterdir())


def test_a_ticker_without_prices_fails_the_command_and_has_its_reason_in_the_table(tiny, tmp_path, capfd):
    """And registers no version."""
    (tmp_path / "AAA.csv").write_text("Date,Price\n2025-11-21,1\n")
    answer = TERMINAL.invoke(app, ["compare", "--tickers", "AAA", "--source", "files", "--prices", str(tmp_path)])
    assert answer.exit_code == 1
    shown = " ".join(capfd.readouterr().out.split())
    for words in ("SimpleRNN", "GRU", "LSTM", "'Date', 'Price'"):
        assert words in shown
    assert Registry(tiny).versions("AAA") == []


@pytest.mark.usefixtures("tiny")
def test_json_is_all_that_stdout_has(tmp_path, capfd):
    """One object per forecaster; the exit code is the same."""
    (tmp_path / "AAA.csv").write_text("Date,Price\n2025-11-21,1\n")
    words = ["compare", "--tickers", "AAA", "--source", "files", "--prices", str(tmp_path), "--json"]
    assert TERMINAL.invoke(app, words).exit_code == 1
    rungs = json.loads(capfd.readouterr().out)
    assert {"SimpleRNN", "GRU", "LSTM"} <= {one["name"] for one in rungs}
