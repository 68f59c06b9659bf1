"""Stores of many nights without their work, for tests of `prune`; `python -m tests.support.old_nights` measures one."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pipeline import calendar
from pipeline.operations import pruning
from pipeline.outcome import Effects, ForecastRecord, Manifest, Outcome, Release, Released, Results
from pipeline.plan import folder_name, make_plan
from pipeline.prices import snapshot
from pipeline.reporting.closing import closing, results_json
from pipeline.reporting.results import Result
from pipeline.serving import ledger
from pipeline.serving.promotion import Decision, Rule
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store import deleted
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256
from pipeline.store.runs import run_folder, unit_folder
from pipeline.tracking.registry import Registry
from pipeline.tracking.runs import Runs
from tests.support.ledger_rows import ROW
from tests.support.report_units import scored_rows, scores_of

if TYPE_CHECKING:
    from pipeline.plan import Plan
    from pipeline.prices.archive import Stored
    from pipeline.settings import Settings

FIRST = pd.Timestamp("2024-01-02")
SMALL = {"predictions.parquet": 300, "model.keras": 200}  # bytes of a unit's files
MODEL = {"MLmodel": 10, "artifacts/model.keras": 200}  # the same of its model in MLflow


class Sizes(NamedTuple):
    """Bytes of the files of one unit, by name."""

    store: dict[str, int] = SMALL
    model: dict[str, int] = MODEL
    run: int = 20  # of its run in MLflow


_SMALL = Sizes()
_NIGHT_1 = dt.date(2024, 6, 3)
_RESTATED = dt.date(2024, 6, 4)  # the second night
_LAST = dt.date(2026, 6, 1)


def leave_nights(
    settings: Settings, tickers: Sequence[str], nights: int, *, promoted: Sequence[int] = (), sizes: Sizes = _SMALL
) -> list[Plan]:
    """Leave one run a session, each with a version per ticker and a row of the ledger; return their plans.

    Night 1 and those in `promoted` train new weights, which are served; on each other night the champion continues with
    the weights before.
    """
    runs = Runs(settings)
    registry = Registry(settings)
    stored: dict[str, Stored | None] = dict.fromkeys(tickers)
    weights: dict[str, tuple[int, str]] = {}
    plans = []
    for night in range(1, nights + 1):
        plan = _plan(settings, tickers, night)
        plans.append(plan)
        runs.open_parent(plan)
        for ticker in tickers:
            stored[ticker] = _leave_snapshot(settings, plan, ticker, stored[ticker])
            trains = night == 1 or night in promoted
            run_id = str(runs.unit_run(plan, ticker).info.run_id)
            runs.client.log_text(run_id, "x" * sizes.run, "evidence.txt")
            before = registry.champion(ticker)
            model_id = _leave_model(runs, run_id, sizes)
            number, weights_run = (before.number + 1 if before else 1, run_id) if trains else weights[ticker]
            tags = {"ticker": ticker, "as_of": str(plan.as_of), "cutoff": str(plan.as_of), "synthetic": "true"}
            tags |= {"dag_run_id": plan.dag_run_id} | ({} if trains else {"weights_of": str(number)})
            release = Release(
                promoted=True, champion=before.number if before else None, reason="promoted", tags=tags, description=""
            )
            released = registry.release(ticker, model_id, weights_run, release, plan.created)
            weights[ticker] = (number, weights_run)
            _leave_files(settings, plan, ticker, release, released, sizes)
            runs.set_status(run_id, "FINISHED")
        _leave_results(settings, plan)
    return plans


def _plan(settings: Settings, tickers: Sequence[str], night: int) -> Plan:
    as_of = calendar.sessions(settings.calendar, _NIGHT_1, _LAST)[night - 1].date()
    now = dt.datetime.combine(as_of, dt.time(23), dt.UTC)
    asked = settings.model_copy(update={"tickers": tuple(tickers), "as_of": as_of, "start": None})
    plan = make_plan(asked, f"scheduled__{as_of}+00:00", now=now, moment=now, overrides={})
    run_folder(settings.store_url, plan.run).write("plan.json", plan.model_dump_json().encode())
    return plan


def _leave_snapshot(settings: Settings, plan: Plan, ticker: str, before: Stored | None) -> Stored:
    sessions = pd.bdate_range(FIRST, plan.as_of, name="session")
    closes = 100 + np.arange(len(sessions), dtype="float64")
    is_restated = plan.as_of == _RESTATED
    if is_restated:  # a night that shares no file with another one
        closes = closes * 2
    prices = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume"), closes), index=sessions)
    kept = snapshot.keep(ticker, prices, None if is_restated else before)
    for path, data in kept.files.items():
        Folder(settings.store_url).keep(path, data)
    record = snapshot.SnapshotRecord("USD", "USD", kept.name, kept.sha256).to_json()
    folder = unit_folder(settings.store_url, ticker, plan)
    folder.write(snapshot.FILE, record)
    tags = {"source": plan.source, "data_sha256": kept.sha256}
    _leave_manifest(folder, "ingest", plan, Outcome(tags=tags), outputs={snapshot.FILE: sha256(record)})
    found = snapshot.read(settings.store_url, ticker, folder, folder.manifest("ingest")).stored
    assert found is not None
    return before if is_restated and before else found


def _leave_model(runs: Runs, run_id: str, sizes: Sizes) -> str:
    model = runs.client.create_logged_model(runs.experiment, name="model", source_run_id=run_id)
    with tempfile.TemporaryDirectory() as place:
        for name, size in sizes.model.items():
            file = Path(place) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x" * size)
        runs.client.log_model_artifacts(model.model_id, place)
    runs.client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _leave_files(
    settings: Settings, plan: Plan, ticker: str, release: Release, released: Released, sizes: Sizes
) -> None:
    folder = unit_folder(settings.store_url, ticker, plan)
    for name, size in sizes.store.items():
        folder.write(name, b"x" * size)
    _, actual, made, naive = scored_rows()
    folder.write("metrics.json", scores_of(actual, made, naive).to_json())
    rule = Rule(name="rmse", says="RMSE", value="1.0", limit="1.01", passed=True)
    decision = Decision(promoted=True, policy="unless_worse", champion=release.champion, rules=(rule,))
    folder.write("decision.json", decision.to_json())
    for step in FLOW[1:-2]:
        _leave_manifest(folder, step.name, plan, Outcome())
    effects = Effects(release=release)
    _leave_manifest(folder, "promote", plan, Outcome(effects=effects), results=Results(released=released))
    record = _forecast(settings, plan, ticker, released.version)
    _leave_manifest(folder, "forecast", plan, Outcome(), results=Results(recorded=record))


def _forecast(settings: Settings, plan: Plan, ticker: str, version: int) -> ForecastRecord:
    given = {
        "ticker": ticker,
        "session": plan.as_of + dt.timedelta(days=1),
        "version": version,
        "run": plan.run,
        "as_of": plan.as_of,
        "created": plan.created,
        "synthetic": True,
    }
    return ledger.write(settings.ledger_place, ROW.model_copy(update=given))


def _leave_manifest(
    folder: Folder,
    step: str,
    plan: Plan,
    outcome: Outcome,
    *,
    outputs: dict[str, str] | None = None,
    results: Results | None = None,
) -> None:
    folder.write_manifest(
        Manifest(
            step=step, key=step, inputs={}, outputs=outputs or {}, outcome=outcome, results=results,
            started=plan.created, seconds=1.0, peak_memory_mb=1.0, versions={},
        )
    )  # fmt: skip


def _leave_results(settings: Settings, plan: Plan) -> None:
    folder = run_folder(settings.store_url, plan.run)
    rows = []
    for ticker in plan.tickers:
        head = ledger.head(settings.ledger_place, ticker)
        assert head is not None
        one = Result(ticker, 3000, 600, 13.6, 13.5, -0.008, 12.3, "a" * 32, "forecast", "", ())
        one = one._replace(decision="promoted", served_version=1, served_trained=str(plan.as_of))
        rows.append(one._replace(ledger_position=head.position, ledger_hash=head.hash, ledger_row=head.row))
    folder.write("results.json", results_json(closing(plan.dag_run_id, rows, {}), rows))
    folder.write("report.html", b"x" * 1000)


def folder_of_night(settings: Settings, plan: Plan, ticker: str = "AAA") -> Folder:
    """Return the folder of a unit."""
    return Folder(f"{settings.store_url}/{ticker}/{plan.as_of}/{folder_name(plan.dag_run_id)}")


def whole_nights(settings: Settings, plans: Sequence[Plan], ticker: str = "AAA") -> set[int]:
    """Return the numbers of the nights without a record of their deletion; they must be whole."""
    found = set()
    for number, plan in enumerate(plans, 1):
        if ticker in deleted.read(settings.store_url, plan.run).units:
            continue
        folder = folder_of_night(settings, plan, ticker)
        snapshot.read(settings.store_url, ticker, folder, folder.manifest("ingest"))
        assert folder.manifest("forecast")
        found.add(number)
    return found


# A night of one ticker with the preset `daily` on 3,777 sessions (2026-11-30): 27 files in the store, the files of its
# run and one model in MLflow. The 59 files of a model are one here.
MEASURED = Sizes(
    store={
        "predictions.parquet": 186_356, "validated.parquet": 101_952, "scaled.npz": 98_052, "served.keras": 41_356,
        "refitted.keras": 41_356, "model.keras": 41_356, "validation.json": 32_681, "forecast.png": 29_801,
        "intervals.png": 17_545, "scored.parquet": 13_487, "residuals.png": 12_973, "others": 42_000,
    },
    model={"files": 276_000},
    run=400_000,
)  # fmt: skip


def main() -> None:
    """Leave nights with files of measured sizes, prune them, and print the megabytes before and after."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tickers", type=int, default=10)
    parser.add_argument("--nights", type=int, default=50)
    asked = parser.parse_args()
    tickers = [f"T{number:03d}" for number in range(asked.tickers)]
    with tempfile.TemporaryDirectory(prefix="closecast-prune-") as var:
        os.environ["CLOSECAST_VAR"] = var
        settings = load_settings()
        leave_nights(settings, tickers, asked.nights, promoted=range(5, asked.nights, 20), sizes=MEASURED)
        for when in ("before", "after"):
            sizes = [_megabytes(Path(var) / place) for place in ("store", "mlflow/artifacts", "mlflow/mlflow.db")]
            sys.stdout.write(f"{when}: store {sizes[0]:.1f}, artifacts {sizes[1]:.1f}, database {sizes[2]:.1f} MB\n")
            if when == "before":
                started = time.perf_counter()
                done = pruning.prune(settings).pruned
                sys.stdout.write(f"pruned in {time.perf_counter() - started:.0f} s: {done}\n")
            sys.stdout.flush()


def _megabytes(place: Path) -> float:
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    main()
