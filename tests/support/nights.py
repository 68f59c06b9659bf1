"""Runs of one ticker, step by step, without Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mlflow
import pandas as pd
import pytest

from pipeline import runner, runs
from pipeline.errors import DataError, Unavailable
from pipeline.outcome import ForecastRecord
from pipeline.plan import Batch, Plan
from pipeline.prices import snapshot
from pipeline.prices.sources import Quoted, sample
from pipeline.settings import Settings, load_settings
from pipeline.steps import FLOW, Step
from pipeline.store.folder import Folder
from pipeline.store.runs import read_plan, unit_folder
from tests.support.tiny import tiny_settings

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run


class Finished(NamedTuple):
    """A run of the tickers GOOD and BAD that has ended."""

    settings: Settings
    batch: Batch


class Logged(NamedTuple):
    """The runs in MLflow."""

    client: mlflow.MlflowClient
    experiment: Experiment
    runs: Sequence[Run]


def night(name: str, as_of: str, *, steps: Sequence[Step] = FLOW, **settings: Any) -> Folder:
    """Run AAA once as of a session and return its folder."""
    given = load_settings(**{"tickers": ("AAA",), **settings, "as_of": as_of})
    (batch,) = runs.plan(given, f"manual__{name}")
    for step in steps:
        runner.run(step.name, batch, settings=given)
    return folder_of(given, batch, "AAA")


def folder_of(settings: Settings, batch: Batch, ticker: str) -> Folder:
    """Return a unit's folder."""
    return folder_of_run(settings, batch["run"], ticker)


def folder_of_run(settings: Settings, run: str, ticker: str = "AAA") -> Folder:
    """Return a unit's folder by the name of its run."""
    return unit_folder(settings.store_url, ticker, read_plan(settings.store_url, run))


def run_good_and_bad(patch: pytest.MonkeyPatch, home: Path) -> Finished:
    """Run and report two tickers. BAD fails in `ingest`: its file has no close."""
    prices = home / "prices"
    prices.mkdir()
    sample_prices("GOOD").to_csv(prices / "GOOD.csv")
    (prices / "BAD.csv").write_text("Date,Price\n2025-11-21,1\n")
    tiny_settings(patch, home)
    patch.setenv("CLOSECAST_PRICES", str(prices))
    patch.setenv("CLOSECAST_SOURCE", "files")
    settings = load_settings(tickers=("GOOD", "BAD"), batch_size=2)
    (batch,) = runs.plan(settings, "manual__1")
    runs.run_stage(settings, runs.Stage(FLOW, batch), None)
    with pytest.raises(DataError, match="BAD in ingest"):
        runs.report("manual__1", settings=settings)
    return Finished(settings, batch)


def logged_runs(settings: Settings) -> Logged:
    """Return all runs in MLflow."""
    client = mlflow.MlflowClient(settings.mlflow_uri)
    experiment = client.get_experiment_by_name("closecast")
    return Logged(client, experiment, client.search_runs([experiment.experiment_id]))


def json_in(folder: Folder, name: str) -> dict[str, Any]:
    """Return the content of `name`.json of a unit."""
    return dict(json.loads(folder.read(f"{name}.json")))


def live_points(settings: Settings) -> list[int]:
    """Return the steps of the series of served forecasts in MLflow."""
    client = mlflow.MlflowClient(settings.mlflow_uri)
    experiment = client.get_experiment_by_name("closecast").experiment_id
    found = client.search_runs([experiment], "tags.live = 'synthetic'")
    return [point.step for run in found for point in client.get_metric_history(run.info.run_id, "error")]


def sample_prices(ticker: str) -> pd.DataFrame:
    """Return the synthetic prices of a ticker from 2022-01-03 to 2025-11-21."""
    first = pd.Timestamp("2022-01-03").date()
    last = pd.Timestamp("2025-11-21").date()
    return sample.fetch(ticker, first, last, calendar="XNYS")


def forecast_record(**fields: Any) -> ForecastRecord:
    """Return a forecast with intervals of 1 and 2 around `forecast`."""
    made = fields["forecast"]
    bounds = {"low_80": made - 1, "high_80": made + 1, "low_95": made - 2, "high_95": made + 2}
    return ForecastRecord(**bounds, **fields)


def silent_for(ticker: str) -> Callable[[str, Plan, Settings], Quoted]:
    """Return `snapshot.fetch` of a source that does not answer for one ticker."""
    answered = snapshot.fetch

    def fetch(asked: str, plan: Plan, settings: Settings) -> Quoted:
        if asked == ticker:
            raise Unavailable("Yahoo must answer.", "HTTP 429", "Wait.")
        return answered(asked, plan, settings)

    return fetch
