"""The champion before a night is recorded with its networks, each once by its content."""

import pytest

from pipeline.errors import Damaged
from pipeline.store.folder import Folder
from pipeline.tracking import champion_record
from pipeline.tracking.champion_record import ChampionRecord, NetworkRecord
from pipeline.tracking.registry import Registry


def test_a_champion_is_recorded_with_its_networks(two_nights):
    """And its run's facts; the record can be read back."""
    registry = Registry(two_nights)
    version = registry.champion("AAA")
    params, tags = registry.facts(version)
    loaded = registry.load("AAA", version)
    before = registry.load_evaluation("AAA", version)
    made = champion_record.recorded("AAA", version, params, tags, served=loaded, evaluated=before)
    again = ChampionRecord.from_json(made.record.to_json())
    assert again == made.record
    assert again.version == version
    assert again.run_params == params
    assert made.weights[again.served.weights] == loaded.network.data
    assert again.served.weights.startswith("_weights/AAA/")


def test_a_night_without_a_champion_records_that():
    """No version is another value than no record."""
    made = champion_record.recorded("AAA", None, {}, {}, served=None, evaluated=None)
    assert made.record.version is None
    assert made.weights == {}


def test_changed_weights_are_found(tmp_path):
    """By their name; missing ones too."""
    network = NetworkRecord(weights=f"_weights/AAA/{'0' * 64}.keras", recipe="{}")
    with pytest.raises(Damaged, match="is missing"):
        champion_record.weights_of(str(tmp_path), network)
    Folder(str(tmp_path)).write(network.weights, b"other")
    with pytest.raises(Damaged, match="5 bytes"):
        champion_record.weights_of(str(tmp_path), network)
