"""The chain of a ticker's rows in the ledger: each row has the hash of the row before it, so a change shows.

The hash covers the forecast as it was written. Scores and a rescale after a split are computed from it and never
written back, so they change no hash.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pipeline.outcome import ForecastRecord, LedgerHead
from pipeline.store.formats import sha256

_SHOWN = 12  # characters of a hash in a sentence


class Link(NamedTuple):
    """One row at its place in the chain."""

    position: int  # 1 for the first row of the ticker
    previous_hash: str  # of the row before it; "" for the first row
    hash: str
    hashed_later: bool  # an earlier version wrote the row without a hash
    row: ForecastRecord

    @property
    def key(self) -> str:
        """Return the session and the version, which name the row within its ticker."""
        return key_of(self.row)

    @property
    def head(self) -> LedgerHead:
        """Return the link as the newest of its chain, for the copies outside the ledger."""
        return LedgerHead(position=self.position, hash=self.hash, row=self.key)


class Contents(NamedTuple):
    """All that the ledger has of a ticker."""

    links: Sequence[Link]  # by position
    rows: Mapping[str, Link | ForecastRecord]  # by key of the place where each lies; a record has no hash beside it


class Break(NamedTuple):
    """The first row of a ticker that is not as it was written."""

    kind: Literal["changed", "removed", "added", "moved"]
    position: int | None  # None for a row outside the chain
    row: str  # session and version; "" where nothing names the removed row
    why: str

    def __str__(self) -> str:
        place = f"row {self.position}" if self.position else "a row without a hash"
        return f"{place}{f', {self.row},' if self.row else ''} was {self.kind}: {self.why}"


class Copy(NamedTuple):
    """The newest hash of a ticker, as a run recorded it outside the ledger."""

    run: str
    where: str  # results.json or MLflow
    head: LedgerHead


def key_of(row: ForecastRecord) -> str:
    """Return the session and the version of a row, such as "2025-11-24 v2"."""
    return f"{row.session} v{row.version}"


def row_hash(row: ForecastRecord, position: int, previous_hash: str, *, hashed_later: bool) -> str:
    """Return the hash of a row at its place.

    A field that has its default is left out: a field that a later version adds changes no hash.
    """
    created = row.created.replace(tzinfo=row.created.tzinfo or dt.UTC).astimezone(dt.UTC)
    content = {**row.model_dump(mode="json", exclude_defaults=True), "created": created.isoformat()}
    parts = [position, previous_hash, hashed_later, content]
    return sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())


def linked(row: ForecastRecord, before: Link | None, *, hashed_later: bool = False) -> Link:
    """Return a row as the link after `before`."""
    position = before.position + 1 if before else 1
    previous_hash = before.hash if before else ""
    its_hash = row_hash(row, position, previous_hash, hashed_later=hashed_later)
    return Link(position, previous_hash, its_hash, hashed_later, row)


def first_break(contents: Contents) -> Break | None:
    """Return the first row that was changed, removed, added or moved; None when the chain is whole.

    Rows that were removed from the end, and a chain of which every hash was computed again, show only against a copy:
    see `first_difference`.
    """
    links = contents.links
    for index, link in enumerate(links):
        found = _broken_link(contents, index) or _broken_row(contents, link)
        if found:
            return found
    if not links:
        return None  # rows of an earlier version, or no row
    known = {link.key for link in links}
    added = [key for key in sorted(contents.rows) if key not in known]
    if added:
        return Break("added", None, added[0], "the chain has no link for it")
    return None


def first_difference(links: Sequence[Link], copies: Sequence[Copy], reported: Sequence[str] = ()) -> Break | None:
    """Return the first row that differs from a copy outside the ledger; None when all agree.

    Args:
        links: a whole chain, by position.
        copies: of the same ticker.
        reported: runs that recorded the newest hash when they ended.
    """
    for copy in sorted(copies, key=lambda one: one.head.position):
        place = copy.head.position
        recorded = f"{copy.where} of {copy.run} has row {place}, {copy.head.row}, with hash {copy.head.hash[:_SHOWN]}"
        if place > len(links):
            position = len(links) + 1
            name = copy.head.row if place == position else ""
            return Break("removed", position, name, f"{recorded}; the ledger has {len(links)} rows")
        link = links[place - 1]
        if link.hash != copy.head.hash:
            return Break("changed", place, link.key, f"{recorded}; the ledger has {link.key}, {link.hash[:_SHOWN]}")
    newest = max((copy.head.position for copy in copies), default=0)
    for link in links[newest:]:
        if link.row.run in reported:
            why = f"its run {link.row.run} has ended, and recorded no such row"
            return Break("added", link.position, link.key, why)
    return None


def _broken_link(contents: Contents, index: int) -> Break | None:
    """Return why a link does not follow the one before it; None when it does."""
    links = contents.links
    link = links[index]
    before = links[index - 1] if index else None
    previous = before.hash if before else ""
    position = index + 1
    if link.position > position:
        return _gap(contents, position, previous, link)
    if link.position < position and before:
        follows = index + 1 < len(links) and links[index + 1].previous_hash == link.hash
        extra = before if follows else link
        return Break("added", extra.position, extra.key, "another row has this place in the chain")
    if row_hash(link.row, link.position, link.previous_hash, hashed_later=link.hashed_later) != link.hash:
        return _misplaced(links, index) or Break("changed", position, link.key, _written_with(link))
    if link.previous_hash == previous:
        return None
    if before is None:
        return Break("removed", position, "", f"the first row, {link.key}, follows a row that is gone")
    why = f"its hash is {before.hash[:_SHOWN]}; row {position} was written after {link.previous_hash[:_SHOWN]}"
    return Break("changed", before.position, before.key, why)


def _gap(contents: Contents, position: int, previous: str, after: Link) -> Break:
    """Return the break at a position that no link has."""
    known = {link.key for link in contents.links}
    for key, row in contents.rows.items():
        if key in known or isinstance(row, Link):
            continue
        if row_hash(row, position, previous, hashed_later=after.hashed_later) == after.previous_hash:
            return Break("changed", position, key, "its hash was removed")
    return Break("removed", position, "", f"the next row is row {after.position}, {after.key}")


def _misplaced(links: Sequence[Link], index: int) -> Break | None:
    """Return where a row belongs whose hash is wrong at its place; None when it belongs to no place."""
    link = links[index]
    for other in links:
        if other is link:
            continue
        here = row_hash(link.row, other.position, other.previous_hash, hashed_later=other.hashed_later)
        if here == other.hash:
            return Break("moved", link.position, link.key, f"it was written as row {other.position}")
    for position in range(1, len(links) + 2):
        here = row_hash(link.row, position, link.previous_hash, hashed_later=link.hashed_later)
        if here != link.hash:
            continue
        if index and link.previous_hash == links[index - 1].previous_hash:
            extra = links[index - 1]
            return Break("added", extra.position, extra.key, f"{link.key} was written as row {position}")
        if link.previous_hash in {other.hash for other in links}:
            return Break("moved", link.position, link.key, f"it was written as row {position}")
        return Break("removed", link.position, "", f"{link.key} was written as row {position}, after another row")
    return None


def _broken_row(contents: Contents, link: Link) -> Break | None:
    """Return why the row is not as its link has it; None when it is. In a database both are the same row."""
    row = contents.rows.get(link.key)
    if row is None:
        return Break("removed", link.position, link.key, "the chain has it, and its file is gone")
    if row in (link, link.row):
        return None
    content = row.row if isinstance(row, Link) else row
    others = [one for one in contents.links if one.row == content]
    if others and others[0] is not link:
        return Break("moved", link.position, link.key, f"its file holds row {others[0].position}, {others[0].key}")
    return Break("changed", link.position, link.key, _written_with(link._replace(row=content)))


def _written_with(link: Link) -> str:
    found = row_hash(link.row, link.position, link.previous_hash, hashed_later=link.hashed_later)
    return f"its content has hash {found[:_SHOWN]}, written with {link.hash[:_SHOWN]}"
