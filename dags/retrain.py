"""The DAG `retrain`: wiring only. What a step does stands in pipeline/steps, how in pipeline/runner.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from airflow.sdk import (
    DAG,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    TriggerRule,
    get_current_context,
    task,
    task_group,
)

from pipeline.operations.kubernetes_pod import executor_config
from pipeline.settings import load_settings
from pipeline.settings.fault import Fault
from pipeline.timetable import SessionTimetable

SETTINGS = load_settings()


def failed_for_good(context: Any) -> None:
    """Tell people of a failure that no report will name: bad prices are told by `report`, which runs after them."""
    from pipeline.alerting.notify import tell_failed
    from pipeline.errors import DataError, Unavailable, UsageError

    task, error = context["ti"].task_id, context.get("exception")
    told_elsewhere = (DataError, UsageError, Unavailable) if task.startswith("unit.") else (DataError, UsageError)
    if isinstance(error, told_elsewhere) and task != "plan":
        return
    tell_failed(load_settings(), task, context["run_id"], error)


def die_with_supervisor(_context: Any) -> None:
    """Leave no process that trains on while the next try has begun."""
    from pipeline.operations.lifeline import die_with_parent

    die_with_parent()


# Bad data stays bad, a wrong parameter stays wrong: only what another try can mend is tried again.
RETRIES: dict[str, Any] = {
    "on_execute_callback": die_with_supervisor,
    "on_failure_callback": failed_for_good,
    "retries": SETTINGS.retries,
    "retry_delay": timedelta(seconds=SETTINGS.retry_seconds),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule("pipeline.errors.Unavailable", RetryAction.RETRY, reason="a service did not answer"),
            RetryRule("pipeline.errors.PipelineError", RetryAction.FAIL, reason="another try cannot mend this"),
        ]
    ),
}
# Workers with a card listen to the queue `gpu`; the other steps would only keep them from it.
QUEUE: dict[str, dict[str, Any]] = {"train": {"queue": "gpu"}} if SETTINGS.gpu == "queue" else {}
PARAMS = {
    "tickers": Param(
        list(SETTINGS.tickers),
        type="array",
        items={"type": "string"},
        title="Tickers",
        description="What to retrain, one per line. The source `sample` makes a market up for any name.",
    ),
    "source": Param(
        SETTINGS.source,
        type="string",
        enum=["sample", "files", "yahoo"],
        title="Source",
        description="Where prices come from: a synthetic market, the price files of CLOSECAST_PRICES, or Yahoo.",
    ),
    "preset": Param(
        SETTINGS.preset,
        type="string",
        enum=sorted(SETTINGS.presets),
        title="Preset",
        description="The recipe of the network, from closecast.toml. `tutorial` is the published one.",
    ),
    "start": Param(
        SETTINGS.start and SETTINGS.start.isoformat(),
        type=["null", "string"],
        format="date",
        title="Start",
        description="First session of the history. Empty: all that the source has.",
    ),
    "as_of": Param(
        SETTINGS.as_of and SETTINGS.as_of.isoformat(),
        type=["null", "string"],
        format="date",
        title="As of",
        description="Last session that the run may know. Empty: the last one that has closed.",
    ),
    "walk_forward": Param(
        SETTINGS.walk_forward,
        type="integer",
        minimum=0,
        maximum=250,
        title="Walk-forward",
        section="Expert",
        description="Train again this often over the test rows, each time on what was known then. 0: not at all.",
    ),
    "fault": Param(
        SETTINGS.fault,
        type=["null", "string"],
        enum=[None, *get_args(Fault)],
        title="Fault",
        section="Expert",
        description="Damage to the synthetic market, to see a check and its alert at work. Only with source `sample`.",
    ),
    "accept_restated": Param(
        SETTINGS.accept_restated,
        type="boolean",
        title="Accept a restated history",
        section="Expert",
        description="Take prices that differ from the last snapshot without a reason as the new history. Look first.",
    ),
    "overrides": Param(
        {},
        type="object",
        title="Overrides",
        section="Expert",
        description='Fields of the preset to change for this run only, such as {"epochs": 5, "seed": 1}.',
    ),
}


@task(**RETRIES)
def plan() -> list[dict[str, Any]]:
    """Fix what this run does, and cut the tickers into batches."""
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
    """Do all steps for one batch of tickers."""
    for name in ("ingest", "validate", "split_scale", "window", "train", "evaluate", "promote", "forecast"):
        batch = step(name, batch)


@task(trigger_rule=TriggerRule.ALL_DONE, **RETRIES)
def report() -> None:
    """Gather the results; red when a ticker failed, and says which and why."""
    from pipeline import runs

    runs.report(get_current_context()["dag_run"].run_id)


with DAG(
    "retrain",
    description="Retrains one forecaster per ticker after each trading day and scores it in dollars beside naive.",
    schedule=SessionTimetable(SETTINGS.calendar, SETTINGS.delay_minutes),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),  # a night; what hangs must not keep the next one from starting
    params=PARAMS,
    tags=["closecast"],
    doc_md=__doc__,
) as dag:
    unit.expand(batch=plan()) >> report()
