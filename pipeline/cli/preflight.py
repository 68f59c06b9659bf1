"""What can be said early and cheaply of a run that cannot be: before anything heavy is imported or started."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pipeline.forecasting.device import backend, check_card
from pipeline.plan import Plan, make_plan
from pipeline.serving import ledger
from pipeline.settings import Settings
from pipeline.store.folder import check_writable
from pipeline.tracking.server import check_answers


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
