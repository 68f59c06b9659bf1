"""The login before MLflow's server, before an application that accepts every request."""

import asyncio
import base64

import pytest

from pipeline.errors import UsageError
from pipeline.tracking.login import behind_login, create_app


async def _inside(scope, receive, send):
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(given=None, path="/", kind="http"):
    """Return what comes out for one request: a status or the type of the first message."""
    headers = [] if given is None else [(b"authorization", given)]
    said = []

    async def receive():
        return {"type": f"{kind}.connect"}

    async def send(message):
        said.append(message)

    app = behind_login(_inside, "admin", "pass:wörd")
    asyncio.run(app({"type": kind, "path": path, "headers": headers}, receive, send))
    return said[0].get("status", said[0]["type"])


def basic(text):
    return b"Basic " + base64.b64encode(text.encode())


def test_the_right_password_is_accepted():
    """The password may hold a colon and letters beyond ASCII."""
    assert ask(basic("admin:pass:wörd")) == 200


@pytest.mark.parametrize(
    "given", [None, b"", b"Basic", basic("admin:"), basic("admin:pass"), basic("root:pass:wörd"), b"Bearer x", b"\xff"]
)
@pytest.mark.parametrize("path", ["/", "/api/2.0/mlflow/runs/create", "/health/../api", "//health", "/healthz"])
def test_any_other_login_is_refused(given, path):
    """Whatever the path looks like; only the exact health check is open."""
    assert ask(given, path) == 401


def test_the_health_check_is_open():
    """Its answer holds no data, and the health check of a container has no password."""
    assert ask(None, "/health") == 200


def test_a_websocket_needs_the_login_too():
    """No second way in."""
    assert ask(None, kind="websocket") == "websocket.close"


def test_no_password_no_server(monkeypatch):
    """There is no default."""
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
    with pytest.raises(UsageError, match="needs a password"):
        create_app()
