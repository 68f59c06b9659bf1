"""The facts of a store: its nights, the rows of the ledger within the horizon, and the snapshots that are needed."""

import datetime as dt

import pytest

from pipeline.errors import Damaged, UsageError
from pipeline.pruning.facts import read_facts
from pipeline.pruning.retention import Key
from pipeline.store import deleted
from pipeline.store.deleted import Deleted, DeletedUnits
from pipeline.store.folder import Folder
from pipeline.tracking.registry import Registry
from tests.support.old_nights import folder_of_night, leave_nights

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def three(tiny):
    """Return settings that keep one night, and three nights with three versions."""
    settings = tiny.model_copy(update={"keep_nights": 1, "keep_rows": 1})
    return settings, leave_nights(settings, ("AAA",), 3, promoted=(2, 3))


def facts(settings):
    return read_facts(settings, Registry(settings), NOW)


def test_a_row_needs_the_champion_that_its_night_was_decided_against(three):
    """v2, of the night before; the first night is needed by nothing."""
    settings, plans = three
    found = facts(settings)
    assert [unit.run for unit in found.choice.deleted] == [plans[0].run]
    why = found.choice.kept["AAA", plans[1].run]
    assert f"v2, champion before the forecast of {plans[2].as_of + dt.timedelta(1)} in the ledger" in why
    assert "v2, which a rollback would serve" in why


def test_without_a_horizon_the_ledger_needs_nothing(three):
    """The champion and the rollback keep their nights."""
    settings, plans = three
    found = facts(settings.model_copy(update={"keep_rows": 0}))
    why = set(found.choice.kept["AAA", plans[1].run])
    assert why == {"v2, which a rollback would serve", "v2, champion before the present one"}


def test_the_newest_snapshot_that_passed_validation_is_kept(three):
    """The nights after it have failed."""
    settings, plans = three
    for plan in plans[1:]:
        folder_of_night(settings, plan).remove("validate.manifest.json")
    assert facts(settings).choice.kept["AAA", plans[0].run] == ("newest snapshot of its source",)


def test_a_begun_deletion_is_found_again(three):
    """Its night is no candidate for keeping, and its version goes with it."""
    settings, plans = three
    record = DeletedUnits().begun({"AAA": Deleted(when=NOW, rule="old")})
    deleted.write(settings.store_url, plans[0].run, record)
    found = facts(settings)
    assert found.unfinished == [Key("AAA", plans[0].run)]
    assert [unit.run for unit in found.units] == [plan.run for plan in plans[1:]]
    assert ("AAA", 1) not in found.choice.versions


def test_a_ticker_that_leads_out_of_the_store_stops_everything(three):
    """Files are removed below its name."""
    settings, plans = three
    plan = plans[0].model_copy(update={"tickers": ("../AAA",)})
    Folder(f"{settings.store_url}/_runs/{plan.run}").write("plan.json", plan.model_dump_json().encode())
    with pytest.raises(UsageError, match="A ticker is"):
        facts(settings)


def test_a_damaged_record_stops_everything(three):
    """A deletion on wrong facts is worse than no deletion."""
    settings, plans = three
    Folder(f"{settings.store_url}/_runs/{plans[0].run}").write(deleted.FILE, b"x")
    with pytest.raises(Damaged, match=r"deleted\.json"):
        facts(settings)
