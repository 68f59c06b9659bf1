"""Checks that an MLflow server answers, and asks for its version, without importing MLflow."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import NamedTuple

from pipeline.errors import PipelineError, Unavailable, without_secrets


class Login(NamedTuple):
    """User and password of a server."""

    user: str
    password: str


def check_answers(uri: str, seconds: float = 5.0) -> None:
    """Check that an MLflow server answers, before its client spends minutes on retries.

    Args:
        uri: of the server; a database URL passes unchecked.
        seconds: time-out.

    Raises:
        Unavailable: the server does not answer.
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=seconds):  # noqa: S310 - scheme checked above
            return
    except (urllib.error.URLError, OSError) as error:
        raise no_answer(uri, str(getattr(error, "reason", error))) from None


def server_version(uri: str, login: Login | None, seconds: float = 5.0) -> str:
    """Return the version of an MLflow server.

    Raises:
        Unavailable: the server does not answer.
        PipelineError: it refuses the login.
    """
    request = urllib.request.Request(f"{uri.rstrip('/')}/version")  # noqa: S310 - as above
    if login:
        words = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {words}")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return str(answer.read(100).decode().strip())
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.UNAUTHORIZED:
            raise refused_login(uri) from None
        raise no_answer(uri, str(error)) from None
    except OSError as error:
        raise no_answer(uri, str(getattr(error, "reason", error))) from None


def refused_login(uri: str) -> PipelineError:
    """Return the error for a server that refuses user and password."""
    return PipelineError(
        "The MLflow server must accept the login.",
        f"{without_secrets(uri)}: HTTP 401",
        "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. `make up` prints those of its server.",
    )


def no_answer(uri: str, reason: str) -> Unavailable:
    """Return the error for an MLflow server that does not answer, without the password that its URL may hold.

    Args:
        uri: of the server.
        reason: the client's message, which may contain the URL.
    """
    return Unavailable(
        "The MLflow server must answer.",
        without_secrets(f"{uri}: {reason}", uri)[:300],
        "Start it (`make up`), or correct CLOSECAST_TRACKING_URI. Without it, runs go to SQLite below var/.",
    )
