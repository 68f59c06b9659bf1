"""The stack for real: two servers and five processes on free ports, in a home of their own."""

from __future__ import annotations

import json
import os
import socket
import stat
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.cli.checks import checked
from pipeline.errors import PipelineError
from pipeline.operations import code_watch, processes, stack, supervisor
from pipeline.operations.airflow_home import schema_versions
from tests.support.stacks import eventually, free_port, page, processes_of, settings_for

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from tests.support.stacks import Started

pytestmark = pytest.mark.timeout(1800)  # a minute on an idle laptop; the tests share what `up` started


def pids(settings: Settings, program: str) -> set[int]:
    return {process.pid for process in processes.members(str(settings.var_dir), program)}


@pytest.mark.parametrize("variable", ["airflow_port", "mlflow_port"])
def test_taken_port_is_named(tmp_path: Path, variable: str) -> None:
    """A port that something else uses ends `up` with the port and the variable that changes it."""
    settings = settings_for(tmp_path)
    port = getattr(settings, variable)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(PipelineError, match=f"Port {port} .*") as error:
            stack.up(settings, print)
    assert f"CLOSECAST_{variable.upper()}=" in error.value.todo
    assert error.value.exit_code == 1


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    """Airflow and MLflow cannot share a port."""
    port = free_port()
    with pytest.raises(PipelineError, match=f"Port {port} .*"):
        stack.up(settings_for(tmp_path, airflow_port=port, mlflow_port=port), print)


def test_down_without_up_succeeds(tmp_path: Path) -> None:
    """Stopping nothing is no failure, and is said."""
    said: list[str] = []
    stack.down(settings_for(tmp_path), said.append)
    assert said == ["Nothing was running."]


def test_program_that_keeps_dying_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` names the log of a program that cannot start, and leaves nothing behind; a deep folder is no obstacle."""
    settings = settings_for(tmp_path / ("deep" * 30))
    airflow = settings.var_dir / "airflow"
    airflow.mkdir(parents=True)
    (airflow / "airflow.db").touch()
    (airflow / "migrated-by").write_text(schema_versions())
    for name in supervisor.PROGRAMS:
        monkeypatch.setitem(supervisor.PROGRAMS, name, "json.tool no-such-file")
    with pytest.raises(PipelineError, match="must keep running") as error:
        stack.up(settings, print)
    log = Path(error.value.todo.removeprefix("Read the end of ").removesuffix("."))
    assert "no-such-file" in log.read_text()
    assert processes_of(tmp_path) == {}


def test_both_pages_answer(started: Started) -> None:
    """After `up`, MLflow and every part of Airflow are healthy."""
    health = json.loads(page(started.settings.airflow_port, "/api/v2/monitor/health"))
    assert {part["status"] for part in health.values()} == {"healthy"}
    assert page(started.settings.mlflow_port, "/health") == b"OK"


def test_doctor_finds_the_stack_its_databases_and_its_server(started: Started) -> None:
    """Airflow's and MLflow's schemas, MLflow's version behind its login, and every part that answers."""
    settings = started.settings.model_copy(update={"tracking_uri": started.settings.own_mlflow_server})
    found = {one.name: one for one in checked(settings)}
    assert {found[name].state for name in ("stack", "mlflow", "databases")} == {"ok"}, found
    assert "Airflow and MLflow have the schemas" in found["databases"].observed
    assert "answers with" in found["mlflow"].observed


def test_login_works_and_the_password_is_nowhere_else(started: Started) -> None:
    """The password that `up` tells opens Airflow, is readable by its owner only, and is in no log."""
    file = started.settings.var_dir / "airflow" / "simple_auth_manager_passwords.json.generated"
    password = json.loads(file.read_text())["admin"]
    assert password in started.said
    assert str(file) in started.said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    request = urllib.request.Request(
        f"http://127.0.0.1:{started.settings.airflow_port}/auth/token",
        json.dumps({"username": "admin", "password": password}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        assert json.load(answer)["access_token"]
    logs = [log for log in (started.settings.var_dir / "log").rglob("*") if log.is_file()]
    assert logs
    assert not [log for log in logs if password.encode() in log.read_bytes()]


def test_make_run_is_refused_while_the_stack_is_up(started):
    """It says where to trigger the DAG instead."""
    with pytest.raises(PipelineError, match="make down"), stack.embedded_run(started.settings):
        pass


def test_make_run_and_make_up_keep_out_of_each_others_way(tmp_path):
    """A scheduler would run the tasks of a run under way a second time; a second run would register the DAG again."""
    settings = settings_for(tmp_path)
    with stack.embedded_run(settings):
        with pytest.raises(PipelineError, match="make run"):
            stack.up(settings, print)
        with pytest.raises(PipelineError, match="Only one `make run`"), stack.embedded_run(settings):
            pass
    with stack.embedded_run(settings):
        pass
    assert processes_of(tmp_path) == {}


def test_second_up_changes_nothing(started: Started) -> None:
    """`up` on a running stack says so, tells the addresses again and starts nothing."""
    said: list[str] = []
    before = pids(started.settings, "")
    stack.up(started.settings, said.append)
    assert "Already up." in said
    assert f"http://127.0.0.1:{started.settings.airflow_port}" in "\n".join(said)
    assert pids(started.settings, "") == before


def test_second_up_with_other_settings_says_what_is_not_in_force(started, monkeypatch):
    """It waits for the running servers, not for those of the other ports, and shows the running addresses."""
    monkeypatch.setenv("CLOSECAST_TICKERS", "NFLX")
    said: list[str] = []
    stack.up(started.settings.model_copy(update={"airflow_port": free_port()}), said.append)
    assert said[0] == "Already up. Not in force since its start: CLOSECAST_AIRFLOW_PORT, CLOSECAST_TICKERS."
    assert "`make down`, then `make up`" in said[1]
    assert f"http://127.0.0.1:{started.settings.airflow_port}" in "\n".join(said)


@pytest.mark.parametrize("program", ["airflow-scheduler", "mlflow"])
def test_killed_program_comes_back_without_its_orphans(started: Started, program: str) -> None:
    """After kill -9 of a program, a new one takes over and no worker of the old one lives on."""
    before = pids(started.settings, program)
    assert len(before) > 1  # with children, which kill -9 of the parent alone leaves behind
    os.kill(min(before), 9)
    assert eventually(lambda: bool(pids(started.settings, program)) and not pids(started.settings, program) & before)


def test_changed_code_restarts_every_program(started: Started) -> None:
    """The tasks are forks of the scheduler, which has imported the old modules. supervisord itself goes on."""
    settings = started.settings
    boss = pids(settings, "")
    before = {program: pids(settings, program) for program in ("airflow-scheduler", "airflow-dag-processor", "mlflow")}
    (settings.home / "dags" / "new.py").write_text('"""Arrived by a pull."""\n')
    for program, old in before.items():
        assert eventually(lambda program=program, old=old: not pids(settings, program) & old, 300)
    assert eventually(lambda: not code_watch.has_changed(settings), 300)
    said: list[str] = []
    stack.up(settings, said.append)  # waits until every part answers
    assert said[0] == "Already up."
    assert "code has changed" not in "\n".join(said)
    assert pids(settings, "") == boss


def test_down_leaves_no_process_even_without_supervisord(started: Started) -> None:
    """Also when supervisord was killed, `down` ends all, keeps the state, and `up` works again."""
    settings = started.settings
    os.kill(pids(settings, "").pop(), 9)
    assert processes_of(settings.home)
    stack.down(settings, print)
    assert processes_of(settings.home) == {}
    assert (settings.var_dir / "airflow" / "airflow.db").exists()
    assert (settings.var_dir / "mlflow" / "mlflow.db").exists()

    said: list[str] = []
    stack.up(settings, said.append)
    password = json.loads((settings.var_dir / "airflow" / "simple_auth_manager_passwords.json.generated").read_text())
    assert password["admin"] in started.said
    stack.down(settings, said.append)
    assert said[-1] == "Stopped."
    assert processes_of(settings.home) == {}
