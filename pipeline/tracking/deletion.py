"""Deletion in MLflow: the versions, models and runs of a night, and MLflow's own garbage collection of their files."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from mlflow.entities import ViewType

from pipeline.tracking.client import answering, gone_is_fine
from pipeline.tracking.versions import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.entities import Run

    from pipeline.tracking.runs import Runs
    from pipeline.tracking.versions import Version

_PAGE = 200  # runs with their metrics in one answer
_AT_ONCE = 50  # runs that MLflow collects between two renewals of the mark in the store


class Protected(NamedTuple):
    """What may not be deleted, because a version that is kept needs it."""

    run_ids: frozenset[str]
    model_ids: frozenset[str]


class Counts(NamedTuple):
    """Numbers of deleted objects."""

    versions: int = 0
    models: int = 0
    runs: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return the sum of both."""
        return Counts(self.versions + other.versions, self.models + other.models, self.runs + other.runs)


def protected(kept: Collection[Version]) -> Protected:
    """Return the runs and models of versions: a version is loaded from its model and from the run of its weights."""
    return Protected(frozenset(one.run_id for one in kept), frozenset(one.model_id for one in kept))


def delete_versions(runs: Runs, ticker: str, versions: Collection[Version]) -> Counts:
    """Delete versions of a ticker. One that has an alias by now is left: a person may serve it meanwhile."""
    deleted = 0
    with answering(runs.uri):
        for one in versions:
            with gone_is_fine():
                if runs.client.get_model_version(name_of(ticker), str(one.number)).aliases:
                    continue
                runs.client.delete_model_version(name_of(ticker), str(one.number))
                deleted += 1
    return Counts(versions=deleted)


def delete_runs(
    runs: Runs, dag_run_id: str, tickers: Collection[str], keep: Protected, renew: Callable[[], None]
) -> Counts:
    """Delete the runs of a night with their models; their files stay until `collect_garbage`.

    Args:
        runs: of the experiment.
        dag_run_id: of the night.
        tickers: whose runs are deleted; "" means the run of the whole night.
        keep: what may not be deleted.
        renew: called before each deletion.
    """
    models = 0
    deleted = 0
    with answering(runs.uri):
        for run in list(_runs(runs, f"tags.dag_run_id = '{dag_run_id}'", ViewType.ACTIVE_ONLY)):
            if run.data.tags.get("ticker", "") not in tickers or run.info.run_id in keep.run_ids:
                continue
            renew()
            for model in runs.client.search_logged_models([runs.experiment], f"source_run_id = '{run.info.run_id}'"):
                if model.model_id not in keep.model_ids:
                    with gone_is_fine():
                        runs.client.delete_logged_model(model.model_id)
                        models += 1
            with gone_is_fine():
                runs.client.delete_run(run.info.run_id)
                deleted += 1
    return Counts(models=models, runs=deleted)


def collect_garbage(runs: Runs, backend: str, gone: Collection[tuple[str, str]], renew: Callable[[], None]) -> int:
    """Remove deleted runs and models from MLflow's database, with their files, and return the number of runs.

    MLflow's command `mlflow gc` also removes every deleted experiment, which a person may want to restore. So the
    function behind it is called, with the ids of our own runs.

    Args:
        runs: of the experiment.
        backend: URL of the database of the MLflow server.
        gone: ticker and `dag_run_id` of deleted nights; the ticker "" means the run of the whole night.
        renew: called again and again.
    """
    from mlflow.cli import _gc_tracking_resources
    from mlflow.tracking import _get_store

    with answering(runs.uri):
        found = [
            str(run.info.run_id)
            for run in _runs(runs, "", ViewType.DELETED_ONLY)
            if (run.data.tags.get("ticker", ""), run.data.tags.get("dag_run_id", "")) in gone
        ]
        if not found:
            return 0
        store = _get_store(backend)
        models: dict[str, list[str]] = {}
        for model_id in store._get_deleted_logged_models():  # noqa: SLF001 - as `mlflow gc` does
            source = store.get_logged_model(model_id, allow_deleted=True).source_run_id
            models.setdefault(str(source), []).append(model_id)
        collect = functools.partial(
            _gc_tracking_resources,
            backend_store=store,
            experiment_ids=[],
            older_than=None,
            time_delta=0,
            skip_experiments=True,
            skip_logged_models=False,
            ignore_not_found=True,
        )
        for first in range(0, len(found), _AT_ONCE):
            renew()
            run_ids = found[first : first + _AT_ONCE]
            with contextlib.redirect_stdout(io.StringIO()):  # it prints a line for each
                # Models go first: after a kill they are found by their run.
                collect(run_ids=[], logged_model_ids=[one for run_id in run_ids for one in models.get(run_id, [])])
                collect(run_ids=run_ids, logged_model_ids=[])
    return len(found)


def _runs(runs: Runs, condition: str, kind: int) -> Iterator[Run]:
    token = None
    while True:
        page = runs.client.search_runs(
            [runs.experiment], condition, run_view_type=kind, max_results=_PAGE, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return
