"""The ladder: naive, AR(1), the references of the scale, SimpleRNN, GRU, LSTM on the same rows. It promotes nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline import runs
from pipeline.errors import PipelineError
from pipeline.evaluation import metrics
from pipeline.evaluation.scores import Scores
from pipeline.forecasting.rivals import REFERENCES
from pipeline.prices.snapshot import SnapshotRecord
from pipeline.store.formats import arrays_of, frame_of
from pipeline.store.runs import read_plan, unit_folder
from pipeline.tracking.runs import Runs

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.outcome import Manifest
    from pipeline.plan import Plan
    from pipeline.reporting.progress import Progress
    from pipeline.settings import Settings
    from pipeline.store.folder import Folder

LADDER = ("daily", "gru", "lstm")  # presets that differ in their cell only
_NAMES = {"simple_rnn": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}


class Rung(NamedTuple):
    """One forecaster of one ticker. Figures are None where it came to none."""

    ticker: str
    name: str
    rmse: float | None = None
    skill: float | None = None
    dm_p_value: float | None = None  # small: worse than naive
    weight: float | None = None  # of the network against naive, as the preset serves it; scores: network alone
    seconds: float | None = None  # of training
    device: str = ""
    reason: str = ""  # why there are no figures
    currency: str = ""  # of the RMSE; "" if it is unknown
    interval_score_95_pct: float | None = None  # as the preset serves it, and so for the next ones
    interval_skill_95: float | None = None  # against the EWMA of closes, calibrated once
    pinball_pct: float | None = None
    coverage_95: float | None = None


def compare(settings: Settings, presets: Sequence[str] = LADDER, *, progress: Progress | None = None) -> list[Rung]:
    """Train every preset on every ticker, and return the ladder of each: naive, AR(1), references, networks.

    A reference forecasts as naive, with another scale.

    Each preset is a run in MLflow, tagged `compare`, with the ladder as `compare.json`. A rung without scores, or with
    scores of other rows, has a reason and costs no other rung.

    Args:
        settings: tickers, source and dates.
        presets: names of presets. The first one that succeeds for a ticker sets its closes and test rows; the
            others must have the same.
        progress: default: lines of the log.

    Raises:
        PipelineError: a parameter breaks its rule, MLflow does not answer.
    """
    begun = dt.datetime.now(dt.UTC)  # one moment for all presets: a session may close while the first one trains
    stamp = f"compare__{begun:%Y-%m-%dT%H-%M-%S}"
    names = {name: f"{stamp}__{name}" for name in presets}
    tracking = Runs(settings)
    try:
        for name, run in names.items():
            _train(settings.model_copy(update={"preset": name}), run, begun, progress)
        plans = [read_plan(settings.store_url, run) for run in names.values()]
        rungs = [rung for ticker in plans[0].tickers for rung in _ladder(settings, ticker, plans)]
        rows = [one._asdict() for one in rungs]
        failed = any(one.reason for one in rungs)
        for planned in plans:
            tracking.close_compared(planned, stamp, rows, medians(rungs), failed=failed)
    except BaseException:
        for run in names.values():
            with contextlib.suppress(PipelineError):  # not all of them have begun
                runs.stop(run, settings)
        raise
    return rungs


def medians(rungs: Sequence[Rung], score: str = "skill") -> dict[str, float]:
    """Return each forecaster's median of a score over the tickers."""
    known: dict[str, list[float]] = {}
    for one in rungs:
        value = getattr(one, score)
        if value is not None:
            known.setdefault(one.name, []).append(value)
    return {name: statistics.median(values) for name, values in known.items()}


def _train(settings: Settings, run: str, begun: dt.datetime, progress: Progress | None) -> None:
    batches = runs.plan(settings, run, moment=begun, until="evaluate")
    for stage in runs.stages(read_plan(settings.store_url, run), batches):
        runs.run_stage(settings, stage, progress)  # each rung of a failed ticker has its reason in the ladder


def _ladder(settings: Settings, ticker: str, plans: Sequence[Plan]) -> list[Rung]:
    """Return the rungs of one ticker."""
    rungs: list[Rung] = []
    first: Folder | None = None
    for plan in plans:
        folder = unit_folder(settings.store_url, ticker, plan)
        name = _NAMES[plan.preset.cell]
        manifests = [folder.manifest(step.name) for step in runs.flow(plan)]
        done = [one for one in manifests if one]
        if len(done) < len(manifests) or done[-1].failed:
            rungs.append(Rung(ticker, name, reason=_failures(done)))
            continue
        scores = Scores.from_json(folder.read("metrics.json"))
        currency = SnapshotRecord.of(folder).currency
        trained = folder.manifest("train")
        assert trained is not None  # noqa: S101 - counted above
        if first is None:
            first = folder
            rungs[:0] = _simple_rungs(ticker, scores, currency)
        elif reason := _incomparable(first, folder):
            rungs.append(Rung(ticker, name, reason=reason))
            continue
        figures = trained.outcome.metrics
        rungs.append(
            Rung(
                ticker,
                name,
                scores.network_rmse,
                scores.network_skill,
                scores.network_dm_p_value,
                figures["weight"],
                figures["fit_seconds"],
                trained.outcome.tags["device"],
                currency=currency,
                interval_score_95_pct=scores.interval_score_95_pct,
                interval_skill_95=scores.interval_skill_95,
                pinball_pct=scores.pinball_pct,
                coverage_95=scores.coverage_95,
            )
        )
    return rungs


def _simple_rungs(ticker: str, scores: Scores, currency: str) -> list[Rung]:
    """Return the rungs that need no network."""
    naive = Rung(ticker, "naive", scores.naive_rmse, 0.0, currency=currency)
    ar1 = Rung(ticker, "AR(1)", scores.ar1_rmse, scores.ar1_skill, scores.ar1_dm_p_value, currency=currency)
    rungs = [naive, ar1]
    for scale, its in scores.references.items():
        reference = naive._replace(
            name=REFERENCES[scale],
            interval_score_95_pct=its.interval_score_95_pct,
            pinball_pct=its.pinball_pct,
            coverage_95=its.coverage_95,
        )
        if scores.ewma_interval_score_95_pct:
            skill = metrics.skill(its.interval_score_95_pct, scores.ewma_interval_score_95_pct)
            reference = reference._replace(interval_skill_95=skill)
        rungs.append(reference)
    return rungs


def _incomparable(first: Folder, other: Folder) -> str:
    """Return the reason why scores of `other` and `first` cannot be compared, "" when they can.

    The closes decide, not the snapshot's bytes: a source may correct a volume from one preset to the next.
    """
    before = arrays_of(first.read("scaled.npz"))
    now = arrays_of(other.read("scaled.npz"))
    if not all(np.array_equal(before[name], now[name]) for name in ("sessions", "closes")):
        return (
            "All rungs must be trained on the same closes; the source sent other closes for this one. Run it again "
            "when the source has settled, or save the prices and use SOURCE=files."
        )
    tested = frame_of(first.read("predictions.parquet")).index
    others = frame_of(other.read("predictions.parquet")).index
    if not tested.equals(others):
        return (
            f"All rungs must be tested on the same rows: {_span(others)} here, {_span(tested)} on the first. "
            "Give the presets the same train_fraction, lookback and reach_back."
        )
    return ""


def _span(sessions: pd.Index[Any]) -> str:
    return f"{len(sessions):,} rows from {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}"


def _failures(done: Sequence[Manifest]) -> str:
    reasons = [str(f) for one in done for f in one.outcome.findings if f.severity == "critical"]
    return " | ".join(reasons) or "stopped before it was done"
