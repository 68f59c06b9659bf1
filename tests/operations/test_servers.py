"""PostgreSQL and Redis of the cluster, without starting them: that is what `make test-cluster` does."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from pipeline.errors import PipelineError
from pipeline.operations import servers, stack
from pipeline.operations.airflow_home import airflow_environment
from pipeline.operations.lifeline import die_with_parent
from tests.support.stacks import eventually, processes_of, settings_for

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_server_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three lines: what is needed, what is not there, what to type."""
    monkeypatch.setattr(servers, "DEBIAN", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = settings_for(tmp_path).model_copy(update={"cluster": True})
    with pytest.raises(PipelineError, match="no postgres") as error:
        stack.up(settings, print)
    assert "apt-get install postgresql redis-server" in error.value.todo
    assert len(str(error.value).splitlines()) == 3
    assert not (settings.var_dir / "postgres").exists()


def test_environment_of_the_cluster_holds_addresses_and_no_password(tmp_path: Path) -> None:
    """URLs have a user and a port; where the passwords are is told by file."""
    settings = settings_for(tmp_path).model_copy(update={"cluster": True})
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    url = f"postgresql+psycopg2://closecast@127.0.0.1:{settings.postgres_port}/airflow"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == url
    assert environment["AIRFLOW__CELERY__BROKER_URL_CMD"].startswith("cat ")
    assert "AIRFLOW__CELERY__BROKER_URL" not in environment
    assert settings.mlflow_uri == f"http://127.0.0.1:{settings.mlflow_port}"
    assert "sqlite" not in " ".join(environment.values())


def test_secret_is_written_once_and_for_its_owner(tmp_path: Path) -> None:
    """A second call keeps it, unless told to write it anew."""
    place = tmp_path / "secret"
    servers.write_secret(place, "one")
    servers.write_secret(place, "two")
    assert place.read_text() == "one"
    servers.write_secret(place, "three", anew=True)
    assert place.read_text() == "three"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_orphan_dies_with_its_parent(tmp_path: Path) -> None:
    """Also when the parent gets no chance to end it."""
    child = "from pipeline.lifeline import die_with_parent; die_with_parent(); import time; print(1, flush=True)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {f'{child}; time.sleep(60)'!r}])"
    words = [sys.executable, "-c", parent, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        (orphan,) = psutil.Process(process.pid).children()
        process.kill()
        assert eventually(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, 10)
    assert processes_of(tmp_path) == {}


def test_who_has_no_parent_to_lose_lives_on() -> None:
    """The call itself ends nothing."""
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
