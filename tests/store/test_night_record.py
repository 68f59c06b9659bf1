"""The record of a night names the code, the machine and the files of the run."""

import json

import pytest

from pipeline.errors import Damaged
from pipeline.outcome import Manifest
from pipeline.settings import load_settings
from pipeline.store import night_record
from pipeline.store.folder import Folder

_CODE = "c" * 64


def _written(tmp_path, difference=b""):
    folder = Folder(str(tmp_path / "run"))
    code = night_record.Code("abc", difference, _CODE, "1" * 64, {"python": "3.11"})
    night_record.write(folder, load_settings(), b"{}", code)
    return folder


def _manifest(step, outputs, code=_CODE[:12], tags=None):
    fields = {"key": "", "inputs": {}, "started": "2025-11-22T00:00:00Z", "seconds": 1, "peak_memory_mb": 1}
    outputs = dict.fromkeys(outputs, "")
    return Manifest(step=step, outputs=outputs, outcome={"tags": tags or {}}, versions={"code": code}, **fields)


def test_settings_are_recorded_with_their_origin_and_without_passwords(tiny, tmp_path, monkeypatch):
    """A variable, closecast.toml, or the default."""
    monkeypatch.setenv("CLOSECAST_ALERT_URLS", "json://user:secret@host")
    monkeypatch.setenv("CLOSECAST_LEDGER", "postgresql://user:secret@host/db")
    folder = _written(tmp_path)
    text = folder.read("settings.json").decode()
    origins = {one["name"]: one["origin"] for one in json.loads(text)}
    assert (origins["start"], origins["retries"]) == ("CLOSECAST_START", "default")
    assert origins["gate.tolerance"] == "closecast.toml"
    assert "secret" not in text
    assert tiny.preset in text


def test_the_files_are_those_that_were_written(tiny, tmp_path):
    """One other byte, or no file, is named."""
    folder = _written(tmp_path, b"a difference")
    record = night_record.read(folder)
    assert set(record.files) == {"plan.json", "settings.json", "suite.json", "checkout.diff"}
    assert not record.clean
    assert night_record.file_of(folder, record, "suite.json") == tiny.suite_path.read_bytes()
    folder.write("settings.json", folder.read("settings.json")[:-1] + b" ")
    folder.remove("checkout.diff")
    for name in ("settings.json", "checkout.diff"):
        with pytest.raises(Damaged, match=name):
            night_record.file_of(folder, record, name)


def test_a_record_names_no_file_elsewhere(tmp_path):
    """A changed record must not read other files of this machine."""
    folder = _written(tmp_path)
    text = folder.read("night.json").decode()
    folder.write("night.json", text.replace("suite.json", "../../etc/passwd").encode())
    with pytest.raises(Damaged, match="1 problem"):
        night_record.read(folder)


def test_the_gaps_of_a_night_are_named(tmp_path):
    """Files, hashes, the processor, and steps that ran with other code than the plan."""
    record = night_record.read(_written(tmp_path))
    assert night_record.gaps(None, {}) == ["night.json of the run"]
    whole = _manifest("ingest", ["snapshot.json"], tags={"data_sha256": "1"})
    assert night_record.gaps(record, {"AAA": [whole, None]}) == []
    trained = _manifest("train", ["model.keras"], code="another")
    assert night_record.gaps(record, {"AAA": [whole, trained]}) == [
        "AAA recipe.json",
        "AAA train: other code than that of the plan",
        "AAA the processor of the training",
    ]
    assert night_record.gaps_finding([]) is None
    assert night_record.gaps_finding(["AAA recipe.json"]).rows == ("AAA recipe.json",)
