"""Atomic files."""

import os

import pytest
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import Damaged, StoreError
from pipeline.outcome import LedgerHead
from pipeline.store.folder import Folder, check_writable


def test_what_was_written_is_read(tmp_path):
    """And a second write replaces the first."""
    folder = Folder(str(tmp_path / "a" / "b"))
    folder.write("x.json", b"1")
    folder.write("x.json", b"2")
    assert folder.read("x.json") == b"2"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["x.json"]


def test_a_kept_file_is_written_once_and_again_only_if_it_is_damaged(tmp_path):
    """Its name has the hash of its content."""
    folder = Folder(str(tmp_path))
    folder.keep("x-hash", b"whole")
    first = (tmp_path / "x-hash").stat()
    folder.keep("x-hash", b"whole")
    again = (tmp_path / "x-hash").stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)  # a look changes the access time
    folder.write("x-hash", b"who")
    folder.keep("x-hash", b"whole")
    assert folder.read("x-hash") == b"whole"


def test_a_damaged_record_is_named_with_the_reason_and_the_next_step(tmp_path):
    """A whole one is read."""
    folder = Folder(str(tmp_path))
    folder.write("head.json", b'{"position": 1, "hash": "a", "row": "b"}')
    assert folder.read_record("head.json", LedgerHead, "A rule.", "Do it.").position == 1
    folder.write("head.json", b'{"position": "x"}')
    with pytest.raises(Damaged, match=r"(?s)A rule\..*head\.json: 3 problem\(s\).*Do it\."):
        folder.read_record("head.json", LedgerHead, "A rule.", "Do it.")


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """No half file and no temporary one."""
    folder = Folder(str(tmp_path))
    folder.write("x", b"whole")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        folder.write("x", b"other")
    assert folder.read("x") == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_store_that_cannot_be_written_names_its_path(tmp_path):
    """A file where a folder is needed."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=rf"{tmp_path}/file.*\n.*CLOSECAST_STORE"):
        check_writable(f"{tmp_path}/file")


def test_a_missing_file_is_a_store_error(tmp_path):
    """With the path."""
    with pytest.raises(StoreError, match=r"nothing\.json"):
        Folder(str(tmp_path)).read("nothing.json")


def test_the_check_leaves_nothing_behind(tmp_path):
    """Its probe is removed."""
    check_writable(str(tmp_path / "store"))
    assert list((tmp_path / "store").iterdir()) == []


def test_a_store_by_url_reads_and_writes_too():
    """The memory of fsspec stands for an object store: no temporary names there."""
    folder = Folder("memory://closecast/unit")
    folder.write("x", b"1")
    assert folder.read("x") == b"1"
    assert folder.exists("x")
    assert not folder.exists("y")


@pytest.mark.parametrize("kind", ["folder", "file://", "memory://"])
def test_a_file_is_created_only_where_there_is_none(kind, tmp_path):
    """And the writer is told; s3:// has its own tests."""
    url = {"folder": str(tmp_path), "file://": f"file://{tmp_path}", "memory://": f"memory://{tmp_path}"}[kind]
    folder = Folder(url)
    assert [folder.create("x", b"1"), folder.create("x", b"2")] == [True, False]
    assert folder.read("x") == b"1"
    assert folder.names() == ["x"]
    check_writable(url)
    assert folder.names() == ["x"]


def test_a_file_in_the_place_of_a_folder_is_no_file_that_is_there(tmp_path):
    """Nothing was written, so `create` must not say that somebody else did."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="CLOSECAST_STORE"):
        Folder(f"{tmp_path}/file").create("x", b"")


def test_a_listing_without_its_folder_is_empty(tmp_path):
    """Before the first run there is nothing, and a file holds nothing."""
    (tmp_path / "file").write_text("")
    assert Folder(f"{tmp_path}/none").names() == Folder(f"{tmp_path}/file").names() == []


def test_a_folder_that_may_not_be_listed_is_a_store_error(tmp_path, monkeypatch):
    """And no empty one: the next snapshot would be compared with nothing."""
    monkeypatch.setattr(LocalFileSystem, "ls", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "denied")))
    with pytest.raises(StoreError, match=rf"list its files.\n.*{tmp_path}: denied"):
        Folder(str(tmp_path)).names()


def test_sizes_are_those_of_files_alone(tmp_path):
    """A folder in it has no size, and a missing folder no file."""
    folder = Folder(str(tmp_path))
    folder.write("a", b"123")
    Folder(f"{tmp_path}/inside").write("b", b"1")
    assert folder.sizes() == {"a": 3}
    assert Folder(f"{tmp_path}/missing").sizes() == {}
