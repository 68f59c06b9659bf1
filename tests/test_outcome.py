"""Findings, and how they end a unit."""

import datetime as dt

import pytest
from pydantic import ValidationError

from pipeline.errors import DataError, Unavailable
from pipeline.outcome import Answer, Effects, Finding, Manifest, Outcome, Released, Results
from tests.support.ledger_rows import ROW
from tests.support.old_names import old_json

NOON = dt.datetime(2025, 11, 21, 12, tzinfo=dt.UTC)
WARNING = Finding(rule="Usual volume", severity="warning", observed="0.1", limit="at least 0.2", rows=("2025-11-21",))


def manifest_of(*findings):
    """Return the manifest of a step with these findings."""
    return Manifest(
        step="ingest", key="k", inputs={}, outputs={}, outcome=Outcome(findings=findings), started=NOON, seconds=1.0,
        peak_memory_mb=1.0, versions={},
    )  # fmt: skip


def test_an_error_becomes_a_critical_finding():
    """Its three parts stay apart, without their full stops."""
    finding = Finding.of(DataError("The file must have prices.", "no rows.", "Correct it."))
    assert (finding.rule, finding.observed, finding.todo) == ("The file must have prices", "no rows", "Correct it.")
    assert finding.severity == "critical"
    assert not finding.retryable
    assert Finding.of(Unavailable("Yahoo must answer.", "HTTP 429", "Wait.")).retryable


def test_a_finding_in_one_line():
    """Rule, value, limit and rows."""
    assert str(WARNING) == "Usual volume: 0.1 (limit: at least 0.2). Rows: 2025-11-21."


def test_only_a_critical_finding_ends_the_unit():
    """Warnings pass."""
    critical = Finding.of(DataError("Rule.", "value", "Do."))
    assert not manifest_of().failed
    assert not manifest_of(WARNING).failed
    assert manifest_of(WARNING, critical).failed


def test_a_failure_is_retryable_if_each_critical_finding_is():
    """A warning beside it does not matter; a second reason that stays does."""
    passing = Finding.of(Unavailable("Rule.", "value", "Wait."))
    staying = Finding.of(DataError("Rule.", "value", "Do."))
    assert manifest_of(WARNING, passing).retryable
    assert not manifest_of(passing, staying).retryable
    assert not manifest_of(WARNING).retryable


def test_a_manifest_reads_back_as_it_was_without_the_files_content():
    """The content is in the unit's folder."""
    manifest = manifest_of(WARNING)
    with_file = manifest.model_copy(update={"outcome": Outcome(files={"raw.parquet": b"\x00"}, findings=(WARNING,))})
    assert Manifest.model_validate_json(with_file.model_dump_json()) == manifest
    with pytest.raises(ValidationError):
        manifest.key = "another"


def test_a_promotion_that_came_too_late_names_the_champion():
    """And one that was carried out needs no reason."""
    assert Released(version=2).reason == ""
    late = Released(version=2, superseded=True, superseded_by=3)
    assert late.reason == "superseded: v3 became champion after the decision was made"


def test_a_manifest_of_an_earlier_version_is_read():
    """Its metrics, curves, live scores and forecasts are called `..._usd`."""
    outcome = Outcome(
        metrics={"rmse": 1.5, "skill": 0.1},
        curves={"fold/rmse": [1.0, 2.0]},
        live={"error": -0.5},
        effects=Effects(forecast=ROW),
    )
    manifest = manifest_of().model_copy(update={"outcome": outcome, "results": Results(recorded=ROW)})
    old = old_json(manifest.model_dump_json().encode())
    assert b'"rmse_usd"' in old
    assert b'"forecast_usd"' in old
    assert Manifest.model_validate_json(old) == manifest


def test_a_unit_waits_if_a_person_may_accept_all_that_is_critical():
    """It has ended like a failed one, so that every reader of the store leaves it out."""
    asking = Finding(rule="Past prices", severity="critical", observed="2 closes", asks=True)
    critical = Finding.of(DataError("Rule.", "value", "Do."))
    assert manifest_of(asking, WARNING).waiting
    assert manifest_of(asking).failed
    assert not manifest_of(asking).retryable
    assert not manifest_of(asking, critical).waiting
    assert not manifest_of(WARNING).waiting
    assert not manifest_of(asking.model_copy(update={"severity": "info"})).failed


def test_an_answer_reads_back_and_says_who_when_and_why():
    """In words and in tags; without a user the time ran out."""
    given = Answer(accepted=True, data_sha256="5e", by="admin", when=NOON, reason="a typing error")
    assert Answer.from_json(given.to_json()) == given
    assert str(given) == "accepted by admin on 2025-11-21 12:00 UTC: a typing error"
    assert given.tags == {
        "restatement.answer": "accepted",
        "restatement.answered_by": "admin",
        "restatement.answered_at": "2025-11-21T12:00:00+00:00",
        "restatement.answer_reason": "a typing error",
    }
    rejected = given.model_copy(update={"accepted": False, "reason": ""})
    assert str(rejected) == "rejected by admin on 2025-11-21 12:00 UTC, without a reason"
    silent = rejected.model_copy(update={"by": ""})
    assert str(silent) == "not answered by 2025-11-21 12:00 UTC"
    assert silent.tags["restatement.answer"] == "not answered"
