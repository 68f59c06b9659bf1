"""The DAG `watch`: some hours after each close it checks that a run of that session has finished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from pipeline.settings import load_settings
from pipeline.timetable import SessionTimetable

SETTINGS = load_settings()
# After an outage this DAG and `retrain` start together: the run is about to start, so no alert is sent.
TOO_LATE = timedelta(hours=1)


def alert_of_failure(context: Any) -> None:
    """Send an alert when the check itself failed."""
    from pipeline.alerting import notify

    notify.task_failed(load_settings(), "look", context["run_id"], context.get("exception"), dag="watch")


@task(retries=2, retry_delay=timedelta(minutes=5), on_failure_callback=alert_of_failure)
def look() -> bool:
    """Send an alert when no run of the session has finished."""
    from pipeline import calendar
    from pipeline.alerting import notify

    run = get_current_context()["dag_run"]
    if run.run_type == "scheduled" and datetime.now(UTC) - run.run_after > TOO_LATE:
        return False
    session = calendar.last_closed_session(SETTINGS.calendar, run.data_interval_end or run.run_after)
    return notify.look(load_settings(), session)


with DAG(
    "watch",
    description="Sends an alert when no run of the last session has finished in time.",
    schedule=SessionTimetable(SETTINGS.calendar, SETTINGS.late_minutes),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["closecast"],
    doc_md=__doc__,
) as dag:
    look()
