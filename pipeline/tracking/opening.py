"""The address that opens MLflow on the prepared views, asked for without importing MLflow: that takes 5 s."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from pipeline.tracking.login import USER
from pipeline.tracking.views import experiment_tags, view_page

_SECONDS = 10.0  # time-out of a request


def opening_page(server: str, experiment: str, password: str) -> str:
    """Return the address of the view of the last night; a missing experiment is made, with its views.

    Args:
        server: address of an MLflow server on this machine.
        experiment: its name.
        password: of the server.

    Returns:
        The server's own address where the experiment was deleted, or cannot be asked for.
    """
    try:
        return view_page(server, _found(server, experiment, password))
    except (OSError, ValueError, KeyError):  # urllib's errors are OSErrors
        return server


def _found(server: str, experiment: str, password: str) -> str:
    named = urllib.parse.urlencode({"experiment_name": experiment})
    try:
        found = _answer(server, f"get-by-name?{named}", password)["experiment"]
    except urllib.error.HTTPError as error:
        if error.code != 404:  # noqa: PLR2004 - not found
            raise
        tags = [{"key": name, "value": value} for name, value in experiment_tags().items()]
        return str(_answer(server, "create", password, {"name": experiment, "tags": tags})["experiment_id"])
    if found["lifecycle_stage"] != "active":
        raise ValueError(found["lifecycle_stage"])  # a person deleted it
    return str(found["experiment_id"])


def _answer(server: str, call: str, password: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    login = base64.b64encode(f"{USER}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - an address of this machine
        f"{server}/api/2.0/mlflow/experiments/{call}",
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, never through a proxy
    with opener.open(request, timeout=_SECONDS) as answer:
        return dict(json.loads(answer.read()))
