"""Conversion of a store: the `raw.parquet` of each earlier run becomes a snapshot of the archive, with equal rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pipeline.errors import Damaged
from pipeline.outcome import Manifest
from pipeline.prices import archive, snapshot
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256


class Converted(NamedTuple):
    """The result of a conversion."""

    snapshots: int  # that were converted now
    bytes_before: int  # of their raw.parquet
    bytes_after: int  # of the files that took their place
    damaged: tuple[str, ...]  # one line for each raw.parquet that is not as it was written; it stays where it is


def convert(store_url: str, on_ticker: Callable[[str], None]) -> Converted:
    """Convert every snapshot of a store that an earlier version wrote. A conversion that was killed can be repeated.

    Args:
        store_url: the store.
        on_ticker: called with each ticker before its snapshots are converted.

    Raises:
        StoreError: when the store refuses.
    """
    total = Converted(0, 0, 0, ())
    for ticker in [name for name in Folder(store_url).names() if not name.startswith("_")]:
        on_ticker(ticker)
        before: archive.Stored | None = None
        for folder, ingested in _units(store_url, ticker):
            try:
                one, before = _convert_unit(store_url, ticker, folder, ingested, before)
            except Damaged as error:
                total = total._replace(damaged=(*total.damaged, error.received))
                continue
            total = Converted(
                total.snapshots + one.snapshots,
                total.bytes_before + one.bytes_before,
                total.bytes_after + one.bytes_after,
                total.damaged,
            )
    return total


def _units(store_url: str, ticker: str) -> list[tuple[Folder, Manifest]]:
    """Return the units of a ticker with a snapshot, oldest session first."""
    found = []
    for day in Folder(f"{store_url}/{ticker}").names():
        for run in Folder(f"{store_url}/{ticker}/{day}").names():
            folder = Folder(f"{store_url}/{ticker}/{day}/{run}")
            ingested = folder.manifest("ingest")
            if ingested and {snapshot.FILE, snapshot.OLD_FILE} & set(ingested.outputs):
                found.append((folder, ingested))
    return found


def _convert_unit(
    store_url: str, ticker: str, folder: Folder, ingested: Manifest, before: archive.Stored | None
) -> tuple[Converted, archive.Stored | None]:
    """Convert the snapshot of one unit if that is needed; return what was done, and the snapshot for the next one.

    The manifest changes after the new files, and `raw.parquet` goes last: a kill leaves the rows of one of the two.
    """
    taken = snapshot.read(store_url, ticker, folder, ingested)
    if taken.stored:
        if snapshot.OLD_FILE in folder.names():  # a conversion was killed before its last step
            folder.remove(snapshot.OLD_FILE)
        return Converted(0, 0, 0, ()), taken.stored
    kept = snapshot.keep(ticker, taken.prices, before)
    for path, data in kept.files.items():
        Folder(store_url).keep(path, data)
    record = _record(folder, kept)
    folder.write(snapshot.FILE, record.to_json())
    outputs = {name: digest for name, digest in ingested.outputs.items() if name != snapshot.OLD_FILE}
    converted = ingested.model_copy(update={"outputs": outputs | {snapshot.FILE: sha256(record.to_json())}})
    stored = snapshot.read(store_url, ticker, folder, converted).stored  # before the old file goes
    folder.write_manifest(converted)
    old_bytes = len(folder.read(snapshot.OLD_FILE))
    folder.remove(snapshot.OLD_FILE)
    return Converted(1, old_bytes, sum(map(len, kept.files.values())), ()), stored


def _record(folder: Folder, kept: snapshot.Kept) -> snapshot.SnapshotRecord:
    """Return the record of a converted snapshot, with the currencies of the old one."""
    named = {"name": kept.name, "sha256": kept.sha256}
    if snapshot.FILE in folder.names():
        written = snapshot.SnapshotRecord.from_json(folder.read(snapshot.FILE))
        if written.sha256 == kept.sha256:  # a conversion was killed before it wrote the manifest
            return written._replace(**named)
    return snapshot.SnapshotRecord.of(folder)._replace(**named)
