"""The DAG `watch`: some hours after each close it looks whether a run of that session has finished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from pipeline.settings import load_settings
from pipeline.timetable import SessionTimetable

SETTINGS = load_settings()
# After an outage this DAG and `retrain` start together: then the run is only about to come.
TOO_LATE_TO_TELL = timedelta(hours=1)


def failed_for_good(context: Any) -> None:
    """A watchdog that cannot look says so."""
    from pipeline.alerting.notify import tell_failed

    tell_failed(load_settings(), "look", context["run_id"], context.get("exception"), dag="watch")


@task(retries=2, retry_delay=timedelta(minutes=5), on_failure_callback=failed_for_good)
def look() -> bool:
    """Tell people when no run of the session has finished."""
    from pipeline import calendar
    from pipeline.alerting import notify

    run = get_current_context()["dag_run"]
    if run.run_type == "scheduled" and datetime.now(UTC) - run.run_after > TOO_LATE_TO_TELL:
        return False
    session = calendar.last_closed_session(SETTINGS.calendar, run.data_interval_end or run.run_after)
    return notify.look(load_settings(), session)


with DAG(
    "watch",
    description="Tells people when no run of the last session has finished in time.",
    schedule=SessionTimetable(SETTINGS.calendar, SETTINGS.late_minutes),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["closecast"],
    doc_md=__doc__,
) as dag:
    look()
