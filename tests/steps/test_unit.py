"""The input of a step."""

import datetime as dt

import pytest

from pipeline import runner
from pipeline.outcome import ANSWER, Answer
from pipeline.steps import FLOW, Unit
from pipeline.store.folder import Folder
from tests.support.report_units import write


def unit_of(folder, step):
    """Return a unit of a step, with files in `folder`."""
    return Unit("AAA", None, Folder(str(folder)), None, None, runner.STEPS[step], ())


def test_a_step_cannot_read_a_file_that_it_does_not_declare(tmp_path):
    """The file exists, and the key of the step would not depend on it."""
    (tmp_path / "raw.parquet").write_bytes(b"prices")
    assert unit_of(tmp_path, "validate").read("raw.parquet") == b"prices"
    with pytest.raises(ValueError, match=r"Step window must declare 'raw.parquet'"):
        unit_of(tmp_path, "window").read("raw.parquet")


def test_a_unit_reads_each_file_once(tmp_path):
    """What a step saw first it sees until its end, whoever writes in between."""
    (tmp_path / "raw.parquet").write_bytes(b"first")
    unit = unit_of(tmp_path, "validate")
    assert unit.read("raw.parquet") == b"first"
    (tmp_path / "raw.parquet").write_bytes(b"second")
    assert unit.read("raw.parquet") == b"first"


def test_every_declared_file_is_written_by_a_step_before():
    """FLOW itself: no step reads a file that no earlier step can have written."""
    writes = {
        "ingest": {"raw.parquet", "restatement.json", "snapshot.json"},  # the first of earlier versions
        "validate": {"validation.html", "validation.json", "validated.parquet"},
        "split_scale": {"scaled.npz", "scaler.json", "split.json"},
        "window": {"windows.json"},
        "train": {"model.keras", "recipe.json", "rows.json", "refitted.keras", "refitted.json", "walk_forward.parquet"},
        "evaluate": {"metrics.json", "predictions.parquet", "close.png", "forecast.png", "residuals.png"},
        "promote": {"decision.json"},
    }
    written = {ANSWER}  # by a person
    for step in FLOW:
        assert set(step.reads + step.may_read) <= written
        written |= writes.get(step.name, set())


def test_an_answer_is_about_the_rows_that_it_was_given_for(tmp_path):
    """The key of a step depends on it; other rows have no answer, and another step does not see it."""
    given = Answer(accepted=True, data_sha256="5e", by="admin", when=dt.datetime(2025, 11, 22, tzinfo=dt.UTC))
    place = Folder(str(tmp_path))
    assert unit_of(tmp_path, "validate").inputs == ()

    def unit(step, rows):
        write(place, "ingest", tags={"data_sha256": rows})
        return Unit("AAA", None, place, None, None, runner.STEPS[step], ("ingest",))

    assert unit("validate", "5e").answer is None
    place.write(ANSWER, given.to_json())
    assert unit("validate", "5e").answer == given
    assert unit("validate", "5e").inputs == (ANSWER,)
    assert unit("validate", "a1").answer is None
    assert unit("window", "5e").answer is None
    assert ANSWER not in unit("window", "5e").inputs
