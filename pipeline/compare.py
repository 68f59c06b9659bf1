"""The ladder: naive, AR(1), SimpleRNN, GRU, LSTM on the same rows. Nothing that is compared is promoted."""

from __future__ import annotations

import contextlib
import datetime as dt
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline import runner
from pipeline.errors import DataError, PipelineError
from pipeline.store import json_of, read_plan, unit_folder
from pipeline.tracking import Tracker

if TYPE_CHECKING:
    from pipeline.outcome import Manifest
    from pipeline.progress import Progress
    from pipeline.settings import Settings

LADDER = ("daily", "gru", "lstm")  # presets that differ in their cell only
_NAMES = {"simple_rnn": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}


class Rung(NamedTuple):
    """One forecaster of one ticker. Figures are None where it came to none."""

    ticker: str
    name: str
    rmse_usd: float | None = None
    skill: float | None = None
    dm_p_value: float | None = None  # small: worse than naive
    weight: float | None = None  # that the preset would give it against naive; the figures here are the network's alone
    seconds: float | None = None  # of training
    device: str = ""
    reason: str = ""  # why there are no figures


def compare(settings: Settings, presets: Sequence[str] = LADDER, *, progress: Progress | None = None) -> list[Rung]:
    """Train every preset on every ticker, and return the ladder: for each ticker naive, AR(1), then the networks.

    Each preset is a run in MLflow, tagged `compare`, with the ladder as `compare.json`.

    Args:
        settings: tickers, source and dates.
        presets: names of presets; the first one's rows are those that the others must have too.
        progress: default: lines of the log.

    Raises:
        PipelineError: a parameter breaks its rule, MLflow does not answer.
    """
    stamp = f"compare__{dt.datetime.now(dt.UTC):%Y-%m-%dT%H-%M-%S}"
    runs = {name: f"{stamp}__{name}" for name in presets}
    tracker = Tracker(settings)
    try:
        for name, run in runs.items():
            _train(settings.model_copy(update={"preset": name}), run, progress)
    except BaseException:
        for run in runs.values():
            with contextlib.suppress(PipelineError):  # not all of them have begun
                runner.stop(run, settings)
        raise
    rungs = [rung for ticker in _tickers(settings, runs[presets[0]]) for rung in _ladder(settings, ticker, runs)]
    for run in runs.values():
        planned = read_plan(settings.store_url, run)
        failed = any(one.reason for one in rungs)
        tracker.close_compared(planned, stamp, [one._asdict() for one in rungs], medians(rungs), failed=failed)
    return rungs


def medians(rungs: Sequence[Rung]) -> dict[str, float]:
    """Return each forecaster's median skill over the tickers."""
    names = dict.fromkeys(one.name for one in rungs)
    skills = {name: [one.skill for one in rungs if one.name == name and one.skill is not None] for name in names}
    return {name: statistics.median(values) for name, values in skills.items() if values}


def _train(settings: Settings, run: str, progress: Progress | None) -> None:
    for batch in runner.plan(settings, run, until="evaluate"):
        try:
            for step in runner.flow(read_plan(settings.store_url, run)):
                runner.run(step.name, batch, settings=settings, progress=progress)
        except DataError:  # no ticker of the batch is left: the ladder says why
            continue


def _tickers(settings: Settings, run: str) -> tuple[str, ...]:
    return read_plan(settings.store_url, run).tickers


def _ladder(settings: Settings, ticker: str, runs: dict[str, str]) -> list[Rung]:
    """Return the rungs of one ticker.

    Raises:
        PipelineError: when the source gave one preset other prices than another.
    """
    rungs: list[Rung] = []
    hashes = set()
    for run in runs.values():
        plan = read_plan(settings.store_url, run)
        folder, name = unit_folder(settings.store_url, ticker, plan), _NAMES[plan.preset.cell]
        manifests = [folder.manifest(step.name) for step in runner.flow(plan)]
        done = [one for one in manifests if one]
        if len(done) < len(manifests) or done[-1].failed:
            rungs.append(Rung(ticker, name, reason=_why(done)))
            continue
        scores, trained = json_of(folder.read("metrics.json")), folder.manifest("train")
        assert trained is not None  # noqa: S101 - counted above
        hashes.add(done[0].outcome.tags["data_sha256"])
        if len(hashes) == 1 and not any(one.name == "naive" for one in rungs):
            rungs[:0] = [
                Rung(ticker, "naive", scores["naive_rmse_usd"], 0.0),
                Rung(ticker, "AR(1)", *_of("ar1", scores)),
            ]
        figures = trained.outcome.metrics
        rungs.append(
            Rung(
                ticker,
                name,
                *_of("network", scores),
                figures["weight"],
                figures["fit_seconds"],
                trained.outcome.tags["device"],
            )
        )
    if len(hashes) > 1:
        raise PipelineError(
            "All rungs must be trained on the same prices.",
            f"{len(hashes)} different snapshots of {ticker}",
            "Run it again when the source has settled, or save the prices and take SOURCE=files.",
        )
    return rungs


def _of(name: str, scores: dict[str, float]) -> tuple[float, float, float]:
    return scores[f"{name}_rmse_usd"], scores[f"{name}_skill"], scores[f"{name}_dm_p_value"]


def _why(done: Sequence[Manifest]) -> str:
    reasons = [str(f) for one in done for f in one.outcome.findings if f.severity == "critical"]
    return " | ".join(reasons) or "stopped before it was done"
