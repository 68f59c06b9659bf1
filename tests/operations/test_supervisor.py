"""supervisord's configuration, and its start with tiny programs."""

from __future__ import annotations

import configparser
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import PipelineError
from pipeline.operations import processes, servers, supervisor
from tests.support.stacks import eventually, processes_of, settings_for

if TYPE_CHECKING:
    from pathlib import Path


def parsed(text: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(text)
    return config


def test_local_executor_has_a_guard_and_no_databases(tmp_path: Path) -> None:
    """The configuration has one section per program and one group."""
    settings = settings_for(tmp_path)
    config = parsed(supervisor.configuration(settings))
    programs = {name.removeprefix("program:") for name in config.sections() if name.startswith("program:")}
    assert programs == {*supervisor.PROGRAMS, "guard", "code-watch"}
    assert set(config["group:closecast"]["programs"].split(",")) == programs
    assert not config.has_section("group:servers")
    assert f"--port {settings.mlflow_port} " in config["program:mlflow"]["command"]


def test_databases_of_the_cluster_end_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Supervisord ends the group of the highest priority first; PostgreSQL gets SIGINT."""
    monkeypatch.setattr(servers, "commands", lambda: {"postgres": "/bin/postgres", "redis": "/bin/redis"})
    settings = settings_for(tmp_path).model_copy(update={"cluster": True})
    config = parsed(supervisor.configuration(settings))
    assert config["group:servers"]["programs"] == "postgres,redis"
    assert int(config["group:servers"]["priority"]) < int(config["group:closecast"]["priority"])
    assert config["program:postgres"]["stopsignal"] == "INT"
    assert config["program:redis"]["stopsignal"] == "TERM"
    assert config.has_section("program:guard")  # it replaces a scheduler that hangs
    assert "--queues gpu --concurrency 1" in config["program:airflow-worker-gpu"]["command"]


def test_started_programs_run_and_stop_ends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real supervisord with one program, in a folder whose name configuration files would misread."""
    settings = settings_for(tmp_path / "100% #1 ;home")
    for folder in ("run", "log"):
        (settings.var_dir / folder).mkdir(parents=True)
    monkeypatch.setattr(supervisor, "programs", lambda _: {"sleeper": "timeit -n 1 -r 1 'import time; time.sleep(60)'"})
    try:
        assert supervisor.start(settings) == 0
        assert processes.find_supervisord(settings) is not None
        assert eventually(lambda: len(processes.members(str(settings.var_dir), "sleeper")) == 1, 30)
    finally:
        assert processes.stop(settings)
    assert processes.find_supervisord(settings) is None
    assert processes_of(tmp_path) == {}


def test_a_supervisord_that_cannot_start_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own message and the path of the log."""
    settings = settings_for(tmp_path)
    (settings.var_dir / "run").mkdir(parents=True)
    monkeypatch.setattr(supervisor, "configuration", lambda _: "[supervisord]\nlogfile_maxbytes=much\n")
    with pytest.raises(PipelineError, match="supervisord must start") as error:
        supervisor.start(settings)
    assert "supervisord.log" in error.value.todo
    assert processes_of(tmp_path) == {}
