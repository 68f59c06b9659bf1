"""The contract of a step, in one place: reuse, run, save, log, isolate.

Whoever calls (an Airflow task, `closecast run`) says `run("train", batch)`. For each ticker of the batch:

1. a step that already finished here with the same inputs, plan and code is not done again;
2. otherwise its function runs; a `PipelineError` becomes a critical finding of this ticker and stops no other;
3. its files, then its manifest are written, each atomically;
4. the manifest is shown in MLflow, which changes nothing when it is there already.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import resource
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeGuard

from pipeline.errors import Damaged, DataError, PipelineError, StoreError, Unavailable
from pipeline.forecasting import device
from pipeline.outcome import Finding, Manifest, Outcome
from pipeline.plan import Batch, Plan
from pipeline.progress import LogProgress, Progress
from pipeline.settings import Settings, load_settings
from pipeline.steps import FLOW, Step, Unit
from pipeline.store.formats import sha256
from pipeline.store.runs import read_plan, unit_folder
from pipeline.tracking.runs import Tracker
from pipeline.versions import code_version, versions

if TYPE_CHECKING:
    pass

log = logging.getLogger("closecast")
STEPS = {step.name: step for step in FLOW}


def run(
    step_name: str,
    batch: Batch,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
    last_try: bool = True,
) -> Batch:
    """Do one step for each ticker of a batch, and return the batch for the next step.

    Args:
        step_name: one of `STEPS`.
        batch: the tickers and their run.
        settings: default: those of the environment.
        progress: default: lines of the log.
        last_try: whether nobody will call again when this fails.

    Raises:
        Unavailable: when a ticker failed for a reason that another try may mend, and there is one.
        DataError: when no ticker of the batch is left.
    """
    settings, progress = settings or load_settings(), progress or LogProgress()
    if settings.gpu == "off":
        device.hide()  # before a step imports Keras
    step, planned = STEPS[step_name], read_plan(settings.store_url, batch["run"])
    tracker = Tracker(settings)
    ended = []
    for unit in _units(step, planned, batch, settings, tracker, progress):
        if any(manifest and manifest.failed for manifest in map(unit.folder.manifest, unit.before)):
            continue
        progress.started(unit.ticker, step.name)
        manifest, reused = _finish(step, unit)
        progress.ended(unit.ticker, manifest, reused=reused)
        tracker.log(planned, unit.ticker, manifest, unit.folder, last=step.name == planned.until)
        ended.append((unit.ticker, manifest))
    _raise_if_lost(step, ended, last_try=last_try)
    return batch


def _units(
    step: Step, planned: Plan, batch: Batch, settings: Settings, tracker: Tracker, progress: Progress
) -> Iterator[Unit]:
    before = tuple(one.name for one in FLOW[: FLOW.index(step)])
    for ticker in batch["tickers"]:

        def on_epoch(epoch: int, epochs: int, loss: float, ticker: str = ticker) -> None:
            progress.epoch(ticker, epoch, epochs, loss)

        folder = unit_folder(settings.store_url, ticker, planned)
        yield Unit(ticker, planned, folder, settings, tracker.registry, before, on_epoch)


def _finish(step: Step, unit: Unit) -> tuple[Manifest, bool]:
    """Return the step's manifest, and whether it was there already."""
    before, inputs, key = unit.folder.manifest(step.name), dict[str, str](), ""
    started, clock = dt.datetime.now(dt.UTC), time.perf_counter()
    try:
        inputs = _inputs(step, unit)
        key = _key(step, unit, inputs)
        if _is_done(before, key) and unit.folder.is_sound(before):
            return before, True
        outcome = step.function(unit)
    except StoreError:
        raise  # the store is everybody's: nothing can be written down either
    except PipelineError as error:
        log.debug("%s %s", unit.ticker, step.name, exc_info=True)
        outcome = Outcome(findings=(Finding.of(error),))
    # Another attempt may have been at it, one that Airflow had given up: whoever is first publishes, once.
    now = unit.folder.manifest(step.name)
    if now != before and _is_done(now, key) and unit.folder.is_sound(now):
        return now, True
    for name, data in outcome.files.items():
        unit.folder.write(name, data)
    manifest = Manifest(
        step=step.name,
        key=key,
        inputs=inputs,
        outputs={name: sha256(data) for name, data in outcome.files.items()},
        outcome=outcome,
        started=started,
        seconds=time.perf_counter() - clock,
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        versions=versions(),
    )
    unit.folder.write_manifest(manifest)
    return manifest, False


def _inputs(step: Step, unit: Unit) -> dict[str, str]:
    """Return the hash of each file that the step's result depends on.

    Raises:
        Damaged: a step before has not finished, or a file is not as it was written.
        UsageError: the suite cannot be read.
    """
    for name in unit.before:
        if unit.folder.manifest(name) is None:
            raise Damaged(
                f"Step {step.name} needs what the steps before it wrote.",
                f"no whole {name}.manifest.json in {unit.folder.url}",
                f"Clear {name} and what follows in Airflow, which makes it again; or start a new run.",
            )
    suite = {unit.settings.suite_path.name: sha256(unit.suite)} if step.judges else {}
    return {name: sha256(unit.read(name)) for name in step.reads} | suite


def _key(step: Step, unit: Unit, inputs: dict[str, str]) -> str:
    planned = unit.plan.model_dump(mode="json", exclude={"created", "tickers", "batch_size"})
    made_with = [planned, code_version(), device.backend()]
    return sha256(json.dumps([step.name, unit.ticker, inputs, *made_with], sort_keys=True).encode())


def _is_done(manifest: Manifest | None, key: str) -> TypeGuard[Manifest]:
    return manifest is not None and manifest.key == key and not manifest.failed


def _raise_if_lost(step: Step, ended: list[tuple[str, Manifest]], *, last_try: bool) -> None:
    failed = [(ticker, manifest) for ticker, manifest in ended if manifest.failed]
    retryable = [one for one in failed if one[1].retryable]
    lost = len(failed) == len(ended)  # also when every ticker had failed in a step before
    if not lost and (last_try or not retryable):
        return
    names = ", ".join(ticker for ticker, _ in failed) or "all of them, in a step before"
    reasons = "; ".join(str(f) for _, manifest in failed for f in manifest.outcome.findings if f.severity == "critical")
    kind = Unavailable if retryable else DataError
    raise kind(
        f"Step {step.name} must leave at least one ticker of its batch.", f"{names} failed. {reasons}", "See above."
    )
