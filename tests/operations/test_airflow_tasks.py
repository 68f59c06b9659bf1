"""Callbacks and tasks of the DAG files outside Airflow. tests/programs/test_dag_runs.py runs them through Airflow."""

import datetime as dt
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from pipeline import calendar
from pipeline.errors import DataError, UsageError
from pipeline.operations import airflow_tasks
from pipeline.settings import load_settings
from pipeline.store.runs import read_plan
from tests.support.alert_channels import webhook
from tests.support.past_runs import leave_plan, leave_results, row


@pytest.fixture
def hook(tiny, monkeypatch):
    """Run a webhook that is the only channel."""
    del tiny
    with webhook() as running:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", running.url)
        yield running


def context_of(dag_id, task_id, error):
    """Return the part of Airflow's context that the callback reads."""
    return {"ti": SimpleNamespace(dag_id=dag_id, task_id=task_id), "run_id": "scheduled__1", "exception": error}


def test_a_failed_task_of_each_dag_sends_its_own_alert(hook):
    """Its DAG is in the title and in the link; a process that died has no exception."""
    airflow_tasks.alert_of_failure(context_of("watch", "look", RuntimeError("no disk")))
    airflow_tasks.alert_of_failure(context_of("retrain", "train", None))
    assert hook.titles == ["Task look of watch failed", "Task train of retrain failed"]
    assert "/dags/watch/runs/scheduled__1" in hook.told[0].body
    assert "Reason: RuntimeError: no disk" in hook.told[0].body
    assert "/dags/retrain/runs/scheduled__1" in hook.told[1].body


def test_a_failure_that_the_report_names_sends_nothing_here(hook):
    """Bad data of a step is a finding, and the task `report` sends it."""
    error = DataError("Every close must lie above 0.", "1 close", "Correct the file.")
    airflow_tasks.alert_of_failure(context_of("retrain", "prepare.validate", error))
    assert hook.told == []


@pytest.mark.parametrize(
    ("run_type", "hours_late", "titles"),
    [
        ("scheduled", 0, ["No finished run for 2025-11-21"]),
        ("scheduled", 2, []),
        ("manual", 2, ["No finished run for 2025-11-21"]),
    ],
)
def test_a_late_scheduled_check_sends_nothing(hook, monkeypatch, run_type, hours_late, titles):
    """After an outage `retrain` starts at the same time. A person who starts the check wants its answer."""
    run_after = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours_late)
    close = dt.datetime(2025, 11, 21, 21, tzinfo=dt.UTC)
    run = SimpleNamespace(run_type=run_type, run_after=run_after, data_interval_end=close)
    monkeypatch.setattr(airflow_tasks, "get_current_context", lambda: {"dag_run": run})
    assert airflow_tasks.look() is False
    assert hook.titles == titles


def test_a_check_after_the_end_of_the_calendar_fails_with_the_reason(hook, monkeypatch):
    """No run is scheduled then, and no session of the calendar is late."""
    now = dt.datetime.now(dt.UTC)
    monkeypatch.setattr(calendar, "last_known_day", lambda name: now.date() - dt.timedelta(days=1))  # noqa: ARG005
    run = SimpleNamespace(run_type="scheduled", run_after=now, data_interval_end=now)
    monkeypatch.setattr(airflow_tasks, "get_current_context", lambda: {"dag_run": run})
    with pytest.raises(UsageError, match="The calendar XNYS must know today") as error:
        airflow_tasks.look()
    for _ in range(2):
        airflow_tasks.alert_of_failure(context_of("watch", "look", error.value))
    assert hook.titles == ["Task look of watch failed"]
    assert "--upgrade exchange_calendars" in hook.told[0].body


def test_a_session_that_a_person_closed_is_not_late(hook, monkeypatch):
    """The session before it is looked for."""
    monkeypatch.setenv("CLOSECAST_CLOSED_SESSIONS", '["2025-11-21"]')
    close = dt.datetime(2025, 11, 21, 21, tzinfo=dt.UTC)
    run = SimpleNamespace(run_type="manual", run_after=close, data_interval_end=close)
    monkeypatch.setattr(airflow_tasks, "get_current_context", lambda: {"dag_run": run})
    airflow_tasks.look()
    assert hook.titles == ["No finished run for 2025-11-20"]


@pytest.mark.parametrize(("limit", "most"), [(None, 1024), ("100", 100)])
@pytest.mark.usefixtures("tiny")
def test_a_plan_has_no_more_batches_than_airflow_maps(monkeypatch, limit, most):
    """2,000 tickers, with Airflow's default and with a lower setting of core.max_map_length; a retry agrees."""
    if limit:
        monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", limit)
    tickers = [f"T{number}" for number in range(2000)]
    run = SimpleNamespace(
        run_id="manual__2000", run_type="manual", data_interval_end=None, run_after=dt.datetime.now(dt.UTC)
    )
    context = {"params": {"tickers": tickers, "overrides": {}}, "dag_run": run}
    monkeypatch.setattr(airflow_tasks, "get_current_context", lambda: context)
    batches = airflow_tasks.plan()
    assert len(batches) <= most
    assert [ticker for batch in batches for ticker in batch["tickers"]] == tickers
    assert airflow_tasks.plan() == batches


@pytest.mark.usefixtures("tiny")
def test_a_run_without_a_plan_announces_nothing(monkeypatch):
    """It is skipped: `plan` is red. tests/programs/test_assets.py announces in a running Airflow."""
    monkeypatch.setattr(airflow_tasks, "get_current_context", dict)
    with pytest.raises(AirflowSkipException):
        airflow_tasks.announce("manual__1")


def test_the_report_ends_with_the_counts(tiny):
    """The log of the task has the lines of the terminal; a run without results has none."""
    plan = leave_plan(tiny, "scheduled__1", "2025-11-20")
    assert list(airflow_tasks.closing_lines(tiny, "scheduled__1")) == []
    leave_results(tiny, plan, row())
    (counts,) = airflow_tasks.closing_lines(tiny, "scheduled__1")
    assert counts.startswith("1 ticker(s): 1 done, 0 failed; 1 promoted")


@pytest.mark.parametrize(("run_type", "hours"), [("scheduled", 12.0), ("manual", 12.0), ("backfill", 0.0)])
@pytest.mark.usefixtures("tiny")
def test_a_run_of_the_stack_asks_unless_it_is_a_backfill(monkeypatch, run_type, hours):
    """A backfill of a year would ask about each night."""
    monkeypatch.setenv("CLOSECAST_ASK_HOURS", "12")
    run = SimpleNamespace(
        run_id=f"{run_type}__ask", run_type=run_type, data_interval_end=None, run_after=dt.datetime.now(dt.UTC)
    )
    context = {"params": {"tickers": ["AAA"], "overrides": {}}, "dag_run": run}
    monkeypatch.setattr(airflow_tasks, "get_current_context", lambda: context)
    (batch,) = airflow_tasks.plan()
    assert read_plan(load_settings().store_url, batch["run"]).ask_hours == hours
