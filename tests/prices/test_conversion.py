"""Conversion of stores of earlier versions, with a kill at each write."""

from pathlib import Path

import pytest

from pipeline.prices import conversion, snapshot
from pipeline.prices.snapshot import SnapshotRecord
from pipeline.steps import FLOW
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, json_bytes, sha256
from tests.support.nights import night


@pytest.fixture
def old_store(tiny):
    """Return the store and two units as an earlier version wrote them: raw.parquet, and two currencies."""
    folders = [night(str(day), f"2025-11-{day}", steps=FLOW[:2]) for day in (20, 21)]
    for folder in folders:
        manifest = folder.manifest("ingest")
        rows = snapshot.read(tiny.store_url, "AAA", folder, manifest).prices
        files = {"raw.parquet": frame_bytes(rows), "snapshot.json": json_bytes({"currency": "", "last_known": "USD"})}
        for name, data in files.items():
            folder.write(name, data)
        outputs = manifest.outputs | {name: sha256(data) for name, data in files.items()}
        folder.write_manifest(manifest.model_copy(update={"outputs": outputs}))
    for path in Path(tiny.store_url, "_snapshots", "AAA").iterdir():
        path.unlink()
    return tiny.store_url, folders


def rows_of(store_url, folder):
    return snapshot.read(store_url, "AAA", folder, folder.manifest("ingest")).prices


def convert(store_url):
    return conversion.convert(store_url, lambda _: None)


def test_rows_and_currencies_stay_and_bytes_are_shared(old_store):
    """A second conversion changes nothing."""
    store_url, folders = old_store
    before = [rows_of(store_url, folder) for folder in folders]
    done = convert(store_url)
    assert (done.snapshots, done.damaged) == (2, ())
    assert done.bytes_after < 0.5 * done.bytes_before
    for folder, rows in zip(folders, before, strict=True):
        assert "raw.parquet" not in folder.names()
        assert rows_of(store_url, folder).equals(rows)
        assert SnapshotRecord.of(folder)[:2] == ("", "USD")
    assert convert(store_url) == (0, 0, 0, ())


class Killed(BaseException):
    """The end of the process."""


def test_a_conversion_that_is_killed_anywhere_can_be_repeated(old_store, monkeypatch):
    """After each kill every snapshot can be read, and the next conversion goes on."""
    store_url, folders = old_store
    before = [rows_of(store_url, folder) for folder in folders]
    kills = 0
    for verb in ("write", "remove", "keep"):
        real = getattr(Folder, verb)

        def dying(*args, real=real):
            real(*args)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Folder, verb, dying)
            for _ in range(3):
                try:
                    convert(store_url)
                except Killed:
                    kills += 1
    assert kills >= 3
    convert(store_url)
    for folder, rows in zip(folders, before, strict=True):
        assert rows_of(store_url, folder).equals(rows)
        assert SnapshotRecord.of(folder)[:2] == ("", "USD")
        assert not {"raw.parquet"} & set(folder.names())


def test_a_damaged_snapshot_is_named_and_left(old_store):
    """The others are converted."""
    store_url, (first, second) = old_store
    first.write("raw.parquet", b"x")
    done = convert(store_url)
    assert done.snapshots == 1
    (line,) = done.damaged
    assert first.path("raw.parquet") in line
    assert first.read("raw.parquet") == b"x"
    assert "raw.parquet" not in second.names()
