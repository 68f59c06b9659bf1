"""Configuration of PostgreSQL and Redis; `make test-cluster` starts them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import PipelineError
from pipeline.operations import servers, stack
from tests.support.stacks import settings_for

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_server_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has three lines: the rule, the missing program, the command that installs it."""
    monkeypatch.setattr(servers, "DEBIAN", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = settings_for(tmp_path).model_copy(update={"cluster": True})
    with pytest.raises(PipelineError, match="no program postgres") as error:
        stack.up(settings, print)
    assert "apt-get install postgresql redis-server" in error.value.todo
    assert len(str(error.value).splitlines()) == 3
    assert not (settings.var_dir / "postgres").exists()


def test_urls_and_variables_hold_no_password(tmp_path: Path) -> None:
    """Clients find it in files that the variables name."""
    settings = settings_for(tmp_path).model_copy(update={"cluster": True})
    url = servers.database_url(settings, "mlflow")
    assert url == f"postgresql+psycopg2://closecast@127.0.0.1:{settings.postgres_port}/mlflow"
    assert servers.environment(settings)["PGPASSFILE"] == str(settings.var_dir / "postgres.pass")


def test_the_newest_postgresql_of_debian_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number: 15 is newer than 9.6."""
    for version in ("9.6", "15"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        (folder / "postgres").touch()
    monkeypatch.setattr(servers, "DEBIAN", str(tmp_path))
    assert servers._program_path("postgres") == str(tmp_path / "15" / "bin" / "postgres")


def test_only_root_changes_the_account() -> None:
    """An ordinary user stays as it is; root becomes an account that is not root."""
    pid = os.fork()
    if pid == 0:
        before = os.geteuid()
        try:
            servers.drop_root()
        except KeyError:  # this machine has no account for PostgreSQL
            os._exit(0)
        os._exit(int(os.geteuid() == 0 or (before != 0 and os.geteuid() != before)))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
