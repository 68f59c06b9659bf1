"""What Airflow's pages say about the DAGs and their tasks, for those who operate them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import pages

if TYPE_CHECKING:
    from pipeline.settings import Settings

OWNER = "closecast"
ACCEPT = "Accept"  # the options of `decide`
REJECT = "Reject"
TAGS = ("closecast", "forecasting")

TASKS = {
    "plan": "Fixes tickers, session and preset of this run, and cuts the tickers into batches. A retry keeps the plan.",
    "gather": "Waits until every batch is prepared. From 10 tickers on, all of them share one training.",
    "ingest": "Fetches the prices up to the session, and compares them with the last snapshot.",
    "validate": "Checks the prices by `expectations/prices.json`. A critical failure stops the ticker.",
    "split_scale": "Cuts the history into train and test, and fits the scaler on train only.",
    "window": "Chooses the rows that each part predicts.",
    "train": "Fits the network. Uses the card of the machine if it has one.",
    "evaluate": "Scores the network on the test rows, beside forecasts and intervals that need no network.",
    "promote": "Decides by the rules of the gate whether the new version is served, and registers it in MLflow.",
    "forecast": "Forecasts the next session by the champion, writes the ledger, and scores earlier forecasts.",
    "announce": "Emits an event for the asset of each ticker whose forecast is in: DAGs that wait for them start.",
    "report": "Writes report and results, ends the run in MLflow and sends the alerts. Red when a ticker failed.",
    "question": "Reads the changed closes for the question. Skipped when the ticker does not wait.",
    "ask": "Waits on Airflow's page of required actions, and holds no slot.",
    "finish": "Records who answered, when and why, and does the steps of the ticker in its run.",
    "look": "Sends an alert when no run of the last session has finished in time.",
    "prune": "Deletes nights that no rule keeps. Tried again hourly while a night is in progress.",
}


def retrain_text(settings: Settings) -> str:
    """Return the documentation of the DAG `retrain`, in Markdown, with the addresses of this deployment."""
    return _page("retrain.md").format(
        mlflow=f"{settings.mlflow_page}/#/experiments?workflowType=machine_learning",
        experiment=settings.experiment,
        store=settings.store_url,
        retries=settings.retries,
    )


def watch_text(settings: Settings) -> str:
    """Return the documentation of the DAG `watch`, in Markdown."""
    return _page("watch.md").format(minutes=settings.late_minutes)


def prune_text(settings: Settings) -> str:
    """Return the documentation of the DAG `prune`, in Markdown."""
    return _page("prune.md").format(nights=settings.keep_nights, rows=settings.keep_rows)


def decide_text(settings: Settings) -> str:
    """Return the documentation of the DAG `decide`, in Markdown."""
    return _page("decide.md").format(hours=f"{settings.ask_hours:g}")


def _page(name: str) -> str:
    return (Path(pages.__file__).parent / name).read_text()
