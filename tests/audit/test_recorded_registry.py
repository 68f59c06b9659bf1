"""The recorded registry answers the steps as the registry of the night did."""

import pytest

from pipeline.audit.recorded_registry import RecordedRegistry, Served
from pipeline.errors import PipelineError
from pipeline.store.folder import Folder
from pipeline.tracking.champion_record import FILE, ChampionRecord
from pipeline.tracking.registry import Registry
from pipeline.tracking.versions import Version
from tests.support.nights import folder_of_run


def test_the_recorded_champion_is_that_of_the_registry(two_nights):
    """Number, tags, facts of its run, and the forecasts of its networks."""
    live = Registry(two_nights)
    record = ChampionRecord.from_json(folder_of_run(two_nights, "manual__2").read(FILE))
    recorded = RecordedRegistry(two_nights.store_url, {"AAA": record})
    (first, *_) = live.versions("AAA")
    version = recorded.champion_before("AAA", "manual__2")
    assert version.number == first.number == recorded.champion("AAA").number
    assert version.as_of == first.as_of
    assert recorded.facts(version)[0] == live.facts(first)[0]
    for name in ("load", "load_evaluation"):
        then = getattr(live, name)("AAA", first)
        now = getattr(recorded, name)("AAA", version)
        assert now.network.data == then.network.data
        assert now.recipe == then.recipe


def test_the_version_of_the_night_is_served_after_promote(two_nights):
    """From its own files. Another version has none."""
    store = two_nights.store_url
    folder = folder_of_run(two_nights, "manual__2")
    recorded = RecordedRegistry(store, {"AAA": ChampionRecord(number=None)})
    assert recorded.champion("AAA") is None
    made = Version(7, "", "", {"as_of": "2025-11-21"})
    recorded.serve("AAA", Served(made, folder.read("served.keras"), folder.read("served.json")))
    assert recorded.champion("AAA").number == 7
    assert recorded.load("AAA", made).network.data == Folder(folder.url).read("served.keras")
    assert recorded.facts(made) == ({}, {})
    with pytest.raises(PipelineError, match="v8"):
        recorded.load("AAA", made._replace(number=8))
