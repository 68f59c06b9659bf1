"""Runs as they lie in the store, without their work: plan, manifests, prices, scores, results."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from pipeline.cli.preflight import check
from pipeline.outcome import Finding, Released, Results
from pipeline.plan import Plan, folder_name
from pipeline.reporting.closing import closing, results_json
from pipeline.reporting.results import Result
from pipeline.serving.promotion import Decision, Rule
from pipeline.store.formats import frame_bytes
from pipeline.store.runs import run_folder, unit_folder
from tests.support.report_units import scored_rows, scores_of, write

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.settings import Settings

PLANNED = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


def leave_plan(settings: Settings, name: str, as_of: str, hour: int = 0, **changed: Any) -> Plan:
    """Write the plan of a run of AAA, planned at an hour of one day, and return it."""
    plan = check(settings).model_copy(
        update={
            "run": folder_name(name),
            "dag_run_id": name,
            "as_of": dt.date.fromisoformat(as_of),
            "created": PLANNED + dt.timedelta(hours=hour),
            "tickers": ("AAA",),
            **changed,
        }
    )
    run_folder(settings.store_url, plan.run).write("plan.json", plan.model_dump_json().encode())
    return plan


def leave_unit(
    settings: Settings, plan: Plan, prices: pd.DataFrame, *, ticker: str = "AAA", version: int = 1, **scores: float
) -> None:
    """Write a unit of a run that was promoted as a version. `scores` replaces scores."""
    folder = unit_folder(settings.store_url, ticker, plan)
    _, actual, made, naive = scored_rows()
    scored = scores_of(actual, made, naive).model_copy(update=scores)
    rule = Rule(name="rmse", says="RMSE", value="1.0", limit="1.01", passed=True)
    decision = Decision(promoted=True, policy="unless_worse", champion=None, rules=(rule,))
    tags = {"currency": "USD", "first_session": str(prices.index[0].date())}
    write(folder, "ingest", files={"raw.parquet": frame_bytes(prices)}, tags=tags)
    for step in ("validate", "split_scale", "window", "train"):
        write(folder, step)
    write(folder, "evaluate", files={"metrics.json": scored.to_json()})
    write(
        folder,
        "promote",
        files={"decision.json": decision.to_json()},
        results=Results(released=Released(version=version)),
    )
    write(folder, "forecast", results=Results(no_forecast="none"))


def leave_failure(settings: Settings, plan: Plan, ticker: str = "AAA") -> None:
    """Write a unit that failed in its first step."""
    finding = Finding(rule="The file must have a close", severity="critical", observed="Price", todo="Correct it.")
    write(unit_folder(settings.store_url, ticker, plan), "ingest", findings=(finding,))


def leave_results(settings: Settings, plan: Plan, *rows: Result) -> None:
    """Write results.json of a run."""
    end = closing(plan.dag_run_id, rows, {})
    run_folder(settings.store_url, plan.run).write("results.json", results_json(end, rows))


def row(ticker: str = "AAA", *, decision: str = "promoted", reason: str = "", skill: float | None = 0.01) -> Result:
    """Return a ticker's result."""
    return Result(ticker, 1000, 200, 1.0, 1.0, skill, 2.0, "a" * 32, "forecast", reason, (), decision=decision)
