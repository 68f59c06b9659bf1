"""The ledger as files: tampering is named, a killed writer's row is written, old rows get hashes once."""

import pytest

from pipeline.serving import chain, ledger, ledger_folder
from pipeline.store.formats import frame_of
from tests.support import tampering
from tests.support.tampering import DAYS, IN_FOLDER, TICKER, check_that_two_processes_keep_one_chain, five_rows, row


@pytest.fixture
def place(tmp_path):
    """Return the folder of a ledger."""
    return str(tmp_path / "ledger")


@pytest.mark.parametrize("attack", IN_FOLDER)
def test_tampering_with_the_files_is_named(place, attack):
    """Change, remove, insert, swap; in the row's file and in the link's."""
    five_rows(place)
    assert tampering.found(place) is None
    tamper, kind, position, name = IN_FOLDER[attack]
    tamper(place)
    found = tampering.found(place)
    assert (found.kind, found.position, found.row) == (kind, position, name)


def test_a_row_has_its_hash_in_its_own_file(place):
    """And the hash of the row before it."""
    five_rows(place)
    files = [frame_of(tampering._rows(place).read(name)).iloc[0] for name in tampering.NAMES]
    assert [one["position"] for one in files] == [1, 2, 3, 4, 5]
    assert [one["previous_hash"] for one in files] == ["", *(one["hash"] for one in files[:4])]


def test_two_processes_keep_one_chain(place):
    """No link is lost, and no position has two rows."""
    check_that_two_processes_keep_one_chain(place)


def test_a_writer_that_dies_before_the_rows_file(place):
    """The next writer makes the file from the link."""
    five_rows(place)
    tampering._rows(place).remove(tampering.NAMES[-1])
    ledger.write(place, row(DAYS[0], version=2))
    assert tampering.found(place) is None
    assert len(ledger.read(place, TICKER)) == 6


def test_rows_of_an_earlier_version_get_their_hashes_once(place):
    """In the order of their sessions, marked, and without a change of their files."""
    for day in DAYS[:2]:
        data = ledger_folder.frame_bytes(ledger_folder.frame([row(day)]))
        tampering._rows(place).write(ledger_folder._row_name(row(day)), data)
    before = tampering._rows(place).read(tampering.NAMES[0])
    assert ledger.head(place, TICKER) is None
    assert tampering.found(place) is None  # rows without a chain
    ledger.write(place, row(DAYS[2]))
    ledger.write(place, row(DAYS[3]))
    links = ledger.contents(place, TICKER).links
    assert [(link.row.session, link.hashed_later) for link in links] == [
        (DAYS[0], True), (DAYS[1], True), (DAYS[2], False), (DAYS[3], False),
    ]  # fmt: skip
    assert tampering._rows(place).read(tampering.NAMES[0]) == before
    tampering._insert(place)  # an added row is no row of an earlier version
    ledger.write(place, row(DAYS[4]))
    assert tampering.found(place).row == "2025-11-24 v1"


def test_a_link_that_is_no_link_is_named(place):
    """With the path of its file."""
    five_rows(place)
    tampering._links(place).write("0000002.json", b"{}")
    with pytest.raises(ledger_folder.Damaged, match=r"_chain/0000002\.json"):
        ledger.contents(place, TICKER)


def test_tickers_are_the_folders(place):
    """Without files of another purpose."""
    five_rows(place)
    ledger.write(place, row(DAYS[0], ticker="NFLX"))
    assert ledger.tickers(place) == [TICKER, "NFLX"]
    assert chain.first_break(ledger.contents(place, "NFLX")) is None
