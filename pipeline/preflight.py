"""What can be said early and cheaply of a run that cannot be: before anything heavy is imported or started."""

from __future__ import annotations

import datetime as dt
import urllib.error
import urllib.request
from collections.abc import Mapping

from pipeline import ledger
from pipeline.device import backend, check_card
from pipeline.errors import Unavailable
from pipeline.plan import Plan, make_plan
from pipeline.settings import Settings
from pipeline.store import check_writable
from pipeline.store_errors import without_secrets


def check(settings: Settings, overrides: Mapping[str, object] | None = None) -> Plan:
    """Return the plan that a run with these settings would have, or say early and cheaply why it cannot be.

    Raises:
        UsageError: for a parameter that breaks its rule, or a GPU that is required and not there.
        StoreError: when the store or the ledger cannot be written.
        Unavailable: when the MLflow server or the ledger's database does not answer.
    """
    now = dt.datetime.now(dt.UTC)
    planned = make_plan(settings, "check", now=now, moment=now, overrides=overrides or {})
    backend()
    if settings.gpu == "require":
        check_card()
    check_writable(settings.store_url)
    if settings.ledger:  # else it is in the store
        ledger.check(settings.ledger_place)
    check_answers(settings.mlflow_uri)
    return planned


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
