"""The arguments that the tasks of both DAGs share."""

from airflow.sdk import RetryAction

from pipeline.errors import DataError, Unavailable
from pipeline.operations import airflow_tasks
from pipeline.operations.task_arguments import task_arguments


def test_only_a_service_that_did_not_answer_is_tried_again(tiny):
    """A rule names the class or a class above it, as text."""
    policy = task_arguments(tiny.model_copy(update={"retries": 3, "retry_seconds": 7.0}))["retry_policy"]
    actions = {
        error: next(rule.action for rule in policy.rules if rule.matches(error))
        for error in (Unavailable("rule", "received", "todo"), DataError("rule", "received", "todo"))
    }
    assert list(actions.values()) == [RetryAction.RETRY, RetryAction.FAIL]


def test_a_task_dies_with_its_supervisor_and_sends_its_alert(tiny):
    """A task that trains must not go on beside the next try."""
    arguments = task_arguments(tiny.model_copy(update={"retries": 3, "retry_seconds": 7.0}))
    assert arguments["on_execute_callback"] is airflow_tasks.die_with_supervisor
    assert arguments["on_failure_callback"] is airflow_tasks.alert_of_failure
    assert (arguments["retries"], arguments["retry_delay"].total_seconds()) == (3, 7.0)
