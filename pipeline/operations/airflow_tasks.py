"""The tasks and callbacks that the DAG files wire. Each reads Airflow's context and calls the pipeline.

Airflow parses the DAG files every few seconds, so the pipeline is imported when a task runs.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context
from airflow.sdk.configuration import conf

from pipeline.operations import dag_docs
from pipeline.operations.lifeline import die_with_parent
from pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.plan import Batch
    from pipeline.settings import Settings

# Not the logger of Closecast: `make run` prints its lines on the terminal, and ends with these by itself.
log = logging.getLogger("airflow.task")
# After an outage `watch` and `retrain` start together: the run is about to start, so no alert is sent.
_TOO_LATE = timedelta(hours=1)


def plan() -> list[dict[str, Any]]:
    """Write the plan of this run and return its batches of tickers."""
    from pipeline import runs
    from pipeline.plan import MOST_BATCHES

    context = get_current_context()
    given = dict(context["params"])
    overrides = given.pop("overrides")
    run = context["dag_run"]
    moment = run.data_interval_end or run.run_after
    batches = runs.plan(
        load_settings(**given),
        run.run_id,
        moment=moment,
        overrides=overrides,
        slots=_slots(),
        most_batches=conf.getint("core", "max_map_length", fallback=MOST_BATCHES),
        ask_hours=_ask_hours(run.run_type),
    )
    return [dict(batch) for batch in batches]


def _ask_hours(run_type: str) -> float:
    """Return how long a restatement waits for a person. A backfill has too many nights to ask about each."""
    return 0.0 if run_type == "backfill" else load_settings().ask_hours


def _slots() -> int:
    """Return how many tasks run at the same time. Airflow does not know its Celery workers, so one is assumed."""
    if conf.get("core", "executor").startswith("Celery"):
        return int(conf.getint("celery", "worker_concurrency"))
    return int(conf.getint("core", "parallelism"))


def gather(batches: list[Batch] | None) -> list[dict[str, Any]]:
    """Return the batches of `train`: one of all tickers where they share a network, else the batches as planned.

    Raises:
        AirflowSkipException: when there is no plan; its task is red.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from pipeline.store.runs import read_plan

    if not batches:
        raise AirflowSkipException("There is no plan.")
    return [dict(one) for one in read_plan(load_settings().store_url, batches[0]["run"]).trainings(batches)]


def run_step(name: str, batch: Batch | None) -> dict[str, Any]:
    """Run a step for a batch and return the batch for the next step.

    Args:
        name: of the step.
        batch: None when the task before failed for another reason than its data.

    Raises:
        AirflowSkipException: when every ticker failed in a step before; that step's task is red.
        DataError: when tickers failed, or when there is no batch. This task is red. After failed tickers the next task
            still gets the batch.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from pipeline import runner
    from pipeline.errors import DataError, NothingLeft
    from pipeline.operations import lineage

    if batch is None:  # no skip: a person who clears the failed tasks of the run must repeat this one too
        raise DataError(
            f"Step {name} needs the batch of the task before it.",
            "none: that task failed",
            "Clear the failed tasks of the run once their cause is mended.",
        )
    context = get_current_context()
    context["batch_name"] = ", ".join(batch["tickers"])  # Airflow's page shows it in place of the map index
    ti = context["ti"]
    try:
        return dict(runner.run(name, batch, last_try=ti.try_number > ti.max_tries))
    except DataError as error:
        ti.xcom_push("return_value", dict(batch))
        if isinstance(error, NothingLeft):
            raise AirflowSkipException(str(error)) from error
        raise
    finally:
        lineage.name_data_sets(ti.task, name, batch, load_settings())


def announce(dag_run_id: str) -> None:
    """Have Airflow emit an event for each ticker whose forecast is in, so that the DAGs that wait for it start.

    Args:
        dag_run_id: of the run of `retrain` that made the forecasts.

    Raises:
        AirflowSkipException: when there is no plan; its task is red.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from pipeline.operations import assets
    from pipeline.plan import folder_name
    from pipeline.store.runs import read_plan, run_folder

    context = get_current_context()
    settings = load_settings()
    run = folder_name(dag_run_id)
    if not run_folder(settings.store_url, run).exists("plan.json"):
        raise AirflowSkipException("There is no plan.")
    session = assets.forecast_session(settings, read_plan(settings.store_url, run))
    tickers = assets.without_event(session)
    assets.emit(context, tickers, session.partition)
    log.info(
        "%s: %d of %d forecast(s) announced; the others had an event of this session before",
        session.partition,
        len(tickers),
        len(session.tickers),
    )


def report() -> None:
    """Write the results of the run; fail when a ticker failed, with its name and reason."""
    from pipeline import runs

    context = get_current_context()
    dag_run_id = context["dag_run"].run_id
    settings = load_settings()
    try:
        runs.report(dag_run_id, settings=settings)
    finally:
        for line in closing_lines(settings, dag_run_id):
            log.info("%s", line)
        _leave_note(context, settings)
        _ask(settings, dag_run_id)


def closing_lines(settings: Settings, dag_run_id: str) -> Iterator[str]:
    """Yield the failures, the links and the counts of a run; nothing if it has no results."""
    from pipeline.plan import folder_name
    from pipeline.reporting.closing import closing_of
    from pipeline.store.runs import run_folder

    folder = run_folder(settings.store_url, folder_name(dag_run_id))
    if folder.exists("results.json"):
        yield from closing_of(folder.read("results.json"), dag_run_id).lines


def _leave_note(context: Mapping[str, Any], settings: Settings) -> None:
    """Leave the counts of the run and its links for the note on Airflow's page, if there are results."""
    from pipeline.operations.run_note import KEY
    from pipeline.runs import note

    if text := note(context["dag_run"].run_id, settings):
        context["ti"].xcom_push(KEY, text)


def _ask(settings: Settings, dag_run_id: str) -> None:
    """Start one run of `decide` for each ticker that waits; a question that was asked before is left alone."""
    from pipeline.operations import decisions

    for one in decisions.questions(settings, dag_run_id):
        is_new = _start(decisions.DAG, one.run_id, {"run": dag_run_id, "ticker": one.ticker})
        log.info("%s waits for a decision: run %s%s", one.ticker, one.run_id, "" if is_new else ", asked before")


def _start(dag: str, run_id: str, params: dict[str, str]) -> bool:
    """Start a run of another DAG, as Airflow's own operator does; return whether it is new."""
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    answer = SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=dag, run_id=run_id, conf=params))
    return not (isinstance(answer, ErrorResponse) and answer.error == ErrorType.DAGRUN_ALREADY_EXISTS)


def question() -> dict[str, str]:
    """Return the question about a ticker, for Airflow's page of required actions.

    Raises:
        AirflowSkipException: when the ticker does not wait.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from pipeline.operations import decisions

    given = get_current_context()["params"]
    shown = decisions.shown(load_settings(), given["run"], given["ticker"])
    if shown is None:
        raise AirflowSkipException(f"{given['ticker']} does not wait for a decision.")
    return shown._asdict()


def finish(asked: Mapping[str, Any], answered: Mapping[str, Any]) -> None:
    """Record the answer about a ticker, and do its steps.

    Args:
        asked: the question, as the task before returned it.
        answered: as Airflow's operator returns it; without a user the time ran out.

    Raises:
        DataError: when an accepted ticker failed.
    """
    from pipeline.operations import decisions
    from pipeline.outcome import Answer

    context = get_current_context()
    settings = load_settings()
    run, ticker = context["params"]["run"], context["params"]["ticker"]
    user = answered["responded_by_user"]
    answer = Answer(
        accepted=answered["chosen_options"] == [dag_docs.ACCEPT],
        data_sha256=asked["data_sha256"],
        by=user["name"] if user else "",
        when=answered["responded_at"],
        reason=str(answered["params_input"].get("reason") or ""),
    )
    decisions.record(settings, run, ticker, answer)
    ti = context["ti"]
    try:
        decisions.carry_out(settings, run, ticker, last_try=ti.try_number > ti.max_tries)
    finally:
        _ask(settings, run)  # `ingest` may have had to fetch again, and other rows are another question


def look() -> bool:
    """Return whether a run of the last closed session has finished; send an alert if it has not.

    Raises:
        UsageError: when the calendar has ended, so that no run is scheduled. The alert gives the reason.
    """
    from pipeline import calendar
    from pipeline.alerting import notify

    settings = load_settings()
    run = get_current_context()["dag_run"]
    if run.run_type == "scheduled" and datetime.now(UTC) - run.run_after > _TOO_LATE:
        return False
    moment = run.data_interval_end or run.run_after
    calendar.check_covers(settings.calendar, moment)
    session = calendar.last_closed_session(settings.calendar, moment, settings.closed_sessions)
    return notify.alert_unless_finished(settings, session)


def prune() -> dict[str, int]:
    """Delete the nights that no rule keeps, and return how many units, files and bytes went."""
    from pipeline.operations import pruning

    pruned = pruning.prune(load_settings()).pruned
    files = pruned.nights.plus(pruned.snapshots)
    return {"units": pruned.units, "files": files.files, "bytes": files.size}


def alert_of_failure(context: Mapping[str, Any]) -> None:
    """Send an alert of a failed task, unless the report of the run names the failure."""
    from pipeline.alerting import notify

    ti = context["ti"]
    notify.task_failed(load_settings(), ti.task_id, context["run_id"], context.get("exception"), dag=ti.dag_id)


def die_with_supervisor(_context: Mapping[str, Any]) -> None:
    """End this task when its supervisor dies, so that it does not train beside the next try."""
    die_with_parent()
