"""The DAG `prune`: deletes old nights every week. CLOSECAST_PRUNE_WEEKLY=true gives it its schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from pipeline.operations import airflow_tasks, dag_docs
from pipeline.settings import load_settings

SETTINGS = load_settings()

with DAG(
    "prune",
    description="Deletes nights that no champion and no recent forecast needs.",
    schedule="0 12 * * 0" if SETTINGS.prune_weekly else None,  # Sunday noon, UTC: far from any night
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=dag_docs.TAGS,
    doc_md=dag_docs.prune_text(SETTINGS),
) as dag:
    retries = {"retries": 5, "retry_delay": timedelta(hours=1), "owner": dag_docs.OWNER}  # a night may be in progress
    task(**retries, doc_md=dag_docs.TASKS["prune"], on_failure_callback=airflow_tasks.alert_of_failure)(
        airflow_tasks.prune
    )()
