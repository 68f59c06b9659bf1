"""Puts MLflow's server behind a login with one user and one password; only `/health` is open.

`mlflow server --app-name closecast-login` starts it. Server and clients read the same variables,
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. MLflow's own `basic-auth` app would need Flask-WTF and a database
of users.
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
    """Return MLflow's application behind a login with the user and the password of the environment.

    Raises:
        UsageError: the password is missing or empty.
    """
    user = os.environ.get("MLFLOW_TRACKING_USERNAME", "admin")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if not password:
        raise UsageError(
            "MLflow's server needs a password.",
            "MLFLOW_TRACKING_PASSWORD is empty",
            "Set MLFLOW_TRACKING_PASSWORD. With compose, `make docker-env` generates it.",
        )
    from mlflow.server.fastapi_app import app

    return behind_login(app, user, password)


def behind_login(app: App, user: str, password: str) -> App:
    """Return an application that passes a request on to `app` only with this user and password (HTTP Basic).

    Requests without them get status 401, web sockets are closed. `/health` needs no login.
    """
    expected = b"Basic " + base64.b64encode(f"{user}:{password}".encode())

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] == "/health"):
            await app(scope, receive, send)
            return
        received = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(received, expected):  # the time does not depend on how much is right
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": REFUSAL})
            await send(
                {
                    "type": "http.response.body",
                    "body": b"Log in with the user and the password of this MLflow server.\n",
                }
            )
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # policy violation, RFC 6455

    return authenticated
