"""The contract of a step, in one place. An Airflow task and `closecast run` call `run("train", batch)`.

For each ticker of the batch, in this order (for all tickers at once where `train` fits one network to a universe):

1. reuse the result if the step already finished here with the same inputs, plan and code;
2. else call the step; a `PipelineError` becomes a critical finding of this ticker and stops no other;
3. write the files that runs share, then its own, then its manifest, each atomically;
4. perform its effects, and write their results into the manifest;
5. log the manifest to MLflow.

Only the fourth registers a version, moves the alias `champion` for a run, or writes the ledger. A process that is
killed between two of these writes repeats the missing ones: each of them is idempotent.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeGuard

from pipeline.errors import Damaged, DataError, NothingLeft, PartlyFailed, PipelineError, StoreError, Unavailable
from pipeline.forecasting import device
from pipeline.outcome import Effects, Finding, Manifest, Outcome, Released, Results
from pipeline.plan import Batch, Plan
from pipeline.prices import snapshot
from pipeline.reporting.progress import LogProgress, Progress
from pipeline.serving import ledger
from pipeline.settings import Settings, load_settings
from pipeline.steps import FLOW, Step, Unit
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256
from pipeline.store.runs import read_plan, unit_folder
from pipeline.store.upkeep import require_no_upkeep
from pipeline.tracking.logged_model import log_model
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from pipeline.tracking.step_log import log_step
from pipeline.versions import code_version, versions

log = logging.getLogger("closecast")
STEPS = {step.name: step for step in FLOW}


class Done(NamedTuple):
    """A finished step of one unit."""

    manifest: Manifest
    reused: bool  # whether the step had finished before this call


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
        last_try: whether this call is not repeated when it fails.

    Raises:
        Unavailable: when a ticker failed for a reason that another try may mend, and there is one.
        PartlyFailed: when the step is done for all tickers, and some of them failed.
        DataError: when no ticker of the batch is left; `NothingLeft` when none was left before this step.
    """
    settings = settings or load_settings()
    progress = progress or LogProgress()
    if settings.gpu == "off":
        device.hide()  # before a step imports Keras
    step = STEPS[step_name]
    require_no_upkeep(settings.store_url)
    plan = read_plan(settings.store_url, batch["run"])
    runs = Runs(settings, together=len(batch["tickers"]) > 1)
    registry = Registry(settings)
    ended = []
    left = [unit for unit in _units(step, plan, batch, settings, registry, progress) if not _failed_before(unit)]
    together = step.gathers and plan.shares_network
    for group in [left] if together and left else [[unit] for unit in left]:
        for unit in group:
            progress.started(unit.ticker, step.name)
        for unit, done in zip(group, _reused(step, group) or _called_and_saved(step, group), strict=True):
            manifest = _with_effects(done.manifest, unit, runs, registry)
            progress.ended(unit.ticker, manifest, reused=done.reused)
            log_step(runs, plan, unit.ticker, manifest, unit.folder, last=step.name == plan.until)
            ended.append((unit.ticker, manifest))
    _raise_if_failed(step, ended, last_try=last_try)
    return batch


def _units(
    step: Step, plan: Plan, batch: Batch, settings: Settings, registry: Registry, progress: Progress
) -> Iterator[Unit]:
    before = tuple(one.name for one in FLOW[: FLOW.index(step)])
    for ticker in batch["tickers"]:

        def on_epoch(epoch: int, epochs: int, loss: float, ticker: str = ticker) -> None:
            progress.epoch(ticker, epoch, epochs, loss)

        folder = unit_folder(settings.store_url, ticker, plan)
        yield Unit(ticker, plan, folder, settings, registry, step, before, on_epoch)


def _failed_before(unit: Unit) -> bool:
    return any(manifest.failed for manifest in unit.manifests.values() if manifest)


def _reused(step: Step, group: Sequence[Unit]) -> list[Done] | None:
    """Return the step's results if it finished here with the same inputs, plan and code, and its files are whole."""
    manifests = [unit.folder.manifest(step.name) for unit in group]
    try:
        keys = _keys(step, {unit: _inputs(step, unit) for unit in group})
    except StoreError:
        raise
    except PipelineError:
        return None  # an input is missing or damaged: the call that follows says which
    done = [
        Done(manifest, reused=True)
        for unit, manifest in zip(group, manifests, strict=True)
        if _is_done(manifest, keys[unit]) and _is_whole(manifest, unit)
    ]
    return done if len(done) == len(group) else None


def _called_and_saved(step: Step, group: Sequence[Unit]) -> list[Done]:
    """Call the step, and write for each unit its files and then its manifest."""
    before = {unit: unit.folder.manifest(step.name) for unit in group}
    started = dt.datetime.now(dt.UTC)
    clock = time.perf_counter()
    inputs: dict[Unit, dict[str, str]] = {}
    outcomes: dict[Unit, Outcome] = {}
    for unit in group:
        try:
            inputs[unit] = _inputs(step, unit)
        except StoreError:
            raise  # all tickers share the store, and nothing can be recorded either
        except PipelineError as error:
            outcomes[unit] = _failure(step, unit, error)
    keys = _keys(step, inputs)
    try:
        outcomes.update(zip(inputs, step.call(list(inputs)), strict=True))
    except StoreError:
        raise
    except PipelineError as error:
        outcomes.update({unit: _failure(step, unit, error) for unit in inputs})
    seconds = (time.perf_counter() - clock) / len(group)  # of one training for several tickers, each has its share
    done = []
    for unit in group:
        key = keys.get(unit, "")
        # Another attempt, which Airflow had given up, may have finished meanwhile. The first one publishes, once.
        now = unit.folder.manifest(step.name)
        if now != before[unit] and _is_done(now, key) and _is_whole(now, unit):
            done.append(Done(now, reused=True))
            continue
        outcome = outcomes[unit]
        for path, data in outcome.shared.items():
            Folder(unit.store_url).keep(path, data)
        for name, data in outcome.files.items():
            unit.folder.write(name, data)
        manifest = Manifest(
            step=step.name,
            key=key,
            inputs=inputs.get(unit, {}),
            outputs={name: sha256(data) for name, data in outcome.files.items()},
            outcome=outcome,
            started=started,
            seconds=seconds,
            peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            versions=versions(),
        )
        unit.folder.write_manifest(manifest)
        done.append(Done(manifest, reused=False))
    return done


def _failure(step: Step, unit: Unit, error: PipelineError) -> Outcome:
    log.debug("%s %s", unit.ticker, step.name, exc_info=error)
    return Outcome(findings=(Finding.of(error),))


def _with_effects(manifest: Manifest, unit: Unit, runs: Runs, registry: Registry) -> Manifest:
    """Perform the effects of a step that have no result yet, and return the manifest with their results."""
    effects = manifest.outcome.effects
    if effects is None or manifest.results is not None or manifest.failed:
        return manifest
    try:
        results = Results(
            released=_release(effects, manifest, unit, runs, registry),
            continued=_continue(effects, manifest, unit, runs, registry),
            recorded=ledger.write(unit.settings.ledger_place, effects.forecast) if effects.forecast else None,
            no_forecast=effects.no_forecast,
        )
        if effects.forecast or effects.no_forecast:
            newest = ledger.head(unit.settings.ledger_place, unit.ticker)
            results = results.model_copy(update={"ledger_head": newest})
        manifest = manifest.model_copy(update={"results": results})
    except StoreError:
        raise
    except PipelineError as error:
        findings = (*manifest.outcome.findings, Finding.of(error))
        manifest = manifest.model_copy(update={"outcome": manifest.outcome.model_copy(update={"findings": findings})})
    unit.folder.write_manifest(manifest)
    return manifest


def _release(effects: Effects, manifest: Manifest, unit: Unit, runs: Runs, registry: Registry) -> Released | None:
    """Register the version that the unit trained, and move the aliases as decided."""
    if effects.release is None:
        return None
    run = runs.unit_run(unit.plan, unit.ticker)
    if "model_id" not in run.data.tags:  # a person deleted the run, and this one is new
        for earlier in filter(None, unit.manifests.values()):
            log_step(runs, unit.plan, unit.ticker, earlier, unit.folder, last=False)
        run = runs.unit_run(unit.plan, unit.ticker)
    return registry.release(unit.ticker, run.data.tags["model_id"], run.info.run_id, effects.release, manifest.started)


def _continue(effects: Effects, manifest: Manifest, unit: Unit, runs: Runs, registry: Registry) -> Released | None:
    """Register the champion that stays once more, as a model of its own."""
    decided = effects.continuation
    if decided is None:
        return None
    run_id = runs.unit_run(unit.plan, unit.ticker).info.run_id
    model_id = log_model(runs, run_id, manifest, unit.folder, decided.files)
    return registry.continue_champion(unit.ticker, model_id, decided, manifest.started)


def _inputs(step: Step, unit: Unit) -> dict[str, str]:
    """Return the hash of each file and of each earlier effect that the step's result depends on.

    Raises:
        Damaged: a step before has not finished, or a file has changed since its step wrote it.
        UsageError: the suite cannot be read.
    """
    hashes: dict[str, str] = {}
    for name, manifest in unit.manifests.items():
        if manifest is None:
            raise Damaged(
                f"Step {step.name} needs the files of the steps before it.",
                f"no whole {name}.manifest.json in {unit.folder.url}",
                f"Clear {name} and what follows in Airflow, which makes it again; or start a new run.",
            )
        if manifest.results:
            hashes[f"{name}.results"] = sha256(manifest.results.model_dump_json().encode())
    hashes |= {name: sha256(unit.read(name)) for name in unit.inputs}
    if step.judges:
        hashes[unit.settings.suite_path.name] = sha256(unit.suite)
    return hashes


def _keys(step: Step, inputs: Mapping[Unit, dict[str, str]]) -> dict[Unit, str]:
    """Return what names the result of each unit; one training for several units depends on the inputs of all."""
    shared = {unit.ticker: its for unit, its in inputs.items()} if len(inputs) > 1 else {}
    return {unit: _key(step, unit, its, shared) for unit, its in inputs.items()}


def _key(step: Step, unit: Unit, inputs: dict[str, str], shared: dict[str, dict[str, str]]) -> str:
    plan = unit.plan.model_dump(mode="json", exclude={"created", "tickers", "batch_size"})
    parts = [step.name, unit.ticker, inputs, plan, code_version(), device.backend(), shared]
    return sha256(json.dumps(parts, sort_keys=True).encode())


def _is_done(manifest: Manifest | None, key: str) -> TypeGuard[Manifest]:
    return manifest is not None and manifest.key == key and not manifest.failed


def _is_whole(manifest: Manifest, unit: Unit) -> bool:
    """Return whether all files of a step are as it wrote them, its snapshot included."""
    return unit.folder.is_sound(manifest) and snapshot.is_whole(unit.store_url, unit.ticker, unit.folder, manifest)


def _raise_if_failed(step: Step, ended: list[tuple[str, Manifest]], *, last_try: bool) -> None:
    failed = [(ticker, manifest) for ticker, manifest in ended if manifest.failed and not manifest.waiting]
    retryable = [one for one in failed if one[1].retryable]
    rule = f"Step {step.name} must leave at least one ticker of its batch."
    if not ended:
        raise NothingLeft(rule, "all of them ended in a step before", "See above.")
    if not failed:
        return
    lost = len(failed) == len(ended)
    names = ", ".join(ticker for ticker, _ in failed)
    reasons = "; ".join(str(f) for _, manifest in failed for f in manifest.outcome.findings if f.severity == "critical")
    if not lost and (last_try or not retryable):
        raise PartlyFailed(
            f"Every ticker must pass step {step.name}.",
            f"{names} failed. {reasons}",
            "See the report. The other tickers go on.",
        )
    kind = Unavailable if retryable else DataError
    raise kind(rule, f"{names} failed. {reasons}", "See above.")
