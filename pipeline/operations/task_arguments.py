"""The arguments that all tasks of `retrain` and `decide` share: owner, callbacks and retries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from pipeline.operations import airflow_tasks, dag_docs

if TYPE_CHECKING:
    from pipeline.settings import Settings

_OTHER_URI = "airflow.sdk.exceptions.AirflowInactiveAssetInInletOrOutletException"


def task_arguments(settings: Settings) -> dict[str, Any]:
    """Return the arguments. Only a service that did not answer is tried again: bad data and parameters fail at once."""
    return {
        "owner": dag_docs.OWNER,
        "on_execute_callback": airflow_tasks.die_with_supervisor,
        "on_failure_callback": airflow_tasks.alert_of_failure,
        "retries": settings.retries,
        "retry_delay": timedelta(seconds=settings.retry_seconds),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": ExceptionRetryPolicy(
            rules=[
                RetryRule("pipeline.errors.Unavailable", RetryAction.RETRY, reason="a service did not answer"),
                RetryRule("pipeline.errors.PipelineError", RetryAction.FAIL, reason="another try would fail too"),
                RetryRule(_OTHER_URI, RetryAction.FAIL, reason="another DAG gives the asset another URI"),
            ]
        ),
    }
