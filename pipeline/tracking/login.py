"""MLflow's server behind a login: one user and password for its pages and its clients, `/health` for everybody.

MLflow's own `basic-auth` app needs Flask-WTF and keeps users in a database; one shared password needs neither. It is
found by `mlflow server --app-name closecast-login`; clients use MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD,
the variables that the server reads too.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pipeline.errors import UsageError

# The types of ASGI: https://asgi.readthedocs.io/en/latest/specs/main.html
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSAL = [(b"content-type", b"text/plain"), (b"www-authenticate", b'Basic realm="MLflow", charset="UTF-8"')]


def create_app() -> App:
    """Return MLflow's application behind the login that the environment names.

    Raises:
        UsageError: no password, or an empty one.
    """
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME", "admin"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if not password:
        raise UsageError(
            "MLflow's pages need a password.",
            "MLFLOW_TRACKING_PASSWORD is empty",
            "Set it; with compose, `make docker-env` does.",
        )
    from mlflow.server.fastapi_app import app

    return behind_login(app, user, password)


def behind_login(app: App, user: str, password: str) -> App:
    """Return `app`, answering only who knows `user` and `password` (HTTP Basic)."""
    expected = b"Basic " + base64.b64encode(f"{user}:{password}".encode())

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] == "/health"):
            await app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, expected):  # takes as long for a near miss as for a wild guess
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": REFUSAL})
            await send({"type": "http.response.body", "body": b"Who are you? Log in.\n"})
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # policy violation

    return guarded
