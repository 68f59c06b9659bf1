"""`make up` is ended while it starts and afterwards: nothing is left running, and the next one is clean."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.operations import processes, stack
from tests.support.running import set_tiny
from tests.support.stacks import eventually, free_port, page, processes_of

pytestmark = pytest.mark.timeout(1800)
CLOSECAST = str(Path(sys.executable).with_name("closecast"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Return settings of a stack in a folder of its own; whatever happens, nothing of it runs on."""
    with pytest.MonkeyPatch.context() as patch:
        ports = {f"{name}_PORT": str(free_port()) for name in ("AIRFLOW", "MLFLOW")}
        given = set_tiny(patch, tmp_path_factory.mktemp("up"), **ports)
        try:
            yield given
        finally:
            stack.down(given, print)


@pytest.mark.parametrize(("number", "program"), [(signal.SIGINT, "mlflow"), (signal.SIGTERM, "airflow-scheduler")])
def test_ended_while_it_starts(settings, number, program):
    """Ctrl-C and SIGTERM: it ends with 130, and so does all that it had started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits "ignored"
    up = subprocess.Popen([CLOSECAST, "up"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    try:
        assert eventually(lambda: bool(processes.members(str(settings.var_dir), program)), 600)
        up.send_signal(number)
        _, said = up.communicate(timeout=120)
    finally:
        up.kill()
    assert up.returncode == 130, said
    assert said.startswith("Stopped.")
    assert processes_of(settings.var_dir) == {}


def test_supervisord_ended_afterwards(settings):
    """It comes up cleanly after both; SIGTERM of supervisord ends every process, and `down` finds none."""
    stack.up(settings, print)
    assert page(settings.mlflow_port, "/health") == b"OK"
    (boss,) = processes.members(str(settings.var_dir), "")
    os.kill(boss.pid, signal.SIGTERM)
    assert eventually(lambda: processes_of(settings.var_dir) == {}, 120), processes_of(settings.var_dir)
    said: list[str] = []
    stack.down(settings, said.append)
    assert said == ["Nothing was running."]
