"""A version as MLflow's registry has it, and the moves of the alias in its tags."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

from pipeline.tracking.versions import MAX_TAG, Move, Version, move_tag, moves_of, name_of, version_of

WHEN = dt.datetime(2025, 11, 21, 22, 30, 0, 123456, tzinfo=dt.UTC)
TAGS = {
    "as_of": "2025-11-21",
    "cutoff": "2025-02-12",
    "synthetic": "true",
    "model_id": "m-1",
    "dag_run_id": "manual__1",
}


def version(**tags):
    """Return version 3 with tags."""
    return Version(3, "m-1", "r-1", TAGS | tags)


def test_a_version_of_the_registry_is_read_from_its_tags():
    """Dates, the run and the market come from the tags; the number is a number."""
    tags = [ModelVersionTag(name, value) for name, value in TAGS.items()]
    found = version_of(ModelVersion(name_of("^GSPC"), "12", 0, run_id="r-1", tags=tags))
    assert (found.number, found.model_id, found.run_id) == (12, "m-1", "r-1")
    assert (found.as_of, found.cutoff) == (dt.date(2025, 11, 21), dt.date(2025, 2, 12))
    assert (found.dag_run_id, found.synthetic) == ("manual__1", True)
    assert not version(synthetic="false").synthetic


def test_a_version_that_a_person_registered_has_no_run():
    """Its tags are missing, and it can be listed all the same."""
    found = version_of(ModelVersion("closecast-AAA", "1", 0))
    assert (found.number, found.model_id, found.dag_run_id) == (1, "", "")


def test_versions_sort_by_their_number():
    """Version 10 follows version 9."""
    numbers = ["10", "9", "1"]
    found = sorted(version_of(ModelVersion("closecast-AAA", number, 0)) for number in numbers)
    assert [one.number for one in found] == [1, 9, 10]


@pytest.mark.parametrize("before", [None, 2])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_recorded_move_is_read_again(before, zone):
    """To the microsecond, whatever the zone of the clock was."""
    moved = Move(WHEN.astimezone(ZoneInfo(zone)), 3, before, "promoted: all rules hold", back=False)
    tag, value = move_tag(moved)
    assert moves_of(version(**{tag: value})) == [moved]


def test_a_long_reason_is_cut_before_mlflow_cuts_it():
    """MLflow would cut inside the JSON, which could not be read again."""
    tag, value = move_tag(Move(WHEN, 3, 2, "x" * 9000, back=True))
    (read,) = moves_of(version(**{tag: value}))
    assert (read.reason, read.back) == ("x" * MAX_TAG, True)
    assert len(value) < 8000


def test_every_move_of_a_version_has_its_own_tag():
    """A version can be served, replaced and served again."""
    first = Move(WHEN, 3, 2, "promoted", back=False)
    again = Move(WHEN + dt.timedelta(microseconds=1), 3, 4, "rolled back", back=True)
    assert moves_of(version(**dict(map(move_tag, (first, again))))) == [first, again]
    assert moves_of(version()) == []
