"""A pruning of store and MLflow, from the look to the end: for the command and for the DAG."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, NamedTuple

from pipeline.operations import servers
from pipeline.pruning.deletion import Pruned, carry_out, foreseen
from pipeline.pruning.facts import Facts, read_facts
from pipeline.store.upkeep import alone
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs

if TYPE_CHECKING:
    from pipeline.settings import Settings


class Result(NamedTuple):
    """The facts before, and the deletion by them."""

    facts: Facts
    pruned: Pruned
    collects_garbage: bool  # whether MLflow's server is ours, on this machine


def look(settings: Settings) -> Result:
    """Return the deletion that `prune` would carry out; nothing is changed. Errors as of `prune`."""
    facts = read_facts(settings, Registry(settings), _now())
    return Result(facts, foreseen(settings, facts), bool(mlflow_backend(settings)))


def prune(settings: Settings) -> Result:
    """Delete the nights that no rule keeps. It can be repeated after a kill.

    Raises:
        Damaged: a record of deleted nights, or a row of the ledger, cannot be read.
        StoreError: the store refuses.
        Unavailable: a run uses the store, or a service does not answer.
    """
    with alone(settings.store_url) as renew:
        now = _now()
        facts = read_facts(settings, Registry(settings), now)
        backend = mlflow_backend(settings)
        return Result(facts, carry_out(settings, facts, Runs(settings), backend, now, renew), bool(backend))


def mlflow_backend(settings: Settings) -> str:
    """Return the URL of the database of MLflow if it is ours, on this machine; "" otherwise."""
    own_database = f"sqlite:///{settings.mlflow_database}"
    if settings.mlflow_uri == own_database:
        return own_database
    if not settings.uses_own_mlflow_server:
        return ""
    if settings.cluster:
        os.environ.update(servers.environment(settings))  # PostgreSQL's client reads its password by it
        return servers.database_url(settings, "mlflow")
    return own_database if settings.mlflow_database.exists() else ""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
