"""Deletes nights from store and MLflow, in an order in which readers never see half a night.

For each run: its record first, then its versions, models and runs in MLflow, then its files, the manifests before all
others and the last step's first. A night that loses its newest manifest looks like one that stopped after the step
before, and `diff` and `retry` read the record. Snapshots and weights that no night names any more follow, then
MLflow's garbage.
A killed deletion is finished by the next one: the record lists the tickers that it has not finished.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import Damaged, StoreError
from pipeline.outcome import ANSWER
from pipeline.prices import archive, snapshot
from pipeline.pruning.retention import FRESH_DAYS, Key
from pipeline.steps import FLOW
from pipeline.store import deleted
from pipeline.store.deleted import Deleted
from pipeline.store.folder import Folder
from pipeline.store.runs import run_folder
from pipeline.tracking import champion_record, deletion
from pipeline.tracking.deletion import Counts

if TYPE_CHECKING:
    from pipeline.pruning.facts import Facts
    from pipeline.settings import Settings
    from pipeline.store.history import PastRun
    from pipeline.tracking.deletion import Protected
    from pipeline.tracking.runs import Runs
    from pipeline.tracking.versions import Version

log = logging.getLogger("closecast")
EVIDENCE = ("decision.json", ANSWER)  # of the gate and of a person
_OF_A_RUN = ("report.html",)  # plan.json, results.json and the record stay
_MANIFESTS = [f"{step.name}.manifest.json" for step in reversed(FLOW)]


class Files(NamedTuple):
    """Numbers and bytes of files of the store."""

    files: int = 0
    size: int = 0

    def plus(self, other: Files) -> Files:
        """Return the sum of both."""
        return Files(self.files + other.files, self.size + other.size)


class Pruned(NamedTuple):
    """The numbers of a deletion, or of one that is foreseen."""

    units: int
    nights: Files  # of units and runs
    snapshots: Files
    mlflow: Counts
    collected: int  # runs that MLflow's garbage collection removed
    unread: tuple[str, ...]  # tickers of which no snapshot was deleted, with the reason


def foreseen(settings: Settings, facts: Facts) -> Pruned:
    """Return what `carry_out` would delete; nothing is changed."""
    store_url = settings.store_url
    doomed = {one.key for one in facts.choice.deleted} | set(facts.unfinished)
    nights = Files()
    for key in doomed:
        folder = facts.runs[key.run].folder_of(store_url, key.ticker)
        nights = nights.plus(_total(size for name, size in folder.sizes().items() if name not in EVIDENCE))
    for run in _whole_runs(facts, doomed):
        nights = nights.plus(
            _total(size for name, size in run_folder(store_url, run).sizes().items() if name in _OF_A_RUN)
        )
    snapshots, unread = _snapshots(store_url, doomed, lambda _folder, _name: None)
    versions = [one for key in doomed for one in _versions(facts, key)]
    return Pruned(len(doomed), nights, snapshots, Counts(versions=len(versions), runs=len(doomed)), 0, unread)


def carry_out(
    settings: Settings, facts: Facts, runs: Runs, backend: str, now: dt.datetime, renew: Callable[[], None]
) -> Pruned:
    """Delete the nights that no rule keeps, and finish the deletion of earlier starts.

    Args:
        settings: with the store.
        facts: as they are now.
        runs: of MLflow.
        backend: URL of the database of our own MLflow server; "" for another server, which collects its own garbage.
        now: an aware time, for the record.
        renew: called before each deletion; it raises when this process must not go on.

    Raises:
        StoreError: the store refuses.
        Unavailable: MLflow does not answer, or `renew` raised it.
    """
    store_url = settings.store_url
    doomed = {one.key for one in facts.choice.deleted} | set(facts.unfinished)
    kept = [one for several in facts.versions.values() for one in several if _is_kept(facts, one)]
    keep = deletion.protected(kept)
    by_run: dict[str, list[str]] = defaultdict(list)
    for key in sorted(doomed):
        by_run[key.run].append(key.ticker)
    nights = Files()
    counts = Counts()
    rule = _rule(settings)
    for name, tickers in sorted(by_run.items(), key=lambda one: facts.runs[one[0]].created):
        run = facts.runs[name]
        log.info("prune: %s, as of %s, %d ticker(s)", run.dag_run_id, run.as_of, len(tickers))
        renew()
        record = facts.records[name].begun({one: _record(facts, Key(one, name), rule, now) for one in tickers})
        deleted.write(store_url, name, record)
        is_whole = set(record.units) >= set(run.tickers)
        counts = counts.plus(_delete_in_mlflow(runs, facts, run, tickers, keep, renew, is_whole=is_whole))
        for ticker in tickers:
            nights = nights.plus(_delete_unit(run.folder_of(store_url, ticker), renew))
        if is_whole:
            nights = nights.plus(_delete_files(run_folder(store_url, name), _OF_A_RUN, renew))
        deleted.write(store_url, name, record.model_copy(update={"unfinished": ()}))
    snapshots, unread = _snapshots(store_url, doomed, lambda folder, file: _remove(folder, file, renew))
    gone = _gone(facts, doomed)
    collected = deletion.collect_garbage(runs, backend, gone, renew) if backend else 0
    return Pruned(len(doomed), nights, snapshots, counts, collected, unread)


def _rule(settings: Settings) -> str:
    return (
        f"not one of the last {settings.keep_nights} nights, older than {FRESH_DAYS} days, and needed by no champion "
        f"and no forecast of the last {settings.keep_rows} sessions in the ledger"
    )


def _is_kept(facts: Facts, version: Version) -> bool:
    return (version.tags.get("ticker", ""), version.number) in facts.choice.versions


def _versions(facts: Facts, key: Key) -> list[Version]:
    """Return the versions that are deleted with a unit."""
    dag_run_id = facts.runs[key.run].dag_run_id
    mine = [one for one in facts.versions[key.ticker] if one.dag_run_id == dag_run_id]
    return [one for one in mine if (key.ticker, one.number) not in facts.choice.versions]


def _record(facts: Facts, key: Key, rule: str, now: dt.datetime) -> Deleted:
    """Return the record of a unit, with the moves of the alias to its versions: MLflow alone has them."""
    versions = _versions(facts, key)
    moves = {
        f"v{one.number} {tag}": value
        for one in versions
        for tag, value in one.tags.items()
        if tag.startswith("champion.")
    }
    return Deleted(when=now, rule=rule, versions=tuple(one.number for one in versions), moves=moves)


def _delete_in_mlflow(
    runs: Runs,
    facts: Facts,
    run: PastRun,
    tickers: Collection[str],
    keep: Protected,
    renew: Callable[[], None],
    *,
    is_whole: bool,
) -> Counts:
    counts = Counts()
    for ticker in tickers:
        renew()
        counts = counts.plus(deletion.delete_versions(runs, ticker, _versions(facts, Key(ticker, run.run))))
    names = {*tickers, ""} if is_whole else set(tickers)  # "" is the run above those of the tickers
    return counts.plus(deletion.delete_runs(runs, run.dag_run_id, names, keep, renew))


def _delete_unit(folder: Folder, renew: Callable[[], None]) -> Files:
    others = [name for name in folder.sizes() if name not in _MANIFESTS and name not in EVIDENCE]
    return _delete_files(folder, [*_MANIFESTS, *others], renew)


def _delete_files(folder: Folder, names: Collection[str], renew: Callable[[], None]) -> Files:
    found = folder.sizes()
    for name in names:
        if name in found:
            _remove(folder, name, renew)
    return _total(found[name] for name in names if name in found)


def _remove(folder: Folder, name: str, renew: Callable[[], None]) -> None:
    renew()
    folder.remove(name)


def _total(sizes: Iterable[int]) -> Files:
    known = list(sizes)
    return Files(len(known), sum(known))


def _whole_runs(facts: Facts, doomed: Collection[Key]) -> list[str]:
    """Return the runs of which every ticker is deleted, with `doomed`."""
    return [
        name
        for name in {key.run for key in doomed}
        if all(
            ticker in facts.records[name].units or Key(ticker, name) in doomed for ticker in facts.runs[name].tickers
        )
    ]


def _gone(facts: Facts, doomed: Collection[Key]) -> set[tuple[str, str]]:
    """Return ticker and `dag_run_id` of all deleted units, and "" with that of each run without a ticker left."""
    gone = set()
    for name, run in facts.runs.items():
        mine = {ticker for ticker in run.tickers if ticker in facts.records[name].units or Key(ticker, name) in doomed}
        gone |= {(ticker, run.dag_run_id) for ticker in mine}
        if mine == set(run.tickers):
            gone.add(("", run.dag_run_id))
    return gone


def _snapshots(
    store_url: str, doomed: Collection[Key], remove: Callable[[Folder, str], None]
) -> tuple[Files, tuple[str, ...]]:
    """Remove the files of snapshots and weights that no unit outside `doomed` needs.

    A ticker that cannot be read loses no file.
    """
    total = Files()
    unread = []
    for root, needed_files in ((archive.ROOT, _needed), (champion_record.ROOT, _needed_weights)):
        for ticker in Folder(f"{store_url}/{root}").names():
            folder = Folder(f"{store_url}/{root}/{ticker}")
            try:
                needed = needed_files(store_url, ticker, doomed)
            except (Damaged, StoreError, ValueError, TypeError) as error:
                reason = error.received if isinstance(error, (Damaged, StoreError)) else str(error)[:200]
                unread.append(f"{ticker}: {reason}")
                continue
            found = folder.sizes()
            # A file that names others goes before them.
            for name in sorted(found.keys() - needed, key=_rank):
                remove(folder, name)
                total = total.plus(Files(1, found[name]))
    return total, tuple(unread)


def _rank(name: str) -> tuple[int, str]:
    kinds = ("snapshot-", "history-")
    return next((rank for rank, kind in enumerate(kinds) if name.startswith(kind)), len(kinds)), name


def _needed(store_url: str, ticker: str, doomed: Collection[Key]) -> set[str]:
    """Return the snapshot files of all units of a ticker that stay, those of runs without a plan included."""
    records = _of_units_that_stay(store_url, ticker, doomed, snapshot.FILE)
    names = {snapshot.SnapshotRecord.from_json(record).name for record in records}
    return {file for name in names - {""} for file in archive.files_of(store_url, ticker, name)}


def _needed_weights(store_url: str, ticker: str, doomed: Collection[Key]) -> set[str]:
    """Return the files of weights that the units of a ticker which stay met as their champion."""
    records = _of_units_that_stay(store_url, ticker, doomed, champion_record.FILE)
    champions = [champion_record.ChampionRecord.from_json(record) for record in records]
    networks = [network for one in champions for network in (one.served, one.evaluated) if network]
    return {network.weights.rpartition("/")[2] for network in networks}


def _of_units_that_stay(store_url: str, ticker: str, doomed: Collection[Key], name: str) -> Iterator[bytes]:
    """Yield a file of each unit of a ticker that stays and has it."""
    for day in Folder(f"{store_url}/{ticker}").names():
        for run in Folder(f"{store_url}/{ticker}/{day}").names():
            unit = Folder(f"{store_url}/{ticker}/{day}/{run}")
            if Key(ticker, run) not in doomed and unit.exists(name):
                yield unit.read(name)
