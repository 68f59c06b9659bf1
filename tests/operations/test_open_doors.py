"""What another user of this machine reaches while the stack is up: each row of the table in docs/security.md."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.operations import processes
from tests.support.other_user import as_nobody, ask, connect, read

if TYPE_CHECKING:
    from tests.support.stacks import Started

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user"),
]
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
ALIAS = {"name": "closecast-AAA", "alias": "champion", "version": "1"}
REFUSED = [
    ("GET", f"{ASSISTANT}/sessions/x/stream"),
    ("POST", f"{ASSISTANT}/message"),
    ("PUT", f"{ASSISTANT}/config"),
    ("POST", f"{ASSISTANT}/skills/install"),
    ("POST", "/gateway/mlflow/v1/chat/completions"),
    ("POST", "/ajax-api/3.0/mlflow/gateway/secrets/create"),
    ("POST", "/ajax-api/3.0/jobs/"),
    ("POST", "/api/2.0/mlflow/webhooks"),
    ("GET", "/docs"),
]


@pytest.fixture
def mlflow(started: Started) -> str:
    """Return the address of the stack's MLflow."""
    return f"http://127.0.0.1:{started.settings.mlflow_port}"


def test_mlflow_asks_another_user_for_the_password(mlflow: str) -> None:
    """Pages, reading, the alias that decides which model is served, and the upload of a model; only /health is open."""
    assert as_nobody(ask, "GET", f"{mlflow}/health") == "200"
    assert as_nobody(ask, "GET", f"{mlflow}/") == "401"
    assert as_nobody(ask, "POST", f"{mlflow}/api/2.0/mlflow/experiments/search", {"max_results": 1}) == "401"
    assert as_nobody(ask, "POST", f"{mlflow}/api/2.0/mlflow/registered-models/alias", ALIAS) == "401"
    assert as_nobody(ask, "PUT", f"{mlflow}/api/2.0/mlflow-artifacts/artifacts/model.pkl", {}) == "401"
    assert as_nobody(ask, "POST", f"{mlflow}/api/2.0/mlflow/registered-models/alias", ALIAS, "guess") == "401"


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_what_runs_commands_is_served_to_no_user(started: Started, mlflow: str, method: str, path: str) -> None:
    """Without the password HTTP 401, with the password HTTP 404."""
    body = None if method == "GET" else {}
    password = started.settings.mlflow_password_file.read_text()
    assert as_nobody(ask, method, f"{mlflow}{path}", body) == "401"
    assert as_nobody(ask, method, f"{mlflow}{path}", body, password) == "404"


def test_the_password_opens_mlflow(started: Started, mlflow: str) -> None:
    """`make up` prints the password and its file."""
    file = started.settings.mlflow_password_file
    password = file.read_text()
    assert password in started.said
    assert str(file) in started.said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ask("POST", f"{mlflow}/api/2.0/mlflow/experiments/search", {"max_results": 1}, password) == "200"
    # Past the login: the model does not exist.
    assert ask("POST", f"{mlflow}/api/2.0/mlflow/registered-models/alias", ALIAS, password) == "404"


@pytest.mark.parametrize(
    "path", ["/api/v2/dags", "/api/v2/dags/retrain/dagRuns", "/api/v2/connections", "/api/v2/variables"]
)
def test_airflows_interface_asks_for_a_token(started: Started, path: str) -> None:
    """Its health is open."""
    airflow = f"http://127.0.0.1:{started.settings.airflow_port}"
    assert as_nobody(ask, "GET", f"{airflow}/api/v2/monitor/health") == "200"
    assert as_nobody(ask, "GET", f"{airflow}{path}") == "401"


def test_airflow_gives_no_token_for_a_guessed_password(started: Started) -> None:
    """Neither to its users nor to those who pretend to be a task."""
    airflow = f"http://127.0.0.1:{started.settings.airflow_port}"
    assert as_nobody(ask, "POST", f"{airflow}/auth/token", {"username": "admin", "password": "admin"}) == "401"
    task = f"{airflow}/execution/connections/x"
    assert as_nobody(ask, "GET", task) in {"401", "403"}


def test_no_file_of_the_state_is_readable(started: Started) -> None:
    """Passwords, databases, artifacts, prices, logs, locks: each path exists, and opening it is refused."""
    var = started.settings.var_dir
    (var / "store" / "AAA").mkdir(exist_ok=True)
    places = [
        "airflow", "airflow/airflow.cfg", "airflow/airflow.db", "airflow/simple_auth_manager_passwords.json.generated",
        "cache", "log", "log/mlflow.log", "log/airflow-scheduler.log", "mlflow", "mlflow/password", "mlflow/mlflow.db",
        "mlflow/artifacts", "run", "run/lock", "run/supervisord.conf", "store", "store/AAA",
    ]  # fmt: skip
    assert {place: read(var / place) for place in places} == dict.fromkeys(places, "read")
    assert {place: as_nobody(read, var / place) for place in places} == dict.fromkeys(places, "PermissionError")


def test_supervisords_socket_is_closed(started: Started) -> None:
    """It could stop programs and read their logs."""
    socket = started.settings.var_dir / "run" / "supervisor.sock"
    assert as_nobody(connect, socket) == "PermissionError"


def test_no_open_file_in_the_temporary_folder_is_readable(started: Started) -> None:
    """The stack's processes keep no file there that other users may open."""
    home = started.settings.home
    opened = set()
    for process in processes.members(str(started.settings.var_dir)):
        opened |= {Path(file.path) for file in process.open_files()}
    assert {path for path in opened if path.is_relative_to(home)}
    outside = {path for path in opened if path.is_relative_to(tempfile.gettempdir()) and not path.is_relative_to(home)}
    assert {path: as_nobody(read, path) for path in outside} == dict.fromkeys(outside, "PermissionError")
