"""Progress as lines of the log."""

import datetime as dt
import logging

import pytest

from pipeline.outcome import Finding, Manifest, Outcome
from pipeline.reporting.progress import LogProgress

NOON = dt.datetime(2025, 11, 21, 12, tzinfo=dt.UTC)


def lines_after(caplog, severity, *, reused=False):
    """Return level and text of the lines that the end of a step with one finding logs."""
    finding = Finding(rule="Rule", severity=severity, observed="value")
    manifest = Manifest(
        step="validate", key="k", inputs={}, outputs={}, outcome=Outcome(findings=(finding,)), started=NOON,
        seconds=2.34, peak_memory_mb=1.0, versions={},
    )  # fmt: skip
    with caplog.at_level(logging.INFO, logger="closecast"):
        LogProgress().ended("AAA", manifest, reused=reused)
    return [(one.levelname, one.getMessage()) for one in caplog.records]


@pytest.mark.parametrize(
    ("severity", "reused", "first", "level"),
    [
        ("warning", False, "AAA validate: 2.3 s", "WARNING"),
        ("warning", True, "AAA validate: reused", "WARNING"),
        ("critical", False, "AAA validate: FAILED", "ERROR"),
    ],
)
def test_the_end_of_a_step_is_logged_with_its_findings(caplog, severity, reused, first, level):
    """Seconds, `reused` or FAILED; a critical finding is an error."""
    found = lines_after(caplog, severity, reused=reused)
    assert found[0] == ("INFO", first)
    assert [one for one, _ in found[1:]] == [level]
    assert found[1][1].startswith(f"AAA validate: {severity}: Rule: value")


def test_the_first_and_each_tenth_epoch_are_logged(caplog):
    """80 lines for a training would hide the rest."""
    with caplog.at_level(logging.INFO, logger="closecast"):
        for epoch in range(1, 22):
            LogProgress().epoch("AAA", epoch, 80, 0.5)
    assert [one.getMessage() for one in caplog.records] == [
        f"AAA train: epoch {epoch} of at most 80, loss 0.500000" for epoch in (1, 10, 20)
    ]
