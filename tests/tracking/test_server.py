"""The check of an MLflow server, against real servers on loopback."""

from __future__ import annotations

import http.server
import threading

import pytest

from pipeline.errors import PipelineError, Unavailable
from pipeline.tracking.server import Login, check_answers, no_answer, server_version


class _Server(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        assert self.path in {"/health", "/version"}
        known = self.headers["Authorization"] in {None, "Basic YWRtaW46czNjcmV0"}  # admin:s3cret
        self.send_response(self.status if known else 401)
        self.end_headers()
        if self.path == "/version":
            self.wfile.write(b"3.17.2\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    """Yield the address of a server that answers /health."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("end", ["", "/"])
def test_a_server_that_answers_passes(url, end):
    check_answers(f"{url}{end}")


def test_a_database_url_is_not_asked():
    check_answers("sqlite:////nowhere/mlflow.db")


def test_an_error_of_the_server_is_unavailable(url, monkeypatch):
    monkeypatch.setattr(_Server, "status", 503)
    with pytest.raises(Unavailable, match="The MLflow server must answer") as error:
        check_answers(url)
    assert url in error.value.received


def test_a_refused_connection_is_unavailable_and_shows_no_password():
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9") as error:
        check_answers("http://user:secret@127.0.0.1:9", seconds=1)
    assert "secret" not in str(error.value)
    assert "CLOSECAST_TRACKING_URI" in error.value.todo


def test_a_password_in_the_reason_is_removed():
    uri = "http://user:secret@127.0.0.1:9"
    error = no_answer(uri, f"Max retries exceeded with url {uri}/api")
    assert "secret" not in str(error)


def test_a_server_says_its_version(url):
    """With a login, without one, and with a wrong one."""
    assert server_version(url, None) == "3.17.2"
    assert server_version(f"{url}/", Login("admin", "s3cret")) == "3.17.2"
    with pytest.raises(PipelineError, match="must accept the login") as error:
        server_version(url, Login("admin", "wr0ng"))
    assert "wr0ng" not in str(error.value)


def test_a_version_needs_an_answer(url, monkeypatch):
    """Neither an error of the server nor a refused connection is one."""
    monkeypatch.setattr(_Server, "status", 503)
    for address in (url, "http://127.0.0.1:9"):
        with pytest.raises(Unavailable, match="must answer"):
            server_version(address, None, seconds=1)
