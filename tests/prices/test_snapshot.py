"""The snapshot of a run in a real store: taken again, damaged, of an earlier version, and the last one."""

from pathlib import Path

import pytest

from pipeline import runner, runs
from pipeline.errors import DataError
from pipeline.prices import snapshot
from pipeline.prices.snapshot import SnapshotRecord, last_snapshot
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store.formats import frame_bytes, sha256
from pipeline.store.runs import read_plan, unit_folder
from tests.support.nights import night

TAKE = FLOW[:2]  # ingest, validate


def content(store_url):
    """Return every file of the archive by its path."""
    root = Path(store_url, "_snapshots")
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def prices_of(settings, folder):
    """Return the rows of a unit's snapshot."""
    return snapshot.read(settings.store_url, "AAA", folder, folder.manifest("ingest")).prices


def test_a_cleared_night_under_changed_code_leaves_the_first_snapshot_as_it_was(tiny, monkeypatch):
    """Equal rows are the same snapshot; other rows are another one, and the first can still be read."""
    folder = night("1", "2025-11-21", steps=TAKE)
    first = SnapshotRecord.of(folder)
    rows = prices_of(tiny, folder)
    before = content(tiny.store_url)
    monkeypatch.setattr(runner, "code_version", lambda: "changed")
    assert night("1", "2025-11-21", steps=TAKE) == folder
    assert folder.manifest("ingest").key != ""
    assert SnapshotRecord.of(folder) == first
    assert content(tiny.store_url) == before
    real = snapshot.fetch

    def corrected(ticker, plan, settings):
        quoted = real(ticker, plan, settings)
        quoted.prices.iloc[-1, quoted.prices.columns.get_loc("volume")] += 1
        return quoted

    monkeypatch.setattr(snapshot, "fetch", corrected)
    monkeypatch.setattr(runner, "code_version", lambda: "changed again")
    night("1", "2025-11-21", steps=TAKE)
    assert SnapshotRecord.of(folder).sha256 != first.sha256
    after = content(tiny.store_url)
    assert {path: after[path] for path in before} == before
    assert snapshot.archive.load(tiny.store_url, "AAA", first.name).prices.equals(rows)


def test_a_damaged_file_is_named_and_ingest_writes_it_again(tiny):
    """The file of a closed year, which all nights share."""
    folder = night("1", "2025-11-21", steps=TAKE)
    (year,) = Path(tiny.store_url, "_snapshots", "AAA").glob("2023-*.parquet")
    good = year.read_bytes()
    for damaged in (good[:-9], b"", None):
        year.unlink()
        if damaged is not None:
            year.write_bytes(damaged)
        (Path(folder.url) / "validate.manifest.json").unlink()
        with pytest.raises(DataError, match=rf"A snapshot must be as it was written.*{year.name}"):
            night("1", "2025-11-21", steps=TAKE[1:])
        night("1", "2025-11-21", steps=TAKE)
        assert year.read_bytes() == good


def test_a_snapshot_of_an_earlier_version_is_read(tiny):
    """Its rows are in raw.parquet; a night after it takes a whole snapshot."""
    folder = night("1", "2025-11-20", steps=TAKE)
    rows = prices_of(tiny, folder)
    manifest = folder.manifest("ingest")
    folder.write("raw.parquet", frame_bytes(rows))
    outputs = {"raw.parquet": sha256(folder.read("raw.parquet"))}
    folder.write_manifest(manifest.model_copy(update={"outputs": outputs}))
    (Path(folder.url) / "validate.manifest.json").unlink()
    night("1", "2025-11-20", steps=TAKE[1:])
    assert not folder.manifest("validate").failed
    later = night("2", "2025-11-21", steps=TAKE)
    assert prices_of(tiny, later).iloc[:-1].equals(rows)


def test_the_last_snapshot_is_an_earlier_one_that_passed_and_had_no_fault(tiny):
    """Not this session's own, not a failed one, not one with a fault, not another source's."""
    folders = {}
    for name, as_of, fault in (
        ("old", "2025-11-18", None), ("good", "2025-11-19", None), ("fault", "2025-11-20", "partial_bar"),
        ("failed", "2025-11-20", "bad_bar"), ("now", "2025-11-21", None),
    ):  # fmt: skip
        (batch,) = runs.plan(load_settings(tickers=("AAA",), as_of=as_of, fault=fault), f"manual__{name}")
        runner.run("ingest", batch, settings=tiny)
        if name == "failed":
            with pytest.raises(DataError, match="AAA failed"):
                runner.run("validate", batch, settings=tiny)
        else:
            runner.run("validate", batch, settings=tiny)
        folders[name] = unit_folder(tiny.store_url, "AAA", read_plan(tiny.store_url, batch["run"]))
    plan = read_plan(tiny.store_url, "manual__now")
    assert last_snapshot(tiny.store_url, "AAA", plan).folder == folders["good"]
    assert last_snapshot(tiny.store_url, "BBB", plan) is None
    assert last_snapshot(tiny.store_url, "AAA", plan.model_copy(update={"source": "yahoo"})) is None
