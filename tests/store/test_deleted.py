"""The record of deleted nights, and the errors that it gives."""

import datetime as dt

import pytest

from pipeline.errors import Damaged, UsageError
from pipeline.store import deleted
from pipeline.store.deleted import Deleted, DeletedUnits
from pipeline.store.folder import Folder

WHEN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def test_a_record_comes_back_and_its_first_entry_stays(tmp_path):
    """A second start of the same deletion keeps the time and the versions of the first."""
    first = Deleted(when=WHEN, rule="old", versions=(3,), moves={"v3 champion.t": "{}"})
    record = DeletedUnits().begun({"AAA": first})
    assert record.unfinished == ("AAA",)
    again = record.begun({"AAA": Deleted(when=WHEN + dt.timedelta(1), rule="old"), "BBB": first})
    deleted.write(str(tmp_path), "run", again)
    found = deleted.read(str(tmp_path), "run")
    assert (found.units["AAA"], found.unfinished) == (first, ("AAA", "BBB"))
    assert deleted.read(str(tmp_path), "other") == DeletedUnits()


def test_the_error_says_when_and_by_which_rule(tmp_path):
    """Tickers that are kept can be used."""
    deleted.write(str(tmp_path), "run", DeletedUnits().begun({"AAA": Deleted(when=WHEN, rule="too old")}))
    deleted.require_kept(str(tmp_path), "run", ("BBB",))
    with pytest.raises(UsageError, match="AAA in run: deleted on 2026-03-01 12:00 UTC by the rule: too old"):
        deleted.require_kept(str(tmp_path), "run", ("AAA", "BBB"))


def test_a_damaged_record_is_named(tmp_path):
    """It is no reason to treat the night as kept."""
    Folder(f"{tmp_path}/_runs/run").write("deleted.json", b'{"units": 1}')
    with pytest.raises(Damaged, match=r"deleted\.json: 1 problem"):
        deleted.read(str(tmp_path), "run")
