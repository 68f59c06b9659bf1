"""Checks that an MLflow server answers, without importing MLflow."""

from __future__ import annotations

import urllib.error
import urllib.request

from pipeline.errors import Unavailable, without_secrets


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
