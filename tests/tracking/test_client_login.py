"""The login that MLflow's client gets: for the server of this checkout, and for no other."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.settings import load_settings
from pipeline.tracking.client import connect


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def port():
    """Return the port of a server that answers each GET."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Return settings with a password file, in a shell with the login of another server."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of-another-server")
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "password").write_text("generated")
    return load_settings(var=tmp_path)


def login():
    """Return what MLflow's client would send."""
    return f"{os.environ['MLFLOW_TRACKING_USERNAME']}:{os.environ['MLFLOW_TRACKING_PASSWORD']}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_own_server_gets_the_generated_password(settings, port, host):
    """A login of the shell does not reach it."""
    connect(settings.model_copy(update={"mlflow_port": port, "tracking_uri": f"http://{host}:{port}/"}))
    assert login() == "admin:generated"


def test_another_server_gets_the_login_of_the_shell(settings, port):
    """The generated password is sent to no other address."""
    connect(settings.model_copy(update={"tracking_uri": f"http://127.0.0.1:{port}"}))
    assert login() == "ann:of-another-server"
