"""A night made again in a folder of its own, on prices that a check has changed. It touches no store and no MLflow."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from pipeline import calendar
from pipeline.outcome import Manifest, Outcome
from pipeline.prices.clean import clean
from pipeline.settings.gate import Gate
from pipeline.steps import FLOW, Unit
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, sha256

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.plan import Plan
    from pipeline.settings import Settings
    from pipeline.tracking.registry import Registry

# The gate's choice between network and reference depends on all test rows: it must not hide a leak of one of them.
_NO_LIMITS = {"tolerance": 1000.0, "significance": 1e-9, "min_coverage_95": 0.0, "max_coverage_95": 1.0}
_STEPS = {step.name: step for step in FLOW}


class Night(NamedTuple):
    """The outcome of each step for each ticker."""

    outcomes: Mapping[str, Mapping[str, Outcome]]  # by ticker, then by step

    def file(self, ticker: str, name: str) -> bytes:
        """Return a file by its name in the store."""
        return next(one.files[name] for one in self.outcomes[ticker].values() if name in one.files)


def plan_of(plan: Plan, settings: Settings, tickers: Sequence[str]) -> Plan:
    """Return the plan of a night for checks: today's preset, trained once, without a champion."""
    return plan.model_copy(
        update={
            "tickers": tuple(tickers),
            "source": "files",
            "currency": "",
            "fault": None,
            "preset": settings.presets[settings.preset],
            "preset_name": settings.preset,
            "gate": Gate.model_validate(settings.gate.model_dump() | _NO_LIMITS),
            "walk_forward": 0,
            "retrain_every": 1,
        }
    )


def made(
    plan: Plan, prices: Mapping[str, pd.DataFrame], settings: Settings, *, until: str, trained: Night | None = None
) -> Night:
    """Return the steps from `ingest` to `until` on other prices.

    `validate` removes rows as in a run and judges nothing: changed prices break its rules.

    Args:
        plan: as `plan_of` returns it.
        prices: all that the source has, by ticker; later rows than `plan.as_of` too.
        settings: of the environment.
        until: name of the last step.
        trained: a night whose training is used again.
    """
    names = [step.name for step in FLOW]
    outcomes: dict[str, dict[str, Outcome]] = {ticker: {} for ticker in plan.tickers}
    with tempfile.TemporaryDirectory() as home:
        for ticker, frame in prices.items():
            frame.reset_index(names="date").to_parquet(Path(home) / f"{ticker}.parquet")
        planned = plan.model_copy(update={"prices": Path(home)})
        alone = settings.model_copy(update={"store": f"{home}/store"})
        for at, name in enumerate(names[: names.index(until) + 1]):
            before = tuple(names[:at])
            units = [unit_of(ticker, planned, alone, name, before, home) for ticker in planned.tickers]
            for unit, outcome in zip(units, _called(name, units, trained, shared=plan.shares_network), strict=True):
                outcomes[unit.ticker][name] = outcome
                write(unit, outcome)
    return Night(outcomes)


def write(unit: Unit, outcome: Outcome) -> None:
    """Write the files and the manifest of a step that a check has called."""
    for path, data in outcome.shared.items():
        Folder(unit.store_url).keep(path, data)
    for name, data in outcome.files.items():
        unit.folder.write(name, data)
    unit.folder.write_manifest(
        Manifest(
            step=unit.step.name,
            key="",
            inputs={},
            outputs={name: sha256(data) for name, data in outcome.files.items()},
            outcome=outcome,
            started=dt.datetime.now(dt.UTC),
            seconds=0.0,
            peak_memory_mb=0.0,
            versions={},
        )
    )


def unit_of(ticker: str, plan: Plan, settings: Settings, step: str, before: tuple[str, ...], home: str) -> Unit:
    """Return the input of a step up to `evaluate`, with its files below a folder."""
    no_registry = cast("Registry", None)  # no step up to `evaluate` reads it on a night that trains
    return Unit(ticker, plan, Folder(f"{home}/night/{ticker}"), settings, no_registry, _STEPS[step], before)


def _called(name: str, units: Sequence[Unit], trained: Night | None, *, shared: bool) -> list[Outcome]:
    if name == "validate":
        return [_cleaned(unit) for unit in units]
    if name == "train" and trained:
        return [trained.outcomes[unit.ticker][name] for unit in units]
    step = _STEPS[name]
    if step.gathers and shared:
        return step.call(units)
    return [outcome for unit in units for outcome in step.call([unit])]


def _cleaned(unit: Unit) -> Outcome:
    raw = unit.raw
    plan = unit.plan
    closed = (*plan.closed_sessions, *plan.presumed_closures)
    sessions = calendar.sessions(plan.calendar, raw.index[0].date(), plan.as_of, closed)
    return Outcome(files={"validated.parquet": frame_bytes(clean(raw, sessions).prices)})
