"""The checks before a run. They take seconds; imports of TensorFlow or Airflow and the training come after them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pipeline.forecasting.device import backend, check_card
from pipeline.plan import Plan, make_plan
from pipeline.serving import ledger
from pipeline.settings import Settings
from pipeline.settings.private_folders import make_private_folders
from pipeline.store.folder import check_writable
from pipeline.tracking.server import check_answers


def check(settings: Settings, overrides: Mapping[str, object] | None = None) -> Plan:
    """Check the settings and the services that a run needs, and return the plan that the run would have.

    Raises:
        UsageError: a parameter breaks its rule, a required GPU is missing, or the folder of all state is not writable.
        StoreError: the store or the ledger is not writable.
        Unavailable: the MLflow server or the ledger's database does not answer.
    """
    now = dt.datetime.now(dt.UTC)
    planned = make_plan(settings, "check", now=now, moment=now, overrides=overrides or {})
    backend()
    make_private_folders(settings.var_dir)
    if settings.gpu == "require":
        check_card()
    check_writable(settings.store_url)
    if settings.ledger:  # otherwise the ledger is a folder of the store
        ledger.check(settings.ledger_place)
    check_answers(settings.mlflow_uri)
    return planned
