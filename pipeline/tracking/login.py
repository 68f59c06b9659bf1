"""Puts MLflow's server behind a login with one user and one password, and serves only the routes of `routes.py`.

`mlflow server --app-name closecast-login` starts it. The password comes from the file that
CLOSECAST_MLFLOW_PASSWORD_FILE names, or from MLFLOW_TRACKING_PASSWORD. Only `/health` needs no login. MLflow's own
`basic-auth` app would need Flask-WTF and a database of users, and would still serve the assistant.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.tracking import routes

# The types of ASGI: https://asgi.readthedocs.io/en/latest/specs/main.html
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

USER = "admin"
HIDDEN_ASSISTANT = b"<style>[data-assistant-ui] { display: none !important }</style>"
REFUSAL = [(b"content-type", b"text/plain"), (b"www-authenticate", b'Basic realm="MLflow", charset="UTF-8"')]


def create_app() -> App:
    """Return MLflow's application behind a login with the user and the password of the environment.

    Raises:
        UsageError: the password is missing or empty.
    """
    file = os.environ.get("CLOSECAST_MLFLOW_PASSWORD_FILE")
    if file:  # `make up`: a login of the user's shell belongs to another server
        user = USER
        password = Path(file).read_text().strip()
    else:
        user = os.environ.get("MLFLOW_TRACKING_USERNAME", USER)
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if not password:
        raise UsageError(
            "MLflow's server needs a password.",
            "neither MLFLOW_TRACKING_PASSWORD nor CLOSECAST_MLFLOW_PASSWORD_FILE has one",
            "Set MLFLOW_TRACKING_PASSWORD. With compose, `make docker-env` generates it.",
        )
    from mlflow.server.fastapi_app import app

    return behind_login(judged(app), user, password)


def judged(app: App) -> App:
    """Return an application that passes on requests for served routes only, and answers all others itself."""

    async def only_served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            await app(scope, receive, _hiding_assistant(send))
        elif scope["type"] == "lifespan" or (scope["type"] == "http" and routes.is_served(scope["path"])):
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await _answer_refused(scope, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # policy violation, RFC 6455

    return only_served


def _hiding_assistant(send: Send) -> Send:
    """Return a `send` that adds a style to the page, because its assistant would open by itself without a server."""
    start: MutableMapping[str, Any] = {}
    body = bytearray()

    async def send_with_style(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        page = bytes(body).replace(b"</head>", HIDDEN_ASSISTANT + b"</head>", 1)
        kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        if page:  # the answers 304 and to HEAD have no body
            start["headers"] = [*kept, (b"content-length", str(len(page)).encode())]
        await send(start)
        await send({"type": "http.response.body", "body": page})

    return send_with_style


async def _answer_refused(scope: Scope, send: Send) -> None:
    """Answer a question of the pages with an empty list, and everything else with 404."""
    empty = routes.EMPTY_ANSWERS.get(scope["path"].partition("/mlflow/")[2]) if scope["method"] == "GET" else None
    status = 404 if empty is None else 200
    body = empty or b"Closecast does not serve this route of MLflow: pipeline/tracking/routes.py says why.\n"
    kind = b"text/plain" if empty is None else b"application/json"
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


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
