"""The early checks of a run: before anything heavy is imported or started."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.cli.preflight import check
from pipeline.errors import UsageError

TERMINAL = CliRunner()


def test_the_checked_plan_is_that_of_a_run(tiny):
    """With the fields of the preset that are changed for this run; nothing is left in the store."""
    plan = check(tiny, {"epochs": 7})
    assert (plan.preset.epochs, plan.preset.lookback, plan.tickers) == (7, 5, tiny.tickers)
    assert str(plan.as_of) == "2025-11-21"
    assert not list(Path(tiny.store_url).iterdir())
    assert not list((tiny.var_dir / "mlflow").iterdir())


def test_a_field_that_no_preset_has_is_refused(tiny):
    """Before the plan is written."""
    with pytest.raises(UsageError, match="epochz"):
        check(tiny, {"epochz": 7})


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
