"""The DAG `watch`: some hours after each close it checks that a run of that session has finished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from pipeline.operations import airflow_tasks, dag_docs
from pipeline.settings import load_settings
from pipeline.timetable import SessionTimetable

SETTINGS = load_settings()

with DAG(
    "watch",
    description="Sends an alert when no run of the last session has finished in time.",
    schedule=SessionTimetable(
        SETTINGS.calendar,
        SETTINGS.late_minutes,
        closed=SETTINGS.closed_sessions,
        daily_after_end=True,  # the check fails then, and its alert gives the reason
    ),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=dag_docs.TAGS,
    doc_md=dag_docs.watch_text(SETTINGS),
) as dag:
    retries = {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": dag_docs.OWNER}
    task(**retries, doc_md=dag_docs.TASKS["look"], on_failure_callback=airflow_tasks.alert_of_failure)(
        airflow_tasks.look
    )()
