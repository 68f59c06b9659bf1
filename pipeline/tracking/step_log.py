"""Logs a finished step to MLflow. Logging changes no alias and no version: the runner performs effects.

A step can be logged again without adding anything: it is recognised by its key, and its values carry the time stamp of
its manifest.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from pipeline.old_names import present_name
from pipeline.store.formats import frame_of
from pipeline.tracking import descriptions, figures
from pipeline.tracking.client import answering, tracking_time
from pipeline.tracking.logged_model import log_model
from pipeline.tracking.runs import LEDGER_HEAD, MAX_TAG, TRACKING_SECONDS, Runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.data.dataset_source import DatasetSource
    from mlflow.entities import Run

    from pipeline.outcome import Manifest, Outcome, Results
    from pipeline.plan import Plan
    from pipeline.store.folder import Folder

_BATCH = 700  # metrics in one request: MLflow takes 1,000 entities, with parameters and tags
_EACH_SESSION = "sessions"  # a score of served forecasts that each point of the series has


def log_step(runs: Runs, plan: Plan, ticker: str, manifest: Manifest, folder: Folder, *, last: bool) -> None:
    """Log a finished step to the ticker's run; a step that was logged before is left alone.

    Args:
        runs: of the experiment.
        plan: of the run.
        ticker: of the unit.
        manifest: of the step.
        folder: with the step's files.
        last: whether the unit is finished with this step.

    Raises:
        Damaged: when a file has changed since the step wrote it.
        Unavailable: when MLflow does not answer.
    """
    run = runs.unit_run(plan, ticker)
    tag = f"step.{manifest.step}"
    # A failed step that is tried again has the same key, and another end.
    logged = f"failed {manifest.started.isoformat()}" if manifest.failed else manifest.key
    if run.data.tags.get(tag) == logged:
        return
    run_id = str(run.info.run_id)
    with answering(runs.uri):
        _log_files(runs, run_id, manifest, folder)
        model_id = None
        if manifest.outcome.model:
            model_id = log_model(runs, run_id, manifest, folder, manifest.outcome.model)
        _log_dataset(runs, run_id, ticker, plan, manifest, folder)
        if manifest.outcome.live_session:
            _log_live(runs, plan, ticker, manifest.outcome, manifest.outcome.live_session)
        status = _status(manifest, last=last)
        if run.info.status != status:
            runs.set_status(run_id, status)
        _log_values(runs, run, manifest, model_id, plan, folder, done=RunTag(tag, logged))


def _status(manifest: Manifest, *, last: bool) -> str:
    if manifest.waiting:
        return "SCHEDULED"  # MLflow's own word for a run that has yet to go on
    if manifest.failed:
        return "FAILED"
    return "FINISHED" if last else "RUNNING"


def _log_files(runs: Runs, run_id: str, manifest: Manifest, folder: Folder) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        for name in manifest.outcome.attach:
            (Path(temporary) / name).write_bytes(folder.read_written(name, manifest))
        if manifest.outcome.attach:
            runs.client.log_artifacts(run_id, temporary)


def _log_values(
    runs: Runs, run: Run, manifest: Manifest, model_id: str | None, plan: Plan, folder: Folder, *, done: RunTag
) -> None:
    """Log metrics, parameters and tags; the last request has the tag from which on the step counts as logged."""
    outcome = manifest.outcome
    run_id = run.info.run_id
    model_id = model_id or run.data.tags.get("model_id")
    tags = {
        **outcome.tags,
        **_result_tags(manifest.results),
        **{f"version.{name}": version for name, version in manifest.versions.items()},
        **({"model_id": model_id} if model_id else {}),
        **_finding_tags(run, manifest),
    }
    before = run.data.tags.get("verdict", "")
    tags["verdict"] = descriptions.verdict_of(tags, before, manifest.step if manifest.failed else "")
    if manifest.waiting:
        tags["verdict"] = descriptions.WAITING
    tags["mlflow.note.content"] = _note(plan, run, manifest, tags)
    metrics = figures.due(manifest, folder, model_id)
    while len(metrics) > _BATCH:
        runs.client.log_batch(run_id, metrics[:_BATCH])
        metrics = metrics[_BATCH:]
    tags[f"{TRACKING_SECONDS}{manifest.step}"] = (
        f"{tracking_time.lap():.3f}"  # no metric: it would come before the skill
    )
    runs.client.log_batch(
        run_id,
        metrics,
        [Param(name, value) for name, value in outcome.params.items()],
        [*(RunTag(name, value) for name, value in tags.items()), done],
    )


def _note(plan: Plan, run: Run, manifest: Manifest, tags: Mapping[str, str]) -> str:
    """Return the description of the run with this step in it."""
    known = {**run.data.tags, **tags}
    findings = [text for name, text in known.items() if name.startswith("findings.") and text]
    metrics = {**run.data.metrics, **manifest.outcome.metrics}
    return descriptions.unit_note(plan, known["ticker"], known, metrics, "\n\n".join(findings))[:MAX_TAG]


def _result_tags(results: Results | None) -> dict[str, str]:
    """Return the tags of effect results."""
    if results is None:
        return {}
    tags: dict[str, str] = {}
    if results.released:
        tags["version"] = str(results.released.version)
        if results.released.superseded:
            tags["decision"] = results.released.reason
    if results.recorded:
        tags["forecast"] = f"v{results.recorded.version} for {results.recorded.session}"
    elif results.no_forecast:
        tags["forecast"] = results.no_forecast
    if results.ledger_head:
        tags[LEDGER_HEAD] = results.ledger_head.model_dump_json()
    return tags


def _finding_tags(run: Run, manifest: Manifest) -> dict[str, str]:
    findings = "\n\n".join(f"**{finding.severity}** {finding}" for finding in manifest.outcome.findings)
    mine = f"findings.{manifest.step}"
    if not findings and mine not in run.data.tags:  # an earlier try may have had some
        return {}
    return {mine: findings[:MAX_TAG]}


def _log_live(runs: Runs, plan: Plan, ticker: str, outcome: Outcome, session: dt.date) -> None:
    """Add one point to the series of a ticker's served forecasts, unless the series has one of this session."""
    run = runs.live_run(ticker, synthetic=plan.synthetic)
    step = session.toordinal()
    known = runs.client.get_metric_history(run.info.run_id, _EACH_SESSION) if _EACH_SESSION in run.data.metrics else []
    if step in {point.step for point in known}:
        return
    _continue_old_series(runs, run)
    midnight = dt.datetime.combine(session, dt.time(), dt.UTC)
    stamp = int(midnight.timestamp() * 1000)
    runs.client.log_batch(
        run.info.run_id,
        [Metric(name, value, stamp, step) for name, value in outcome.live.items()],
        tags=[RunTag(name, value) for name, value in outcome.tags.items() if name == "currency"],
    )
    runs.set_status(run.info.run_id, "FINISHED")


def _continue_old_series(runs: Runs, run: Run) -> None:
    """Copy points that an earlier version logged under an old name to the name of today: one chart has all."""
    for old in run.data.metrics:
        name = present_name(old)
        if name in run.data.metrics:
            continue
        points = runs.client.get_metric_history(run.info.run_id, old)
        copies = [Metric(name, point.value, point.timestamp, point.step) for point in points]
        for first in range(0, len(copies), _BATCH):
            runs.client.log_batch(run.info.run_id, copies[first : first + _BATCH])


def _log_dataset(runs: Runs, run_id: str, ticker: str, plan: Plan, manifest: Manifest, folder: Folder) -> None:
    name = manifest.outcome.dataset
    if name is None:
        return
    frame = frame_of(folder.read_written(name, manifest)).reset_index()
    dataset = mlflow.data.pandas_dataset.from_pandas(
        frame,
        source=_dataset_source(folder.path(name)),
        name=f"{ticker} {plan.source}",
        digest=manifest.outputs[name][:36],  # MLflow takes 36 characters
    )
    context = InputTag("mlflow.data.context", "training")
    runs.client.log_inputs(run_id, [DatasetInput(dataset._to_mlflow_entity(), [context])])  # noqa: SLF001


def _dataset_source(url: str) -> DatasetSource:
    """Return an address as MLflow takes it: an address that it has no client for becomes plain text."""
    try:
        return resolve_dataset_source(url)
    except MlflowException:
        return CodeDatasetSource({"url": url})
