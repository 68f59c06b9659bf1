"""The DAG `retrain`: wiring and retries. The steps are in pipeline/steps, the life of a run in pipeline/runs.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import DAG, Param, task, task_group

from pipeline.operations import airflow_tasks, assets, dag_docs
from pipeline.operations.kubernetes_pod import executor_config
from pipeline.operations.task_arguments import task_arguments
from pipeline.settings import load_settings
from pipeline.settings.parameters import trigger_form
from pipeline.timetable import SessionTimetable

SETTINGS = load_settings()
PREPARE = ("ingest", "validate", "split_scale", "window")
SERVE = ("evaluate", "promote", "forecast")
ARGUMENTS = task_arguments(SETTINGS)
# A failed ticker makes its task red, and stops neither the other tickers of its batch nor other batches.
GO_ON = sdk.TriggerRule.ALL_DONE
# Workers with a card listen to the queue `gpu`. Other steps go elsewhere and do not occupy the card.
QUEUE: dict[str, dict[str, Any]] = {"train": {"queue": "gpu"}} if SETTINGS.gpu == "queue" else {}


def step_task(name: str, **arguments: Any) -> Any:
    """Return the task of a step, for one batch of tickers or to be mapped over batches."""
    return task(
        task_id=name,
        map_index_template="{{ batch_name }}",
        doc_md=dag_docs.TASKS[name],
        executor_config=executor_config(name, SETTINGS.pod_gpus),
        **{**ARGUMENTS, **QUEUE.get(name, {}), **arguments},
    )(airflow_tasks.run_step)


@task_group
def prepare(batch: dict[str, Any]) -> None:
    """Prepare one batch of tickers for the network."""
    first, *others = PREPARE
    batch = step_task(first)(first, batch)
    for name in others:
        batch = step_task(name, trigger_rule=GO_ON)(name, batch)


@task_group
def serve(batch: dict[str, Any]) -> None:
    """Judge and serve the network for one batch of tickers."""
    first, *others = SERVE
    batch = step_task(first, trigger_rule=GO_ON)(first, batch)
    for name in others:
        batch = step_task(name, trigger_rule=GO_ON)(name, batch)


with DAG(
    "retrain",
    description="Retrains one forecaster per ticker after each trading day and scores it beside naive.",
    schedule=SessionTimetable(SETTINGS.calendar, SETTINGS.delay_minutes, closed=SETTINGS.closed_sessions),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),  # a hanging run must not keep the next night from starting
    params={name: Param(**field) for name, field in trigger_form(SETTINGS).items()},
    tags=dag_docs.TAGS,
    doc_md=dag_docs.retrain_text(SETTINGS),
) as dag:
    batches = task(doc_md=dag_docs.TASKS["plan"], **ARGUMENTS)(airflow_tasks.plan)()
    trainings = task(trigger_rule=GO_ON, doc_md=dag_docs.TASKS["gather"], **ARGUMENTS)(airflow_tasks.gather)(batches)
    train = step_task("train").partial(name="train").expand(batch=trainings)
    announce = task(
        trigger_rule=GO_ON, outlets=assets.assets_of_universe(SETTINGS), doc_md=dag_docs.TASKS["announce"], **ARGUMENTS
    )(airflow_tasks.announce)("{{ run_id }}")
    report = task(trigger_rule=GO_ON, doc_md=dag_docs.TASKS["report"], **ARGUMENTS)(airflow_tasks.report)()
    prepare.expand(batch=batches) >> trainings
    train >> serve.expand(batch=batches) >> announce >> report
