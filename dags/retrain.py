"""The DAG `retrain`: wiring and retries. The steps are in pipeline/steps, the life of a run in pipeline/runs.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import DAG, Param, RetryAction, RetryRule, get_current_context, task, task_group

from pipeline.operations.kubernetes_pod import executor_config
from pipeline.settings import load_settings
from pipeline.settings.parameters import trigger_form
from pipeline.timetable import SessionTimetable

SETTINGS = load_settings()


def alert_of_failure(context: Any) -> None:
    """Send an alert of a failure that the report of the run does not name."""
    from pipeline.alerting import notify

    notify.task_failed(load_settings(), context["ti"].task_id, context["run_id"], context.get("exception"))


def die_with_supervisor(_context: Any) -> None:
    """End this task when its supervisor dies, so that no process still trains when the next try begins."""
    from pipeline.operations.lifeline import die_with_parent

    die_with_parent()


# Only a service that did not answer is tried again: bad data and wrong parameters fail at once.
RETRIES: dict[str, Any] = {
    "on_execute_callback": die_with_supervisor,
    "on_failure_callback": alert_of_failure,
    "retries": SETTINGS.retries,
    "retry_delay": timedelta(seconds=SETTINGS.retry_seconds),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": sdk.ExceptionRetryPolicy(
        rules=[
            RetryRule("pipeline.errors.Unavailable", RetryAction.RETRY, reason="a service did not answer"),
            RetryRule("pipeline.errors.PipelineError", RetryAction.FAIL, reason="another try would fail too"),
        ]
    ),
}
# Workers with a card listen to the queue `gpu`. Other steps go elsewhere and do not occupy the card.
QUEUE: dict[str, dict[str, Any]] = {"train": {"queue": "gpu"}} if SETTINGS.gpu == "queue" else {}


@task(**RETRIES)
def plan() -> list[dict[str, Any]]:
    """Write the plan of this run and return its batches of tickers."""
    from pipeline import runs

    context = get_current_context()
    given = dict(context["params"])
    overrides = given.pop("overrides")
    run = context["dag_run"]
    moment = run.data_interval_end or run.run_after
    return [dict(batch) for batch in runs.plan(load_settings(**given), run.run_id, moment=moment, overrides=overrides)]


def step(name: str, batch: dict[str, Any]) -> Any:
    """Wire one step for one batch."""

    @task(
        task_id=name,
        map_index_template="{{ batch_name }}",
        executor_config=executor_config(name, SETTINGS.pod_gpus),
        **RETRIES,
        **QUEUE.get(name, {}),
    )
    def run_step(batch: dict[str, Any]) -> dict[str, Any]:
        from pipeline import runner

        context = get_current_context()
        context["batch_name"] = ", ".join(batch["tickers"])
        ti = context["ti"]
        return dict(runner.run(name, batch, last_try=ti.try_number > ti.max_tries))

    return run_step(batch)


@task_group
def unit(batch: dict[str, Any]) -> None:
    """Run all steps for one batch of tickers."""
    for name in ("ingest", "validate", "split_scale", "window", "train", "evaluate", "promote", "forecast"):
        batch = step(name, batch)


@task(trigger_rule=sdk.TriggerRule.ALL_DONE, **RETRIES)
def report() -> None:
    """Write the results of the run; fail when a ticker failed, with its name and reason."""
    from pipeline import runs

    runs.report(get_current_context()["dag_run"].run_id)


with DAG(
    "retrain",
    description="Retrains one forecaster per ticker after each trading day and scores it in dollars beside naive.",
    schedule=SessionTimetable(SETTINGS.calendar, SETTINGS.delay_minutes),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),  # a hanging run must not keep the next night from starting
    params={name: Param(**field) for name, field in trigger_form(SETTINGS).items()},
    tags=["closecast"],
    doc_md=__doc__,
) as dag:
    unit.expand(batch=plan()) >> report()
