"""Which routes of MLflow's server are served: each route of the installed version is judged."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.tracking import routes

LIST = """
import json, re
from mlflow.server import app as flask
from mlflow.server.fastapi_app import app
paths = {route.path for route in app.routes if getattr(route, "path", "")}
paths |= {str(rule) for rule in flask.url_map.iter_rules()}
print(json.dumps(sorted(re.sub(r"<[^>]*>|{[^}]*}", "x", path) for path in paths)))
"""
# FastAPI's own pages about its routes; the login does not open them either.
DOCUMENTATION = {"/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the paths of all routes of the installed server."""
    database = f"sqlite:///{tmp_path_factory.mktemp('routes')}/mlflow.db"
    environment = os.environ | {"_MLFLOW_SERVER_FILE_STORE": database, "DO_NOT_TRACK": "true"}
    done = subprocess.run([sys.executable, "-c", LIST], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_every_route_of_the_installed_server_is_judged(installed):
    """An upgrade that adds a route fails here, until a rule of `routes` serves or refuses it."""
    assert len(installed) > 300
    unknown = [path for path in installed if not routes.is_judged(path)]
    assert set(unknown) <= DOCUMENTATION, unknown


@pytest.mark.parametrize("word", ["assistant", "gateway", "jobs", "webhooks", "invoke", "promptlab", "mcp-servers"])
def test_no_route_that_acts_for_a_visitor_is_served(installed, word):
    """By their names, so that a rule cannot serve one of them by accident."""
    named = [path for path in installed if word in path]
    assert named
    assert not [path for path in named if routes.is_served(path)]


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/2.0/mlflow/runs/search",
        "/api/2.0/mlflow/registered-models/alias",
        "/api/2.0/mlflow-artifacts/artifacts/1/a b/ü.png",
        "/static-files/static/js/main.js",
        "/",
    ],
)
def test_runs_models_and_pages_are_served(path):
    """What Closecast's clients and the pages about its runs ask for."""
    assert routes.is_served(path)


@pytest.mark.parametrize(
    "path",
    [
        "/static-files/../ajax-api/3.0/mlflow/assistant/message",
        "/static-files/..",
        "//ajax-api/3.0/mlflow/assistant/message",
        "/ajax-api/3.0/mlflow/experiments//../assistant/message",
        "/ajax-api/3.0/mlflow//assistant/message",
        "/ajax-api/3.0/mlflow/Assistant/message",
        "/ajax-api/3.0/mlflow/assistant/message/",
        "/ajax-api/3.0/mlflow/%61ssistant/message",  # encoded twice: the server decodes once
        "/ajax-api/3.0/mlflow/runs/x\n/../assistant",
        "/api/9.9/mlflow/runs/search",
        "/prefix/api/2.0/mlflow/runs/search",
        "",
        "*",
    ],
)
def test_a_path_in_another_spelling_is_not_served(path):
    """The default is to refuse."""
    assert not routes.is_served(path)
