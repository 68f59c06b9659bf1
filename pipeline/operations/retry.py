"""A retry of a run: its failed and skipped tickers, on the same plan, in this process or by the stack that is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import runs
from pipeline.errors import UsageError
from pipeline.plan import Batch
from pipeline.store.deleted import require_kept
from pipeline.store.history import newest_first, past_run
from pipeline.store.runs import read_plan, unit_folder
from pipeline.tracking.runs import Runs
from pipeline.versions import code_version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipeline.plan import Plan
    from pipeline.reporting.progress import Progress
    from pipeline.settings import Settings
    from pipeline.store.history import PastRun


class Retry(NamedTuple):
    """What a retry in this process does."""

    dag_run_id: str
    unfinished: tuple[str, ...]  # tickers that failed or were skipped
    repeated: tuple[str, ...]  # the same, or all tickers of a shared network that must be trained again
    stages: tuple[runs.Stage, ...]


def run_to_retry(store_url: str, name: str | None) -> PastRun:
    """Return the named run, by default the one that was planned last.

    Raises:
        UsageError: when the store has no such run, or a comparison is named.
    """
    if name is None:
        nights = [one for one in newest_first(store_url) if one.until == "forecast"]
        if not nights:
            raise UsageError("A retry needs a run.", "no run in the store", "Start one: closecast run.")
        return nights[0]
    found = past_run(store_url, name)
    require_kept(store_url, found.run, found.tickers)
    if found.until != "forecast":
        raise UsageError("A comparison is not retried.", found.dag_run_id, "Start it again: closecast compare.")
    return found


def planned_retry(settings: Settings, dag_run_id: str, run: str) -> Retry:
    """Return what a retry in this process does; it has no stage if every ticker is done.

    Args:
        settings: with store and MLflow.
        dag_run_id: name of the run.
        run: name of its folder.
    """
    planned = read_plan(settings.store_url, run)
    left = _unfinished(settings, planned)
    if not left:
        return Retry(dag_run_id, (), (), ())
    repeated = _repeated(settings, planned, left)
    batches = _part_of(runs.plan(settings, dag_run_id), repeated)
    return Retry(dag_run_id, left, repeated, tuple(runs.stages(planned, batches)))


def carry_out(settings: Settings, retry: Retry, progress: Progress | None) -> None:
    """Do the stages of a retry. Finished steps are reused."""
    for stage in retry.stages:
        runs.run_stage(settings, stage, progress)


def _unfinished(settings: Settings, planned: Plan) -> tuple[str, ...]:
    """Return the tickers that failed or did not pass every step. One that waits for a person is left alone.

    A ticker is done when all steps have ended in the store, their effects are performed, and MLflow has its run as
    finished.
    """
    tracking = Runs(settings, together=True)
    return tuple(
        ticker
        for ticker in planned.tickers
        if not _waits(settings, planned, ticker)
        and (not _has_ended(settings, planned, ticker) or not _is_finished(tracking, planned, ticker))
    )


def _waits(settings: Settings, planned: Plan, ticker: str) -> bool:
    validated = unit_folder(settings.store_url, ticker, planned).manifest("validate")
    return validated is not None and validated.waiting


def _is_finished(tracking: Runs, planned: Plan, ticker: str) -> bool:
    return bool(tracking.unit_run(planned, ticker).info.status == "FINISHED")


def _has_ended(settings: Settings, planned: Plan, ticker: str) -> bool:
    folder = unit_folder(settings.store_url, ticker, planned)
    ended = [folder.manifest(step.name) for step in runs.flow(planned)]
    return all(one and not one.failed and (one.results or not one.outcome.effects) for one in ended)


def _repeated(settings: Settings, planned: Plan, left: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tickers to repeat: those left, or all if they share a network and one of them was not in its training.

    Other rows make another network, and so does other code.
    """
    if not planned.shares_network:
        return left
    trained = [unit_folder(settings.store_url, ticker, planned).manifest("train") for ticker in left]
    code = code_version()[:12]
    is_whole = all(one and not one.failed and one.versions.get("code") == code for one in trained)
    return left if is_whole else planned.tickers


def _part_of(batches: Sequence[Batch], tickers: Collection[str]) -> list[Batch]:
    """Return the batches with only these tickers; a batch without one of them is left out."""
    kept = []
    for batch in batches:
        names = [ticker for ticker in batch["tickers"] if ticker in tickers]
        if names:
            kept.append(Batch(run=batch["run"], as_of=batch["as_of"], tickers=names))
    return kept
