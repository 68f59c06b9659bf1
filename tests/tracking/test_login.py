"""The login before MLflow's server, before an application that accepts every request."""

import asyncio
import base64

import pytest

from pipeline.errors import UsageError
from pipeline.tracking.login import HIDDEN_ASSISTANT, behind_login, create_app, judged


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


def answers(path, method="GET", inside=_inside):
    """Return the messages that come out behind the login for one request."""
    said = []

    async def send(message):
        said.append(message)

    asyncio.run(judged(inside)({"type": "http", "path": path, "method": method, "headers": []}, None, send))
    return said


def status_and_text(path, method="GET"):
    """Return status and body of the answer."""
    start, body = answers(path, method)
    return start["status"], body["body"]


@pytest.mark.parametrize(
    "path", ["/ajax-api/3.0/mlflow/assistant/message", "/gateway/x", "/ajax-api/3.0/jobs/", "/new/route"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_route_that_is_not_served_is_refused_after_the_login(path, method):
    """It does not reach MLflow."""
    status, text = status_and_text(path, method)
    assert status == 404
    assert text.startswith(b"Closecast does not serve this route")


def test_questions_of_the_pages_get_an_empty_answer():
    """Only when they are asked: the same path with another method is refused."""
    assert status_and_text("/ajax-api/3.0/mlflow/assistant/providers") == (200, b'{"providers": []}')
    assert status_and_text("/ajax-api/3.0/mlflow/assistant/config", "PUT")[0] == 404


def test_served_routes_reach_mlflow():
    """With their answer unchanged."""
    assert status_and_text("/ajax-api/2.0/mlflow/runs/search", "POST") == (200, b"inside")


def test_websockets_are_closed_after_the_login():
    """MLflow's pages use none."""
    said = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        said.append(message["type"])

    asyncio.run(judged(_inside)({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert said == ["websocket.close"]


def test_the_page_hides_the_assistant():
    """The style is added to a page that comes in parts, and the length follows."""

    async def page(scope, receive, send):
        del scope, receive
        headers = [(b"Content-Length", b"26"), (b"etag", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<head></he", "more_body": True})
        await send({"type": "http.response.body", "body": b"ad><body></body>"})

    start, body = answers("/", inside=page)
    assert body["body"] == b"<head>" + HIDDEN_ASSISTANT + b"</head><body></body>"
    assert start["headers"] == [(b"etag", b"1"), (b"content-length", str(len(body["body"])).encode())]


def test_an_unchanged_page_stays_without_a_body():
    """HTTP 304 has none."""

    async def unchanged(scope, receive, send):
        del scope, receive
        await send({"type": "http.response.start", "status": 304, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    start, body = answers("/", inside=unchanged)
    assert start == {"type": "http.response.start", "status": 304, "headers": []}
    assert body["body"] == b""


def test_an_empty_password_file_starts_no_server(monkeypatch, tmp_path):
    """The file of `make up` counts, not a password of the shell for another server."""
    (tmp_path / "password").write_text("\n")
    monkeypatch.setenv("CLOSECAST_MLFLOW_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of-another-server")
    with pytest.raises(UsageError, match="needs a password"):
        create_app()
