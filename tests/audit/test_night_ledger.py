"""The ledger as a night met it has no row of that night, and none that came later."""

import datetime as dt

from pipeline.audit.night_ledger import copy_ledger, records, row_difference
from pipeline.serving import ledger
from pipeline.store.runs import read_plan, unit_folder


def test_rows_of_the_night_and_later_ones_stay_out(two_nights, tmp_path):
    """By the time of writing, and by the run."""
    place = two_nights.ledger_place
    first, second = records(place, "AAA")
    later = second.created + dt.timedelta(seconds=1)
    copy_ledger(place, str(tmp_path / "a"), "AAA", "manual__2", later)
    copy_ledger(place, str(tmp_path / "b"), "AAA", "another", second.created)
    copy_ledger(place, str(tmp_path / "c"), "AAA", "another", first.created)
    assert records(str(tmp_path / "a"), "AAA") == [first]
    assert records(str(tmp_path / "b"), "AAA") == [first]
    assert records(str(tmp_path / "c"), "AAA") == []


def test_a_changed_row_and_a_missing_row_are_named(two_nights, tmp_path):
    """The recorded row is the one in the manifest of the night."""
    plan = read_plan(two_nights.store_url, "manual__1")
    forecast = unit_folder(two_nights.store_url, "AAA", plan).manifest("forecast")
    row = records(two_nights.ledger_place, "AAA")[0]
    assert row_difference(two_nights.ledger_place, "AAA", forecast) == ""
    assert "it is gone" in row_difference(str(tmp_path / "empty"), "AAA", forecast)
    changed = row.model_copy(update={"forecast": row.forecast + 1})
    ledger.write(str(tmp_path / "changed"), changed)
    found = row_difference(str(tmp_path / "changed"), "AAA", forecast)
    assert found.startswith(f"ledger row 2025-11-21 v1 of AAA: forecast {changed.forecast}, written as")
