"""What a stack was started with, compared with what a start would use now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.operations import started
from tests.support.stacks import settings_for

if TYPE_CHECKING:
    from pathlib import Path


def test_the_record_of_a_start_is_read_again(tmp_path: Path) -> None:
    """Nothing differs from the record of the same settings."""
    settings = settings_for(tmp_path)
    (settings.var_dir / "run").mkdir(parents=True)
    assert started.read(settings) is None  # an earlier version started the stack
    started.write(settings)
    record = started.read(settings)
    assert record == started.present(settings)
    assert started.differences(record, started.present(settings)) == []


def test_a_variable_that_differs_is_named_and_its_value_is_not_kept(tmp_path: Path) -> None:
    """Changed, new, gone; an empty variable counts as not set, and other variables do not matter."""
    settings = settings_for(tmp_path)
    before = {"CLOSECAST_TICKERS": "NFLX", "CLOSECAST_ALERT_URLS": "mailtos://me:s3cret@x.org", "HOME": "/a"}
    now = {"CLOSECAST_TICKERS": "AAPL", "CLOSECAST_START": "", "AWS_PROFILE": "b", "HOME": "/b", "CLOSECAST_VAR": "v"}
    first = started.present(settings, before)
    names = started.differences(first, started.present(settings, now))
    assert names == ["AWS_PROFILE", "CLOSECAST_ALERT_URLS", "CLOSECAST_TICKERS"]
    assert "s3cret" not in first.model_dump_json()


def test_another_port_is_named_also_from_the_file(tmp_path: Path) -> None:
    """The variable that would set it."""
    settings = settings_for(tmp_path)
    other = settings.model_copy(update={"mlflow_port": settings.mlflow_port + 1})
    assert started.differences(started.present(settings, {}), started.present(other, {})) == ["CLOSECAST_MLFLOW_PORT"]


def test_libraries_that_were_installed_meanwhile_are_named(tmp_path: Path) -> None:
    """`make` touches .venv/ready."""
    record = started.present(settings_for(tmp_path), {})
    changed = record.model_copy(update={"libraries": "later"})
    assert started.differences(record, changed) == ["the installed libraries"]
