"""Alerts of two findings, of a late run and of a failed task."""

from __future__ import annotations

from typing import Any

from pipeline.alerting.alerts import Alert, of_findings
from pipeline.outcome import Finding

ZERO_VOLUME = Finding(
    rule="Every session should have traded",
    severity="warning",
    observed="2 of 5,033 rows have no volume",
    limit="no such row",
    rows=("2020-01-02", "2020-01-03"),
    todo="Compare with another source.",
)
STALE = Finding(
    rule="The newest session must be AS_OF, with a price",
    severity="critical",
    observed="newest session 2026-11-19",
    limit="2026-11-20",
    todo="Run again later.",
)
LINKS = {"Airflow run": "http://127.0.0.1:8080/dags/retrain/runs/a_b?x=1&y=<2>", "Report": "/srv/a_b_c/report.html"}
LATE = Alert("watch/2026-11-20", "not begun", "late", "No run of 2026-11-20 yet", "It was due at 22:30 UTC.")
FAILED = Alert("task/plan", "boom", "failed", "plan failed", "Task: plan")


def warning(ticker: str = "AAA", **changes: Any) -> Alert:
    """Return the alert of days without volume."""
    did = "The model was trained all the same."
    found = [("validate", ZERO_VOLUME.model_copy(update=changes))]
    return of_findings(f"{ticker} warning", ticker, found, did=did, links=LINKS)


def critical(ticker: str = "^GSPC", **changes: Any) -> Alert:
    """Return the alert of a history that ends too early."""
    did = "No model was trained; yesterday's champion serves on."
    found = [("validate", STALE.model_copy(update=changes))]
    return of_findings(f"{ticker} critical", ticker, found, did=did, links=LINKS)
