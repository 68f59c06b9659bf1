"""Which nights are kept, and why: a pure function of nights, versions and rows of the ledger."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

FRESH_DAYS = 7  # a run of the past that was started now, such as a backfill, is not deleted at once


class Unit(NamedTuple):
    """One ticker in one run, as the store has it."""

    ticker: str
    run: str  # name of its folder
    dag_run_id: str
    as_of: dt.date
    created: dt.datetime
    source: str

    @property
    def key(self) -> Key:
        """Return the names that find it."""
        return Key(self.ticker, self.run)


class Key(NamedTuple):
    """The names of a unit."""

    ticker: str
    run: str


class VersionFacts(NamedTuple):
    """A registered version."""

    ticker: str
    number: int
    dag_run_id: str  # of the night that registered it
    weights_of: int  # the version that first had its weights

    @property
    def name(self) -> tuple[str, int]:
        """Return ticker and number."""
        return self.ticker, self.number


class Row(NamedTuple):
    """A row of the ledger within the horizon."""

    ticker: str
    session: dt.date
    version: int  # that made the forecast
    run: str  # that wrote it
    champion_before: int | None  # the version that the run's decision was made against


class Limits(NamedTuple):
    """How much is kept."""

    nights: int  # sessions of each ticker and source
    now: dt.datetime


class Served(NamedTuple):
    """The versions of a ticker that are in use."""

    aliased: Mapping[str, int]  # version by alias: champion, challenger, those of a person
    rollback: int | None  # the version that `champion rollback` would serve
    before: int | None = None  # the champion before: a night that is decided again meets it


class Choice(NamedTuple):
    """The nights by what happens to them."""

    kept: dict[Key, tuple[str, ...]]  # reasons
    deleted: list[Unit]
    versions: set[tuple[str, int]]  # that are kept, by ticker and number


def choose(
    units: Sequence[Unit],
    versions: Sequence[VersionFacts],
    served: Mapping[str, Served],
    rows: Sequence[Row],
    newest_snapshots: Iterable[Key],
    limits: Limits,
    gone: Collection[tuple[str, str]] = (),
) -> Choice:
    """Return which units are kept, and which can be deleted.

    Args:
        units: all of the store that were not deleted.
        versions: all of MLflow.
        served: by ticker.
        rows: those of the ledger that must be made again.
        newest_snapshots: the unit of each ticker and source that the next night compares its prices with.
        limits: how much is kept.
        gone: ticker and `dag_run_id` of units whose deletion has begun: only needed versions of them are kept.
    """
    reasons = _reasons_of_nights(units, rows, newest_snapshots, limits)
    unit_of = {(one.ticker, one.dag_run_id): one.key for one in units}
    registered: dict[Key | None, list[VersionFacts]] = defaultdict(list)
    for one in versions:
        registered[unit_of.get((one.ticker, one.dag_run_id))].append(one)
    # A version of a night that the store never had is not ours to delete.
    foreign = [one for one in registered.pop(None, []) if (one.ticker, one.dag_run_id) not in gone]
    siblings = [one for key in reasons for one in registered[key]]
    wanted = [*_needed_versions(served, rows), *((one.name, "") for one in (*foreign, *siblings))]
    known = {one.name: one for one in versions}
    kept_versions: set[tuple[str, int]] = set()
    while wanted:
        name, why = wanted.pop()
        version = known.get(name)
        if version is None:
            continue
        unit = unit_of.get((version.ticker, version.dag_run_id))
        if unit and unit not in reasons:
            wanted += [(one.name, "") for one in registered[unit]]
        if unit and why:
            reasons[unit].append(why)
        if name not in kept_versions:
            kept_versions.add(name)
            if version.weights_of != version.number:
                wanted.append(((version.ticker, version.weights_of), f"weights of v{version.number}"))
    kept = {unit.key: tuple(dict.fromkeys(reasons[unit.key])) for unit in units if unit.key in reasons}
    return Choice(kept, [unit for unit in units if unit.key not in kept], kept_versions)


def _reasons_of_nights(
    units: Sequence[Unit], rows: Sequence[Row], newest_snapshots: Iterable[Key], limits: Limits
) -> dict[Key, list[str]]:
    """Return the reasons that do not depend on versions, by unit; a unit without one is left out."""
    reasons: dict[Key, list[str]] = defaultdict(list)
    for unit in _newest_nights(units, limits.nights):
        reasons[unit.key].append(f"one of the last {limits.nights} nights")
    for unit in units:
        if limits.now - unit.created < dt.timedelta(days=FRESH_DAYS):
            reasons[unit.key].append(f"planned within {FRESH_DAYS} days")
    for key in newest_snapshots:
        reasons[key].append("newest snapshot of its source")
    for row in rows:
        reasons[Key(row.ticker, row.run)].append(f"forecast of {row.session} in the ledger")
    return reasons


def _newest_nights(units: Sequence[Unit], nights: int) -> list[Unit]:
    """Return the units of the last sessions of each ticker and source; several runs of a session are one night."""
    days: dict[tuple[str, str], set[dt.date]] = defaultdict(set)
    for unit in units:
        days[unit.ticker, unit.source].add(unit.as_of)
    first = {name: sorted(several)[-nights:][0] for name, several in days.items()}
    return [unit for unit in units if unit.as_of >= first[unit.ticker, unit.source]]


def _needed_versions(served: Mapping[str, Served], rows: Sequence[Row]) -> list[tuple[tuple[str, int], str]]:
    """Return the versions that are in use or that a row of the ledger needs, each with the reason."""
    found = []
    for ticker, its in served.items():
        found += [((ticker, number), f"{alias} v{number}") for alias, number in its.aliased.items()]
        if its.rollback is not None:
            found.append(((ticker, its.rollback), f"v{its.rollback}, which a rollback would serve"))
        if its.before is not None:
            found.append(((ticker, its.before), f"v{its.before}, champion before the present one"))
    for row in rows:
        found.append(((row.ticker, row.version), f"v{row.version}, which forecast {row.session} in the ledger"))
        if row.champion_before is not None:
            why = f"v{row.champion_before}, champion before the forecast of {row.session} in the ledger"
            found.append(((row.ticker, row.champion_before), why))
    return found
