"""The scripts of the image as plain Python: roles, logins and health, without a container."""

import http.server
import json
import os
import runpy
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

DOCKER = Path(__file__).resolve().parents[2] / "docker"
ENTRYPOINT = runpy.run_path(str(DOCKER / "entrypoint.py"))
HEALTHY = runpy.run_path(str(DOCKER / "healthy.py"))
ROLES = ENTRYPOINT["ROLES"]


def enough(role):
    return dict.fromkeys(ROLES[role][1], "x")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_becomes_its_program(role):
    """What follows it goes to the program."""
    command = ENTRYPOINT["resolve"]([role, "--queues", "gpu"], enough(role))
    assert command == [*ROLES[role][0].split(), "--queues", "gpu"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_starts_with_all_its_secrets_or_not_at_all(role):
    """Each missing or empty variable is named, and so is the command that makes them."""
    for name in ROLES[role][1]:
        with pytest.raises(SystemExit, match=rf"{name}.*make docker-env"):
            ENTRYPOINT["resolve"]([role], enough(role) | {name: ""})


def test_no_secret_is_part_of_a_command():
    """Command lines are for everybody to see."""
    assert not any("{" in command or "PASSWORD" in command for command, _ in ROLES.values())


def test_the_chart_s_commands_run_as_they_stand():
    """`bash -c ...` of its parts and jobs, `airflow ...` of its probes, `python ...` of a task's pod."""
    task = ["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "{}"]
    for words in (["bash", "-c", "exec airflow scheduler"], ["airflow", "db", "check-migrations"], task):
        assert ENTRYPOINT["resolve"](words, {}) == words


def test_no_command_names_the_roles():
    """A container that does nothing would look as if it ran."""
    done = subprocess.run([sys.executable, str(DOCKER / "entrypoint.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "api-server" in done.stderr


def test_a_command_that_does_not_exist_is_told_in_one_line():
    """With the roles, for it was probably meant to be one."""
    command = [sys.executable, str(DOCKER / "entrypoint.py"), "schedular"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("schedular: No such file")
    assert len(done.stderr.splitlines()) == 1


def test_the_login_of_airflow_is_written_for_its_owner(tmp_path):
    """So that Airflow makes up none, which it would print; whatever letters it has."""
    path = tmp_path / "login.json"
    environment = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(path),
        "AIRFLOW_ADMIN_PASSWORD": 'a"b\\ü',
    }
    ENTRYPOINT["write_login"](environment)
    assert json.loads(path.read_text()) == {"admin": 'a"b\\ü'}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_entrypoint_becomes_the_program(tmp_path):
    """It is the same process, so that signals reach it."""
    command = [sys.executable, str(DOCKER / "entrypoint.py"), sys.executable, "-c", "import os; print(os.getpid())"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        said, _ = process.communicate()
        assert int(said) == process.pid


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        states = {"scheduler": "healthy", "dag_processor": "unhealthy", "triggerer": None}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({name: {"status": state} for name, state in states.items()}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def api_server():
    """Give an api-server that knows how the others are."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/execution/"
        server.shutdown()


@pytest.mark.parametrize(("role", "says"), [("scheduler", ""), ("dag-processor", "unhealthy"), ("triggerer", "None")])
def test_a_heartbeat_decides_about_health(api_server, role, says):
    """One line when it is ill, silence and 0 when it is well; no proxy is asked."""
    environment = os.environ | {
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": api_server,
        "http_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, str(DOCKER / "healthy.py"), role]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr.strip()) == ((1, f"{role}: {says}") if says else (0, ""))


@pytest.mark.parametrize("role", ["mlflow", "scheduler", "worker"])
def test_what_does_not_answer_is_ill(monkeypatch, role):
    """A refused connection is an answer in one line, not a traceback, and no password is in it."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://127.0.0.1:9/execution/")
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://:very-secret@127.0.0.1:9/0")
    with pytest.raises(SystemExit) as error:
        HEALTHY["main"](role)
    assert role in str(error.value)
    assert "very-secret" not in str(error.value)


def test_any_other_command_counts_as_well():
    """A shell in the image is not ill."""
    HEALTHY["main"]("")
