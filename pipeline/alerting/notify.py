"""What people are told of a run, and of one that did not come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline import calendar
from pipeline.alerting import alerts
from pipeline.alerting.alerts import Alert
from pipeline.errors import DataError, Unavailable, UsageError
from pipeline.outcome import Finding
from pipeline.plan import folder_name
from pipeline.store.folder import Folder

if TYPE_CHECKING:
    from pipeline.outcome import Manifest
    from pipeline.plan import Plan
    from pipeline.settings import Settings

_SKIPPED = "Left the ticker out of this run; what was made before stays."
_LATE = "no finished run"
_CARRIED = "Went on. The warning stands in the report and in MLflow."


def tell(
    settings: Settings,
    plan: Plan,
    ended: Mapping[str, Sequence[Manifest]],
    *,
    failed: Mapping[str, str],
    pages: Mapping[str, str],
) -> None:
    """Tell the channels what is news in a run that has ended, and what has recovered.

    Args:
        settings: with the channels.
        plan: of the run.
        ended: the manifests of each ticker's steps.
        failed: the tickers that did not get through, stopped ones too, and why.
        pages: each ticker's page in MLflow.
    """
    # A run of the past says nothing of tonight: it has news and recoveries of its own.
    scope = f"{'past ' * _is_past(plan)}{plan.source}"
    news, settled = [], ["task plan", "task report"]
    if not failed:
        settled += [f"task unit.{one.step}" for one in next(iter(ended.values()))]
    for ticker, manifests in ended.items():
        found = [(one.step, finding) for one in manifests for finding in one.outcome.findings]
        links = _links(settings, plan.dag_run_id) | {"MLflow run": pages[ticker]}
        if any(one.step == "validate" for one in manifests):
            links["Validation"] = f"{pages[ticker]}/artifacts/validation.html"
        did = _SKIPPED if ticker in failed else _CARRIED
        for kind in ("critical", "warning"):
            these = [(step, finding) for step, finding in found if finding.severity == kind]
            key = f"{scope} {ticker} {kind}"
            if these:
                news.append(alerts.of_findings(key, ticker, these, did=did, links=links))
            elif ticker not in failed:  # a stopped run did not look at everything
                settled.append(key)
            elif kind == "critical":
                stopped = Finding(rule="The run should reach its end", severity="critical", observed=failed[ticker])
                news.append(alerts.of_findings(key, ticker, [("report", stopped)], did=did, links=links))
    _send(settings, news, settled, f"{plan.as_of}, {plan.source}")


def task_failed(
    settings: Settings, task: str, dag_run_id: str, error: BaseException | None, *, dag: str = "retrain"
) -> None:
    """Send an alert of a task that failed after its last try, unless the report of the run names the failure.

    Args:
        settings: with the channels.
        task: id of the task.
        dag_run_id: name of the run.
        error: the exception, None when the process of the task died.
        dag: id of the DAG.
    """
    if dag == "retrain" and _is_in_the_report(task, error):
        return
    reason = f"{type(error).__name__}: {error}" if error else "its process ended without a word"
    body = [
        f"Task: {task}",
        f"Run: {dag_run_id}",
        f"Reason: {reason}",
        "What the pipeline did: stopped this run there.",
    ]
    body += [f"{name}: {link}" for name, link in _links(settings, dag_run_id, dag).items()]
    news = Alert(
        f"task {task}", alerts.without_numbers(reason), "failed", f"Task {task} of {dag} failed", "\n".join(body)
    )
    _send(settings, [news], [], dag_run_id)


def _is_in_the_report(task: str, error: BaseException | None) -> bool:
    """Return whether the task `report`, which runs after every other task, sends the alert of this failure."""
    if task == "plan":  # without a plan there is no report
        return False
    if task.startswith("unit."):
        return isinstance(error, (DataError, UsageError, Unavailable))
    return isinstance(error, (DataError, UsageError))


def mark_finished(settings: Settings, plan: Plan) -> None:
    """Write down that a run of this session got to its end; ends the alarm of a run that did not come."""
    text = plan.model_dump_json(include={"dag_run_id", "created"}).encode()
    _finished(settings).write(_marker(plan.as_of, plan.source), text)
    _send(settings, [], [] if _is_past(plan) else [_LATE], str(plan.as_of))


def look(settings: Settings, session: dt.date) -> bool:
    """Return whether a run of `session` has finished; tell the channels when none has."""
    if _finished(settings).exists(_marker(session, settings.source)):
        _send(settings, [], [_LATE, "task look"], str(session))
        return True
    body = [
        f"Session: {session}",
        f"Observed: {settings.late_minutes} minutes after the close no run of it has brought a ticker to its end",
        "To do: look whether Airflow and its scheduler run, and what the last run says.",
        "What the pipeline did: nothing; what was made before stays.",
        f"Airflow: {settings.airflow_page}/dags/retrain",
    ]
    news = Alert(_LATE, str(session), "late", f"No finished run for {session}", "\n".join(body))
    _send(settings, [news], ["task look"], str(session))
    return False


def _marker(session: dt.date, source: str) -> str:
    return f"{session}-{source}.json"


def _is_past(plan: Plan) -> bool:
    return plan.as_of < calendar.last_closed_session(plan.calendar, plan.created)


def _finished(settings: Settings) -> Folder:
    return Folder(f"{settings.store_url}/_finished")


def _links(settings: Settings, dag_run_id: str, dag: str = "retrain") -> dict[str, str]:
    if dag_run_id.startswith("local__"):
        return {"Report": f"{settings.store_url}/_runs/{folder_name(dag_run_id)}/report.html"}
    return {"Airflow run": f"{settings.airflow_page}/dags/{dag}/runs/{quote(dag_run_id)}"}


def _send(settings: Settings, news: list[Alert], settled: list[str], about: str) -> None:
    memory = Folder(f"{settings.store_url}/_alerts")
    alerts.send(news, settled=settled, urls=settings.alert_channels, memory=memory, about=about)
