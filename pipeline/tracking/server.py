"""What can be said early and cheaply of a run that cannot be: before anything heavy is imported or started."""

from __future__ import annotations

import urllib.error
import urllib.request

from pipeline.errors import Unavailable, without_secrets


def check_answers(uri: str, seconds: float = 5.0) -> None:
    """Ask an MLflow server whether it is there, before its client starts minutes of retries.

    Raises:
        Unavailable: when a server does not answer; a database URL is not asked.
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=seconds):  # noqa: S310 - scheme checked above
            return
    except (urllib.error.URLError, OSError) as error:
        raise no_answer(uri, str(getattr(error, "reason", error))) from None


def no_answer(uri: str, reason: str) -> Unavailable:
    """Return the error of an MLflow server that does not answer, without the password that its URL may hold.

    Args:
        uri: of the server.
        reason: what the client said, which may name the URL again.
    """
    return Unavailable(
        "The MLflow server must answer.",
        without_secrets(f"{uri}: {reason}", uri)[:300],
        "Start it (`make up`), or correct CLOSECAST_TRACKING_URI; unset, runs go to SQLite below var/.",
    )
