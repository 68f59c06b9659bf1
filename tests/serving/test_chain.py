"""The hash covers a row as it was written, and the first row that differs is named."""

import datetime as dt

import pytest

from pipeline.outcome import LedgerHead
from pipeline.serving import chain
from pipeline.serving.chain import Contents, Copy
from tests.support.tampering import DAYS, row


def links_of(*rows):
    """Return rows as a chain."""
    links = []
    for one in rows:
        links.append(chain.linked(one, links[-1] if links else None))
    return links


@pytest.fixture
def links():
    """Return five rows as a chain."""
    return links_of(*map(row, DAYS))


def whole(links):
    """Return links as a database has them: each row beside its hash."""
    return Contents(links, {link.key: link for link in links})


def test_the_hash_is_fixed():
    """The hash of a row is the same in every version of the code and in every time zone."""
    written = row(DAYS[0])
    expected = "816f6f4911d4dea58587053b086209d4a370bb0bcb4c78dc8c9c5a4d93b5184a"
    assert chain.row_hash(written, 1, "", hashed_later=False) == expected
    elsewhere = written.created.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    assert chain.row_hash(written.model_copy(update={"created": elsewhere}), 1, "", hashed_later=False) == expected


@pytest.mark.parametrize("field", sorted(type(row(DAYS[0])).model_fields))
def test_every_field_of_a_row_changes_its_hash(field):
    """No column of a forecast can be changed without a trace."""
    written = row(DAYS[0], currency="USD")
    changed = {
        str: "other", int: 9, float: 1.0, bool: True, dt.date: dt.date(2020, 1, 2), tuple: (1.0,),
        dt.datetime: written.created + dt.timedelta(microseconds=1),
    }[type(getattr(written, field))]  # fmt: skip
    other = written.model_copy(update={field: changed})
    assert chain.row_hash(other, 1, "", hashed_later=False) != chain.row_hash(written, 1, "", hashed_later=False)


def test_a_field_of_a_later_version_changes_no_hash():
    """A field with its default is not hashed: rows that lack it keep their hash."""
    without = row(DAYS[0], scale=None, quantiles=(), low_50=None, high_50=None)
    content = without.model_dump(mode="json", exclude_defaults=True)
    assert not {"scale", "quantiles", "low_50", "high_50", "currency"} & set(content)


def test_a_whole_chain_has_no_break(links):
    """Each row follows the one before it."""
    assert chain.first_break(whole(links)) is None
    assert chain.first_break(Contents([], {})) is None


def test_a_row_that_was_hashed_anew_is_named(links):
    """Its own hash is right, and the next row knows the old one."""
    links[2] = chain.linked(row(DAYS[2], forecast=1.0), links[1])
    found = chain.first_break(whole(links))
    assert (found.kind, found.position, found.row) == ("changed", 3, "2025-11-19 v1")


def test_the_first_of_several_breaks_is_named(links):
    """Rows 2 and 4 were changed."""
    for index in (1, 3):
        links[index] = links[index]._replace(row=row(DAYS[index], forecast=1.0))
    assert chain.first_break(whole(links)).position == 2


def test_a_removed_first_row_is_named(links):
    """Also after the others got its numbers."""
    assert chain.first_break(whole(links[1:])).kind == "removed"
    moved = [link._replace(position=link.position - 1) for link in links[1:]]
    found = chain.first_break(whole(moved))
    assert (found.kind, found.position) == ("removed", 1)


def test_two_rows_at_one_position(links):
    """The row that the next one follows is the right one."""
    extra = chain.linked(row(dt.date(2025, 11, 14)), links[1])
    for several in ([*links[:2], extra, *links[2:]], [*links[:3], extra, *links[3:]]):
        found = chain.first_break(whole(several))
        assert (found.kind, found.row) == ("added", "2025-11-14 v1")


def copies_of(links):
    """Return the copy that the run of each night made."""
    return [Copy(f"night {link.position}", "results.json", link.head) for link in links]


def test_a_copy_shows_that_the_newest_rows_were_removed(links):
    """The chain alone is whole. The first removed row is named."""
    copies = copies_of(links)
    assert chain.first_difference(links, copies) is None
    found = chain.first_difference(links[:3], copies)
    assert (found.kind, found.position, found.row) == ("removed", 4, "2025-11-20 v1")
    assert "results.json of night 4" in found.why
    found = chain.first_difference([], copies[3:])
    assert (found.kind, found.position, found.row) == ("removed", 1, "")


def test_a_copy_shows_that_every_hash_was_computed_again(links):
    """The first changed row is named, although the chain is whole."""
    forged = links_of(row(DAYS[0]), row(DAYS[1], forecast=1.0), *map(row, DAYS[2:]))
    assert chain.first_break(whole(forged)) is None
    found = chain.first_difference(forged, copies_of(links))
    assert (found.kind, found.position, found.row) == ("changed", 2, "2025-11-18 v1")


def test_a_copy_shows_that_a_row_was_added_at_the_end(links):
    """Its run has ended without it. A run that has not ended yet may have written it."""
    copies = copies_of(links[:4])
    assert chain.first_difference(links, copies, [links[4].row.run]).kind == "added"
    assert chain.first_difference(links, copies, ["another run"]) is None


def test_a_head_has_all_that_a_copy_needs(links):
    """Position, hash and name of the row."""
    assert links[4].head == LedgerHead(position=5, hash=links[4].hash, row="2025-11-21 v1")
