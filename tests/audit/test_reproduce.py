"""A night is made again to the last bit, without a write to the store; one changed byte of its record is named."""

import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.audit.files_compared import Compared
from pipeline.audit.night_ledger import records
from pipeline.audit.night_names import named
from pipeline.audit.reproduce import LIMIT, STAGES, Reproduced, Reproduction, Stage, reproduce
from pipeline.errors import UsageError
from pipeline.prices import archive
from pipeline.store.formats import sha256
from pipeline.store.runs import run_folder
from pipeline.tracking.champion_record import ROOT
from tests.support.nights import folder_of_run


def _again(settings, name="AAA@2025-11-24"):
    found = named(settings.store_url, settings.ledger_place, name)
    return reproduce(found.run, found.tickers, settings, lambda _line: None)


def _content(folder):
    return {str(path): sha256(path.read_bytes()) for path in Path(folder).rglob("*") if path.is_file()}


def _change_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_night_with_a_champion_is_made_again_to_the_last_bit(two_nights_copied):
    """Every stage has values, and store, ledger and MLflow are as they were."""
    before = _content(two_nights_copied.var_dir)
    made = _again(two_nights_copied)
    assert made.failed is None
    assert made.other_machine == ()
    (ticker,) = made.tickers
    assert [stage.name for stage in ticker.stages] == list(STAGES)
    assert all(stage.compared.first == "" for stage in ticker.stages)
    assert all(stage.compared.total > 10 for stage in ticker.stages[2:])
    assert _content(two_nights_copied.var_dir) == before


def _snapshot(settings):
    return next(Path(archive.folder(settings.store_url, "AAA").url).glob("2024-*.parquet")), "data"


def _weights(settings):
    return Path(folder_of_run(settings, "manual__2").path("model.keras")), "weights"


def _weights_before(settings):
    return min(Path(f"{settings.store_url}/{ROOT}/AAA").glob("*.keras")), "weights"


def _settings(settings):
    return Path(run_folder(settings.store_url, "manual__2").path("settings.json")), "settings"


def _scores(settings):
    return Path(folder_of_run(settings, "manual__2").path("metrics.json")), "scores"


@pytest.mark.parametrize("place", [_snapshot, _weights, _weights_before, _settings, _scores])
def test_one_changed_byte_is_named(two_nights_copied, place):
    """With its file, and before anything is trained."""
    path, stage = place(two_nights_copied)
    _change_a_byte(path)
    failed = _again(two_nights_copied).failed
    assert failed.first.name == stage
    assert path.name in failed.first.compared.first


def test_one_changed_byte_of_a_ledger_row_is_named(two_nights_copied):
    """The lowest byte of a bound, wherever Parquet has it; then a byte that makes the file unreadable."""
    (path,) = Path(two_nights_copied.ledger_place).glob("AAA/2025-11-24*.parquet")
    written = records(two_nights_copied.ledger_place, "AAA")[-1].low_95
    other = np.nextafter(written, 0.0)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<d", written), struct.pack("<d", other)))
    failed = _again(two_nights_copied).failed
    assert failed.first.name == "forecast"
    changed = f"ledger row 2025-11-24 v2 of AAA: low_95 {other}, written as {written}"
    assert changed in failed.first.compared.first
    path.write_bytes(content[:-1] + b"X")
    assert "2025-11-24" in _again(two_nights_copied).failed.first.compared.first


def test_a_night_of_an_earlier_version_says_what_it_lacks(two_nights_copied):
    """In three parts."""
    run_folder(two_nights_copied.store_url, "manual__2").remove("night.json")
    with pytest.raises(UsageError, match=r"night\.json"):
        _again(two_nights_copied)


def test_another_machine_may_differ_by_the_limit():
    """On the same machine no difference is accepted."""
    small = Reproduced("AAA", (Stage("scores", 1, Compared(9, "metrics.json rmse: 1, 2", LIMIT / 2)),))
    large = Reproduced("AAA", (Stage("scores", 1, Compared(9, "metrics.json rmse: 1, 2", LIMIT * 2)),))
    assert Reproduction(None, (small,), "", ("cores 2, now 4",)).failed is None
    assert Reproduction(None, (large,), "", ("cores 2, now 4",)).failed == large
    assert Reproduction(None, (small,), "", ()).failed == small
