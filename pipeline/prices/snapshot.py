"""The snapshot of one ticker in one run: fetched from its source, kept in the archive, and read here alone.

`snapshot.json` in the unit's folder names the snapshot by the hash of its rows; `pipeline.prices.archive` has the rows.
Runs of earlier versions have the rows in `raw.parquet` instead.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline.errors import Damaged, StoreError
from pipeline.prices import archive
from pipeline.prices.pieces import rows_sha256
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_of, json_bytes, json_of

if TYPE_CHECKING:
    from pipeline.outcome import Manifest
    from pipeline.plan import Plan
    from pipeline.prices.sources import Quoted
    from pipeline.settings import Settings

log = logging.getLogger("closecast")
FILE = "snapshot.json"
OLD_FILE = "raw.parquet"  # of earlier versions


class SnapshotRecord(NamedTuple):
    """What a run records of its snapshot: `snapshot.json`, written and read here alone."""

    currency: str  # "" if the source does not name it
    last_known: str  # the same; if it is unknown, that of the newest earlier snapshot that named one
    name: str = ""  # of the snapshot's file in the archive; "" for a snapshot of an earlier version
    sha256: str = ""  # of the rows

    def to_json(self) -> bytes:
        """Return the content of snapshot.json."""
        return json_bytes(self._asdict())

    @classmethod
    def from_json(cls, data: bytes) -> SnapshotRecord:
        """Return the object that `to_json` wrote."""
        return cls(**json_of(data))

    @classmethod
    def of(cls, folder: Folder) -> SnapshotRecord:
        """Return that of a unit's folder; the currency is unknown for a snapshot of an earlier version.

        Raises:
            Damaged: when the file has changed since `ingest` wrote it.
        """
        ingested = folder.manifest("ingest")
        if ingested is None or FILE not in ingested.outputs:
            return cls("", "")
        return cls.from_json(folder.read_written(FILE, ingested))


class Snapshot(NamedTuple):
    """The prices of one ticker as a run saw them."""

    prices: pd.DataFrame
    stored: archive.Stored | None  # None for a snapshot of an earlier version


class Last(NamedTuple):
    """The newest earlier snapshot of a ticker that passed validation."""

    folder: Folder  # of its unit
    record: SnapshotRecord
    prices: pd.DataFrame
    stored: archive.Stored | None


class Kept(NamedTuple):
    """A snapshot that is ready to be written."""

    name: str  # of its file in the archive
    sha256: str  # of the rows
    files: dict[str, bytes]  # by path below the store: those that the snapshot before does not have


def fetch(ticker: str, plan: Plan, settings: Settings) -> Quoted:
    """Return the prices of `ticker` up to `plan.as_of`, from the plan's source as it has them now.

    Raises:
        DataError: the source has no prices, or prices that cannot be read.
        Unavailable: the source does not answer.
    """
    source = import_module(f"pipeline.prices.sources.{plan.source}")  # each loads libraries of its own
    quoted: Quoted = source.fetch_planned(ticker, plan, settings)
    return quoted


def keep(ticker: str, prices: pd.DataFrame, before: archive.Stored | None) -> Kept:
    """Return a snapshot with the files that the runner writes; `before` is an earlier one that shares files with it."""
    made = archive.prepare(prices, before)
    files = {f"{archive.ROOT}/{ticker}/{name}": data for name, data in made.files.items()}
    return Kept(made.name, rows_sha256(prices), files)


def read(store_url: str, ticker: str, folder: Folder, ingested: Manifest) -> Snapshot:
    """Return the snapshot of a unit.

    Args:
        store_url: the store.
        ticker: of the unit.
        folder: of the unit.
        ingested: its manifest of `ingest`.

    Raises:
        Damaged: when a file is missing or has changed, or the rows are not those that `ingest` took.
        StoreError: when the store refuses.
    """
    if OLD_FILE in ingested.outputs:
        return Snapshot(frame_of(folder.read_written(OLD_FILE, ingested)), None)
    record = SnapshotRecord.from_json(folder.read_written(FILE, ingested))
    stored = archive.load(store_url, ticker, record.name)
    found = rows_sha256(stored.prices)
    if found == record.sha256:
        return Snapshot(stored.prices, stored)
    raise Damaged(
        "The rows of a snapshot must be those that `ingest` took.",
        f"{record.name} of {ticker}: rows with hash {found[:12]}, taken with {record.sha256[:12]}",
        "Clear ingest and the steps after it in Airflow, which takes the snapshot again. Or start a new run.",
    )


def identity(ingested: Manifest) -> str:
    """Return the hash of the snapshot that `ingest` took, by its manifest; "" without one."""
    return ingested.outputs.get(OLD_FILE) or ingested.outcome.tags.get("data_sha256", "")


def is_whole(store_url: str, ticker: str, folder: Folder, manifest: Manifest) -> bool:
    """Return whether a step took no snapshot, or its snapshot can be read; log a warning if not."""
    if not {FILE, OLD_FILE} & set(manifest.outputs):
        return True
    try:
        read(store_url, ticker, folder, manifest)
    except (Damaged, StoreError) as error:
        log.warning("A damaged snapshot is taken again: %s", error)
        return False
    return True


def last_snapshot(store_url: str, ticker: str, plan: Plan) -> Last | None:
    """Return the newest snapshot before `plan.as_of` that passed validation; None without one.

    Only snapshots of the same source count, and no snapshot with a fault: the next night would not match it.
    """
    for day in reversed(Folder(f"{store_url}/{ticker}").names()):
        if day >= str(plan.as_of):
            continue
        folders = [Folder(f"{store_url}/{ticker}/{day}/{run}") for run in Folder(f"{store_url}/{ticker}/{day}").names()]
        validated = [(folder.manifest("validate"), folder) for folder in folders]
        passed = [(manifest.started, folder) for manifest, folder in validated if manifest and not manifest.failed]
        for _, folder in sorted(passed, reverse=True):
            if found := _as_last(store_url, ticker, folder, plan.source):
                return found
    return None


def _as_last(store_url: str, ticker: str, folder: Folder, source: str) -> Last | None:
    """Return the snapshot of a unit if it is one of `source`, without a fault, and whole."""
    ingested = folder.manifest("ingest")
    if ingested is None:
        return None
    tags = ingested.outcome.tags
    if tags.get("source") != source or "fault" in tags:
        return None
    try:
        found = read(store_url, ticker, folder, ingested)
        return Last(folder, SnapshotRecord.of(folder), found.prices, found.stored)
    except (Damaged, StoreError) as error:
        log.warning("A damaged snapshot is ignored: %s", error)
        return None
