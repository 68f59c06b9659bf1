"""The occasions of alerts: a run that ended, a task that failed, a session without a finished run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline import calendar
from pipeline.alerting import alerts, dead_man
from pipeline.alerting.alerts import Alert
from pipeline.alerting.memory import Memory
from pipeline.errors import DataError, Unavailable, UsageError
from pipeline.outcome import Finding
from pipeline.plan import LOCAL, folder_name
from pipeline.store.folder import Folder

if TYPE_CHECKING:
    from pipeline.outcome import Manifest
    from pipeline.plan import Plan
    from pipeline.settings import Settings

_SKIPPED = "Left the ticker out of this run. Earlier results and the champion stay."
_CONTINUED = "Continued. The warning is in the report and in MLflow."
_ASKED = "Left the ticker out of this run until a person answers. Earlier results and the champion stay."
_LATE = "no finished run"  # key of the alert of a session without a finished run


def send_run_alerts(
    settings: Settings,
    plan: Plan,
    ended: Mapping[str, Sequence[Manifest]],
    *,
    failed: Mapping[str, str],
    pages: Mapping[str, str],
    notices: Mapping[str, Finding | None],
    excused: Collection[str] = (),
) -> None:
    """Send the new findings and the recoveries of a run that has ended.

    Args:
        settings: with the channels.
        plan: of the run.
        ended: the manifests of each ticker's steps.
        failed: the reason of each ticker that did not pass every step.
        pages: each ticker's page in MLflow.
        notices: findings about the whole run by their subject; None where a subject is in order again.
        excused: failed tickers whose reason is one of the notices.
    """
    # A run of a past session has keys of its own: its findings and recoveries say nothing about the latest session.
    scope = f"past {plan.source}" if _is_past(plan) else plan.source
    news: list[Alert] = []
    settled = ["task plan", "task gather", "task announce", "task report"]
    if not failed:
        settled += [f"task {_task_of(one.step)}" for one in next(iter(ended.values()))]
    for subject, notice in notices.items():
        if notice:
            news.append(_of_notice(f"{scope} {subject}", notice, _run_links(settings, plan.dag_run_id)))
        else:
            settled.append(f"{scope} {subject}")
    for ticker, manifests in ended.items():
        links = _ticker_links(settings, plan, manifests, pages[ticker])
        waits = any(one.waiting for one in manifests)
        for severity in ("critical", "warning"):
            key = f"{scope} {ticker} {severity}"
            found = _findings(manifests, severity)
            if severity == "critical" and ticker in excused:
                continue
            if not found and severity == "critical" and ticker in failed:
                stopped = Finding(rule="The run should reach its end", severity="critical", observed=failed[ticker])
                found = [("report", stopped)]
            if found:
                did = _reaction(failed=ticker in failed, waits=waits)
                alert = alerts.of_findings(key, ticker, found, did=did, links=links)
                news.append(_as_question(alert, ticker, settings) if waits and severity == "critical" else alert)
            elif ticker not in failed and not waits:  # such a ticker has not passed every check
                settled.append(key)
    _send(settings, news, settled, f"{plan.as_of}, {plan.source}")


def _as_question(alert: Alert, ticker: str, settings: Settings) -> Alert:
    """Return the alert of a ticker that waits, with the page on which a person answers."""
    page = f"{settings.airflow_page}/required_actions?response_received=false"
    return alert._replace(kind="waiting", title=f"{ticker} waits for a decision", body=f"Answer: {page}\n{alert.body}")


def _reaction(*, failed: bool, waits: bool) -> str:
    """Return what the pipeline did with a ticker that has findings."""
    if waits:
        return _ASKED
    return _SKIPPED if failed else _CONTINUED


def _of_notice(key: str, notice: Finding, links: Mapping[str, str]) -> Alert:
    lines = {"Observed": notice.observed, "Limit": notice.limit, "Rows": ", ".join(notice.rows)}
    lines |= {"To do": notice.todo, **links}
    return Alert(
        key=key,
        identity=" | ".join([notice.rule, *notice.rows]),
        kind="notice",
        title=notice.rule,
        body="\n".join(f"{name}: {text}" for name, text in lines.items() if text),
    )


def _findings(manifests: Sequence[Manifest], severity: str) -> list[tuple[str, Finding]]:
    """Return the findings of a severity, each with its step."""
    found = [(one.step, finding) for one in manifests for finding in one.outcome.findings]
    return [(step, finding) for step, finding in found if finding.severity == severity]


def _ticker_links(settings: Settings, plan: Plan, manifests: Sequence[Manifest], page: str) -> dict[str, str]:
    links = _run_links(settings, plan.dag_run_id) | {"MLflow run": page}
    if any(one.step == "validate" for one in manifests):
        address, _, query = page.partition("?")
        links["Validation"] = f"{address}/artifacts/validation.html?{query}"
    heads = [one.results.ledger_head for one in manifests if one.results and one.results.ledger_head]
    if heads:
        links["Ledger"] = str(heads[-1])
    return links


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
    if dag in {"retrain", "decide"} and _is_in_the_report(task, error):
        return
    reason = f"{type(error).__name__}: {error}" if error else "its process ended without an error message"
    body = [
        f"Task: {task}",
        f"Run: {dag_run_id}",
        f"Reason: {reason}",
        "What the pipeline did: stopped this run there.",
    ]
    body += [f"{name}: {link}" for name, link in _run_links(settings, dag_run_id, dag).items()]
    news = Alert(
        key=f"task {task}",
        identity=alerts.without_numbers(reason),
        kind="failed",
        title=f"Task {task} of {dag} failed",
        body="\n".join(body),
    )
    _send(settings, [news], [], dag_run_id)


def _task_of(step: str) -> str:
    """Return the task of a step in the DAG `retrain`; no other task has a name that this returns."""
    if step in {"plan", "gather", "announce", "report"}:
        return ""
    if step == "train":
        return step
    return f"serve.{step}" if step in {"evaluate", "promote", "forecast"} else f"prepare.{step}"


def _is_in_the_report(task: str, error: BaseException | None) -> bool:
    """Return whether the task `report`, which runs after every other task, sends the alert of this failure."""
    if task == "plan":  # without a plan there is no report
        return False
    if task == _task_of(task.rpartition(".")[2]):
        return isinstance(error, (DataError, UsageError, Unavailable))
    return isinstance(error, (DataError, UsageError))


def mark_finished(settings: Settings, plan: Plan) -> None:
    """Write the marker of a session with a finished run. For the last session: send a recovery, and the heartbeat."""
    text = plan.model_dump_json(include={"dag_run_id", "created"}).encode()
    _markers(settings).write(_marker_name(plan.as_of, plan.source), text)
    if _is_past(plan):
        return
    _send(settings, [], [_LATE], str(plan.as_of))
    if address := settings.heartbeat_url.get_secret_value().strip():
        dead_man.ping(address)


def alert_unless_finished(settings: Settings, session: dt.date) -> bool:
    """Return whether a run of `session` has finished; send an alert if it has not."""
    if _markers(settings).exists(_marker_name(session, settings.source)):
        _send(settings, [], [_LATE, "task look"], str(session))
        return True
    send_late(
        settings, session, f"{settings.late_minutes} minutes after the close, no run of this session has finished"
    )
    return False


def send_late(settings: Settings, session: dt.date, observed: str) -> None:
    """Send the alert of a session without a finished run."""
    body = [
        f"Session: {session}",
        f"Observed: {observed}",
        "To do: check that Airflow and its scheduler are running, and read the report of the last run.",
        "What the pipeline did: nothing. Earlier results and the champion stay.",
        f"Airflow: {settings.airflow_page}/dags/retrain",
    ]
    news = Alert(
        key=_LATE,
        identity=str(session),
        kind="late",
        title=f"No finished run for {session}",
        body="\n".join(body),
    )
    _send(settings, [news], ["task look"], str(session))


def send_replaced(settings: Settings, program: str, pid: int, reason: str) -> None:
    """Send that a program of the stack has ended, and that supervisord has started it again."""
    body = [
        f"Program: {program}, process {pid}",
        f"Reason: {reason}",
        "To do: nothing, unless it happens again. Airflow retries interrupted tasks, which reuse finished steps.",
        "What the pipeline did: supervisord has started it again.",
    ]
    news = Alert(
        key=f"replaced {program}",
        identity=str(pid),
        kind="warning",
        title=f"{program} was replaced",
        body="\n".join(body),
    )
    _send(settings, [news], [], f"{program} was replaced")


def open_alerts(settings: Settings) -> list[str]:
    """Return the titles of sent alerts about whole runs that have not recovered, oldest first.

    Those about one ticker are left out: its results name its findings.
    """
    memory = Memory(_memory(settings))
    return [one.title for one in memory.unsettled() if one.kind in {"failed", "late", "notice"}]


def _marker_name(session: dt.date, source: str) -> str:
    return f"{session}-{source}.json"


def _markers(settings: Settings) -> Folder:
    return Folder(f"{settings.store_url}/_finished")


def _is_past(plan: Plan) -> bool:
    """Return whether a later session than the run's had closed when the run began."""
    return plan.as_of < calendar.last_closed_session(plan.calendar, plan.created, plan.closed_sessions)


def _run_links(settings: Settings, dag_run_id: str, dag: str = "retrain") -> dict[str, str]:
    page = airflow_run_page(settings, dag_run_id, dag)
    if not page:
        return {"Report": f"{settings.store_url}/_runs/{folder_name(dag_run_id)}/report.html"}
    return {"Airflow run": page}


def airflow_run_page(settings: Settings, dag_run_id: str, dag: str = "retrain") -> str:
    """Return the address of a run's page in Airflow; "" for a run of `closecast run`, which Airflow does not know."""
    if dag_run_id.startswith(LOCAL):
        return ""
    return f"{settings.airflow_page}/dags/{dag}/runs/{quote(dag_run_id)}"


def _send(settings: Settings, news: list[Alert], settled: list[str], about: str) -> None:
    alerts.send(news, settled=settled, urls=settings.alert_channels, memory=_memory(settings), about=about)


def _memory(settings: Settings) -> Folder:
    return Folder(f"{settings.store_url}/_alerts")
