"""The health check of the image: checks the started role, and exits with code 1 and one line if it is unhealthy."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from pathlib import Path

ROLE_FILE = Path("/tmp/closecast-role")  # noqa: S108 - written by entrypoint.py
SECONDS = 10
HEALTH = "/api/v2/monitor/health"
# The api-server knows the heartbeats of these roles. Airflow's CLI would take 10 s of a core for each check.
HEARTBEATS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


def main(role: str) -> None:
    """Return if `role` is healthy.

    Raises:
        SystemExit: the role is unhealthy; the message has the reason.
    """
    try:
        if role == "api-server":
            _get(f"http://127.0.0.1:8080{HEALTH}")
        elif role == "mlflow":
            _get("http://127.0.0.1:5000/health")
        elif role in HEARTBEATS:
            url = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].rstrip("/").removesuffix("/execution")
            status = json.loads(_get(url + HEALTH))[HEARTBEATS[role]]["status"]
            if status != "healthy":
                raise SystemExit(f"{role}: {status}")
        elif role == "worker":
            _ping()
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(f"{role}: {error!r}") from None


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the services are reached without a proxy
    with opener.open(url, timeout=SECONDS) as answer:
        return bytes(answer.read())


def _ping() -> None:
    """Ping this host's worker through the broker with Celery alone: its import takes 1 s, Airflow's 10 s."""
    import celery
    from kombu.exceptions import OperationalError

    name = f"celery@{socket.gethostname()}"
    app = celery.Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    try:
        answers = app.control.ping(destination=[name], timeout=SECONDS)
    except OperationalError as error:
        raise SystemExit(f"worker: the broker does not answer: {error}") from None
    if not answers:
        raise SystemExit(f"worker: {name} does not answer")


if __name__ == "__main__":
    if sys.argv[1:]:
        main(sys.argv[1])
    elif ROLE_FILE.exists():
        main(ROLE_FILE.read_text())
