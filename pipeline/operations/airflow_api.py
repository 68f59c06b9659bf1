"""Airflow's REST API of the stack that is up: the state of a run, and the repetition of its failed tasks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from pipeline.errors import PipelineError, Unavailable, UsageError
from pipeline.operations import started
from pipeline.operations.airflow_home import password_file
from pipeline.operations.processes import find_supervisord, is_ours

if TYPE_CHECKING:
    from pipeline.settings import Settings

_DAG = "retrain"
_SECONDS = 30  # a busy machine answers slowly
_FAILED = "failed"
_ENDED = {"success", "failed"}


class Cleared(NamedTuple):
    """The tasks that Airflow will repeat."""

    failed: int  # tasks that had failed
    repeated: int  # these, and those after them


def clear_failed(settings: Settings, dag_run_id: str) -> Cleared | None:
    """Let Airflow repeat the failed tasks of a run and those after them; None if the stack is down or has no such run.

    Later tasks of the same batch are green or skipped, and would keep the results of the first try.

    Raises:
        UsageError: when the run has not ended.
        Unavailable: when Airflow does not answer, or another program listens on its port: it would get the password.
    """
    if not find_supervisord(settings):
        return None
    record = started.read(settings)
    settings = settings.model_copy(update=record.ports) if record else settings
    if not is_ours(settings, settings.airflow_port):
        raise Unavailable(
            "Airflow must answer.",
            f"no process of the stack listens on port {settings.airflow_port}",
            "Look at its log in var/log, then try again.",
        )
    airflow = _Airflow(settings)
    place = f"dags/{_DAG}/dagRuns/{quote(dag_run_id, safe='')}"
    try:
        state = str(airflow.ask(place)["state"])
    except _NotFoundError:
        return None
    if state not in _ENDED:
        raise UsageError(
            "A run must have ended before its failed tasks are repeated.",
            f"{dag_run_id} is {state}",
            f"Wait for its end: {settings.airflow_page}/dags/{_DAG}/runs/{quote(dag_run_id)}.",
        )
    tasks = _failed_tasks(airflow, place)
    if not tasks:
        return Cleared(0, 0)
    body = {
        "dry_run": False,
        "dag_run_id": dag_run_id,
        "task_ids": tasks,
        "only_failed": False,
        "include_downstream": True,
        "reset_dag_runs": True,
    }
    answer = airflow.ask(f"dags/{_DAG}/clearTaskInstances", body)
    return Cleared(len(tasks), int(answer["total_entries"]))


def _failed_tasks(airflow: _Airflow, place: str) -> list[str | list[str | int]]:
    """Return the failed tasks of a run, mapped ones with their index."""
    found: list[dict[str, Any]] = []
    while True:
        page = airflow.ask(f"{place}/taskInstances?state={_FAILED}&limit=100&offset={len(found)}")
        found += page["task_instances"]
        if not page["task_instances"] or len(found) >= page["total_entries"]:
            break
    return [one["task_id"] if one["map_index"] < 0 else [one["task_id"], one["map_index"]] for one in found]


class _NotFoundError(Exception):
    """Airflow does not know the object."""


class _Airflow:
    """The API behind a login of the stack's own user."""

    def __init__(self, settings: Settings) -> None:
        """Log in.

        Raises:
            Unavailable: when Airflow does not answer.
        """
        self._address = f"http://127.0.0.1:{settings.airflow_port}"
        # Loopback, never through a proxy.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        login = {"username": "admin", "password": json.loads(password_file(settings).read_text())["admin"]}
        self._token = ""
        self._token = str(self._send("/auth/token", login)["access_token"])

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a request; with a body it is a POST.

        Raises:
            _NotFoundError: when Airflow does not know the object.
            Unavailable: when it does not answer.
            PipelineError: when it refuses.
        """
        return self._send(f"/api/v2/{path}", body)

    def _send(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self._address}{path}", data, headers)  # noqa: S310 - http on loopback
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code == 404:  # noqa: PLR2004
                raise _NotFoundError from None
            raise PipelineError(
                "Airflow must accept the request.",
                f"{path.partition('?')[0]}: HTTP {error.code}",
                f"Clear the failed tasks on its page: {self._address}.",
            ) from None
        except (OSError, ValueError) as error:
            raise Unavailable(
                "Airflow must answer.", f"{self._address}: {error}", "Look at its log in var/log, then try again."
            ) from None
