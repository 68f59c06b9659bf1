"""`closecast doctor`: its lines, its verdict, its exit code and its speed."""

import json
import socket
import subprocess
import sys

import pytest

from pipeline.cli.checks import Check
from pipeline.cli.doctor import line, verdict
from tests.support.commands import say
from tests.support.fleets import measured

HEAVY = """
import sys
from pipeline.cli import app
app(["doctor"], standalone_mode=False)
print([name for name in ("mlflow", "airflow", "tensorflow", "keras", "great_expectations") if name in sys.modules])
"""
OK = Check(name="python", state="ok", observed="3.11.7")
SKIPPED = Check(name="databases", state="skipped", observed="not made yet")
WARNING = Check(name="alerts", state="warning", observed="no channel", todo="Set one.")
FAILED = Check(name="store", state="failed", observed="../x is a file.", todo="Correct it.")


@pytest.fixture(autouse=True)
def _free_ports(monkeypatch):
    """Let no stack of this machine hold the ports."""
    for variable in ("CLOSECAST_AIRFLOW_PORT", "CLOSECAST_MLFLOW_PORT"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            monkeypatch.setenv(variable, str(probe.getsockname()[1]))


def test_a_check_is_one_line_and_the_verdict_closes():
    """State, name, observed, what to do."""
    assert line(OK) == "ok       python     3.11.7."
    assert line(FAILED) == "failed   store      ../x is a file. To do: Correct it."
    assert verdict([OK, SKIPPED]) == "A night can run: 1 checks passed, 1 skipped."
    assert verdict([OK, WARNING]) == "A night can run. 1 warning(s): alerts."
    assert verdict([OK, WARNING, FAILED]) == "1 of 3 checks failed: store. Mend them from the top."


@pytest.mark.usefixtures("tiny")
def test_a_failed_check_is_exit_code_1(monkeypatch):
    """As lines and as JSON; a warning alone is exit code 0."""
    code, text = say("doctor")
    assert (code, text.splitlines()[-1]) == (0, "A night can run. 1 warning(s): alerts.")
    monkeypatch.setenv("CLOSECAST_PRESET", "unknown")
    code, text = say("doctor")
    assert code == 1
    assert len(text.splitlines()) == 13
    assert text.splitlines()[-1].startswith("1 of 12 checks failed: settings.")
    code, text = say("doctor", "--json")
    found = json.loads(text)
    assert code == 1
    assert found["verdict"].startswith("1 of 12 checks failed")
    assert {one["name"]: one["state"] for one in found["checks"]}["settings"] == "failed"


@pytest.mark.usefixtures("tiny")
def test_it_takes_less_than_5_seconds():
    """In seconds of processor: other programs of the machine do not count. It imports no heavy library."""
    words = ("-m", "pipeline", "doctor")
    measured(*words, variables={"PYTHONDONTWRITEBYTECODE": ""})  # compiles what it imports
    assert measured(*words, variables={"PYTHONDONTWRITEBYTECODE": ""}).processor < 5
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr[-500:]
