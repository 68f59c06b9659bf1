"""The name of a night is a run, a version, or the session of a ledger's row."""

import datetime as dt
import shutil

import pytest

from pipeline.audit.night_names import named
from pipeline.errors import UsageError
from pipeline.store import deleted
from pipeline.store.deleted import Deleted, DeletedUnits


def test_each_name_means_one_night(two_nights):
    """The row of a session is that of the night before; the ledger is asked for deleted nights alone."""
    places = (two_nights.store_url, two_nights.ledger_place)
    assert named(*places, "manual__1").run.run == "manual__1"
    assert named(*places, "AAA@1").run.run == "manual__1"
    assert named(*places, "aaa@2025-11-21").run.run == "manual__1"
    assert named(*places, "AAA@2025-11-24").run.run == "manual__2"
    assert named(*places, "AAA@2025-11-24").tickers == ("AAA",)


@pytest.mark.parametrize("name", ["AAA@2025-11-20", "AAA@2025-13-40", "BBB@2025-11-21", "../x@2025-11-21", "no-run"])
def test_other_names_are_wrong_usage(two_nights, name):
    """In three lines."""
    with pytest.raises(UsageError):
        named(two_nights.store_url, two_nights.ledger_place, name)


@pytest.mark.parametrize("name", ["manual__1", "AAA@1", "AAA@2025-11-21"])
def test_a_deleted_night_says_when_and_by_which_rule(two_nights, tmp_path, name):
    """Also for a row of the ledger, which outlives its night."""
    store = tmp_path / "store"
    shutil.copytree(two_nights.store_url, store)
    when = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    record = DeletedUnits().begun({"AAA": Deleted(when=when, rule="too old", versions=(1,))})
    deleted.write(str(store), "manual__1", record)
    (unit,) = store.glob("AAA/*/manual__1")
    for file in unit.iterdir():
        file.unlink()
    with pytest.raises(UsageError, match="deleted on 2026-03-01 12:00 UTC by the rule: too old"):
        named(str(store), two_nights.ledger_place, name)
