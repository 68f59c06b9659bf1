"""The folder in which a night is made again: plan, suite, snapshots, weights and ledger as they were before it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.audit import remake
from pipeline.audit.night_ledger import copy_ledger
from pipeline.outcome import ANSWER
from pipeline.prices import archive, snapshot
from pipeline.steps import FLOW
from pipeline.steps.join import JOINED
from pipeline.store import night_record
from pipeline.store.folder import Folder
from pipeline.store.runs import run_folder
from pipeline.tracking import champion_record
from pipeline.tracking.champion_record import ChampionRecord

if TYPE_CHECKING:
    from pipeline.outcome import Manifest, Released
    from pipeline.settings import Settings
    from pipeline.store.history import PastRun
    from pipeline.store.night_record import NightRecord


class Ended(NamedTuple):
    """The steps that one ticker passed in the night."""

    folder: Folder
    manifests: dict[str, Manifest]


def ended_of(store_url: str, run: PastRun, ticker: str) -> Ended:
    """Return the steps that a ticker passed in a night, in their order."""
    folder = run.folder_of(store_url, ticker)
    manifests: dict[str, Manifest] = {}
    for step in FLOW:
        manifest = folder.manifest(step.name)
        if manifest is None or manifest.failed:
            break
        manifests[step.name] = manifest
    return Ended(folder, manifests)


def prepare(
    home: Path,
    run: PastRun,
    record: NightRecord,
    files: Mapping[str, bytes],
    ended: Mapping[str, Ended],
    tickers: Sequence[str],
    settings: Settings,
) -> None:
    """Write the folder of a night.

    Args:
        home: the folder.
        run: of the night.
        record: of the run.
        files: that the record names.
        ended: the tickers to make again.
        tickers: those of them that are compared; the others only share the network.
        settings: of the store and the ledger, which are read.

    Raises:
        Damaged: when a part of the record is not as it was written.
        StoreError: when the store refuses.
    """
    store = str(home / "store")
    run_folder(store, run.run).write(night_record.PLAN, files[night_record.PLAN])
    Folder(str(home / "expectations")).write("prices.json", files.get(night_record.SUITE, b""))
    asked = {}
    for ticker, one in ended.items():
        _copy_ingest(settings.store_url, store, ticker, run, one)
        for path, data in weights_before(settings.store_url, one).items():
            Folder(store).write(path, data)
        if ticker in tickers and "forecast" in one.manifests:
            copy_ledger(settings.ledger_place, f"{store}/_ledger", ticker, run.run, one.manifests["forecast"].started)
        asked[ticker] = _asked(one, whole=ticker in tickers)
    request = remake.Request(run=run.run, code=record.code, tickers=asked)
    (home / remake.REQUEST).write_text(request.model_dump_json(indent=1))


def _copy_ingest(store_url: str, to: str, ticker: str, run: PastRun, ended: Ended) -> None:
    """Copy the snapshot of the night, and what `ingest` recorded of it."""
    ingested = ended.manifests["ingest"]
    folder = run.folder_of(to, ticker)
    for name in ingested.outputs:
        folder.write(name, ended.folder.read_written(name, ingested))
    folder.write_manifest(ingested)
    if ended.folder.exists(ANSWER):
        folder.write(ANSWER, ended.folder.read(ANSWER))
    taken = snapshot.SnapshotRecord.of(ended.folder)
    for name in archive.files_of(store_url, ticker, taken.name) if taken.name else ():
        archive.folder(to, ticker).write(name, archive.folder(store_url, ticker).read(name))


def _asked(ended: Ended, *, whole: bool) -> remake.Asked:
    last = list(ended.manifests)[-1]
    promoted = ended.manifests.get("promote")
    results = promoted.results if promoted else None
    trained = ended.manifests.get("train")
    forecast_by = None
    if "forecast" in ended.manifests:
        served = json.loads(ended.folder.read_written("forecast.json", ended.manifests["forecast"]))
        forecast_by = (served["champion"] or {}).get("version")
    return remake.Asked(
        until=last if whole else "train",
        champion=_champion(ended),
        released=_number(results.released if results else None),
        continued=_number(results.continued if results else None),
        joined=trained is not None and JOINED in trained.outcome.tags,
        forecast_by=forecast_by,
    )


def _number(released: Released | None) -> int | None:
    return released.version if released else None


def weights_before(store_url: str, ended: Ended) -> dict[str, bytes]:
    """Return the networks that the night met, by their path below the store."""
    champion = _champion(ended)
    networks = [one for one in (champion.served, champion.evaluated) if one]
    return {one.weights: champion_record.weights_of(store_url, one) for one in networks}


def _champion(ended: Ended) -> ChampionRecord:
    if "promote" not in ended.manifests:
        return ChampionRecord(number=None)
    return ChampionRecord.from_json(ended.folder.read_written(champion_record.FILE, ended.manifests["promote"]))
