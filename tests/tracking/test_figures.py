"""The order of a run's metrics: MLflow's page that compares runs draws the first one."""

import datetime as dt

from pipeline.outcome import Finding, Manifest, Outcome
from pipeline.steps import FLOW
from pipeline.store.folder import Folder
from pipeline.tracking import figures

STARTED = dt.datetime(2025, 11, 21, 22, 30, tzinfo=dt.UTC)


def manifest(step, *, failed=False, curves=None, **metrics):
    """Return the manifest of a step that took two seconds."""
    findings = (Finding(rule="r", severity="critical", observed="o"),) if failed else ()
    outcome = Outcome(metrics=metrics, curves=curves or {}, findings=findings)
    return Manifest(
        step=step, key="k", inputs={}, outputs={}, outcome=outcome, started=STARTED, seconds=2.0, peak_memory_mb=1.0,
        versions={},
    )  # fmt: skip


def test_the_steps_that_wait_are_those_before_evaluate():
    """A new step before it must wait too."""
    names = [step.name for step in FLOW]
    assert list(figures.BEFORE) == names[: names.index("evaluate")]


def test_the_first_metric_of_a_run_is_its_skill(tmp_path):
    """Those of earlier steps come after it, curves included, each with the time of its step."""
    folder = Folder(str(tmp_path))
    train = manifest("train", weight=0.5, curves={"loss": [0.2, 0.1]})
    folder.write_manifest(train)
    assert figures.due(train, folder, None) == []
    evaluated = manifest("evaluate", rmse=2.0, skill=0.1, coverage_95=0.95)
    due = [(one.key, one.value, one.step) for one in figures.due(evaluated, folder, "m-1")]
    assert due == [
        ("quality/skill", 0.1, 0), ("quality/coverage_95", 0.95, 0),
        ("rmse", 2.0, 0), ("skill", 0.1, 0), ("coverage_95", 0.95, 0), ("step/evaluate_seconds", 2.0, 0),
        ("weight", 0.5, 0), ("step/train_seconds", 2.0, 0), ("loss", 0.2, 1), ("loss", 0.1, 2),
    ]  # fmt: skip


def test_a_step_that_fails_logs_what_has_waited(tmp_path):
    """`evaluate` will not come. A manifest of a later step belongs to an earlier try."""
    folder = Folder(str(tmp_path))
    for one in (manifest("ingest", rows=9.0), manifest("window", rows_later=1.0)):
        folder.write_manifest(one)
    due = figures.due(manifest("validate", failed=True), folder, None)
    assert [one.key for one in due] == ["step/validate_seconds", "rows", "step/ingest_seconds"]


def test_a_later_step_logs_its_own(tmp_path):
    """Nothing waits for it."""
    due = figures.due(manifest("promote", promoted=1.0), Folder(str(tmp_path)), None)
    assert [one.key for one in due] == ["promoted", "step/promote_seconds"]
