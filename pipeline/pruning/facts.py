"""The facts that decide which nights are kept, read from the store, the ledger and MLflow."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.plan import checked_tickers
from pipeline.pruning.retention import Choice, Key, Limits, Row, Served, Unit, VersionFacts, choose
from pipeline.serving import ledger
from pipeline.store import deleted
from pipeline.store.folder import Folder
from pipeline.store.history import PastRun, past_runs
from pipeline.tracking.versions import served_before

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.store.deleted import DeletedUnits
    from pipeline.tracking.registry import Registry
    from pipeline.tracking.versions import Version


class Facts(NamedTuple):
    """The nights of the store, and what uses them."""

    runs: Mapping[str, PastRun]  # by folder
    records: Mapping[str, DeletedUnits]  # of deleted tickers, by folder of the run
    units: Sequence[Unit]  # that were not deleted
    versions: Mapping[str, Sequence[Version]]  # by ticker
    choice: Choice

    @property
    def unfinished(self) -> list[Key]:
        """Return the units whose deletion an earlier start has begun."""
        return [
            Key(ticker, name)
            for name, record in self.records.items()
            for ticker in record.unfinished
            if ticker in self.runs[name].tickers
        ]


def read_facts(settings: Settings, registry: Registry, now: dt.datetime) -> Facts:
    """Return the facts, and which nights are kept by them.

    Args:
        settings: with store, ledger and limits.
        registry: of MLflow.
        now: an aware time.

    Raises:
        UsageError: when a plan names something else than tickers.
        Damaged: when a record of deleted nights, or a row of the ledger, cannot be read.
        StoreError: when the store refuses.
        Unavailable: when MLflow or the ledger's database does not answer.
    """
    store_url = settings.store_url
    runs = {run.run: run for run in past_runs(store_url)}
    records = {name: deleted.read(store_url, name) for name in runs}
    units = [
        Unit(ticker, run.run, run.dag_run_id, run.as_of, run.created, run.source)
        for run in runs.values()
        for ticker in checked_tickers(run.tickers)  # it becomes a path below which files are removed
        if ticker not in records[run.run].units
    ]
    tickers = sorted({ticker for run in runs.values() for ticker in run.tickers})
    versions = {ticker: registry.versions(ticker) for ticker in tickers}
    choice = choose(
        units,
        [
            VersionFacts(ticker, one.number, one.dag_run_id, one.weights_of)
            for ticker, several in versions.items()
            for one in several
        ],
        {ticker: _served(registry, ticker) for ticker in tickers},
        [row for ticker in tickers for row in _rows(settings, ticker)],
        list(_newest_snapshots(store_url, units, runs)),
        Limits(settings.keep_nights, now),
        {(ticker, runs[name].dag_run_id) for name, record in records.items() for ticker in record.units},
    )
    return Facts(runs, records, units, versions, choice)


def _served(registry: Registry, ticker: str) -> Served:
    moves = registry.history(ticker)
    return Served(registry.aliases(ticker), served_before(moves), moves[0].before if moves else None)


def _rows(settings: Settings, ticker: str) -> Iterator[Row]:
    """Yield the rows of the last sessions in the ledger."""
    if not settings.keep_rows:
        return
    written = ledger.read(settings.ledger_place, ticker)
    sessions = sorted(written["session"].unique())[-settings.keep_rows :]
    for _, found in written[written["session"].isin(sessions)].iterrows():
        record = ledger.record_of(found)
        promoted = Folder(f"{settings.store_url}/{ticker}/{record.as_of}/{record.run}").manifest("promote")
        effects = promoted.outcome.effects if promoted else None
        before = effects.release.champion if effects and effects.release else None
        yield Row(ticker, record.session, record.version, record.run, before)


def _newest_snapshots(store_url: str, units: Sequence[Unit], runs: Mapping[str, PastRun]) -> Iterator[Key]:
    """Yield the newest unit of each ticker and source whose prices passed validation without a fault."""
    by_source: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for unit in units:
        if not runs[unit.run].fault:
            by_source[unit.ticker, unit.source].append(unit)
    for several in by_source.values():
        newest_first = sorted(several, key=lambda one: (one.as_of, one.created), reverse=True)
        for unit in newest_first:
            validated = runs[unit.run].folder_of(store_url, unit.ticker).manifest("validate")
            if validated and not validated.failed:
                yield unit.key
                break
