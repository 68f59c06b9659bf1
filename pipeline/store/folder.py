"""One folder of the store: atomic reading and writing of its files. The only user of fsspec."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import BaseModel, ValidationError

from pipeline.errors import Damaged, PipelineError, StoreError, without_secrets
from pipeline.outcome import Manifest
from pipeline.store.errors import refused
from pipeline.store.formats import sha256

log = logging.getLogger("closecast")
Record = TypeVar("Record", bound=BaseModel)


class Folder(NamedTuple):
    """One folder of the store: a local path or a URL."""

    url: str

    def path(self, name: str) -> str:
        """Return the address of the file `name`."""
        return f"{self.url}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether the file exists.

        Raises:
            StoreError: when the store refuses the request; so do all methods.
            Unavailable: when an object store does not answer; so do all methods.
        """
        with _opened("look up", self.path(name)) as (fs, path):
            return bool(fs.exists(path))

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            StoreError: when it is missing or cannot be read.
        """
        with _opened("read", self.path(name)) as (fs, path):
            return bytes(fs.cat_file(path))

    def read_written(self, name: str, by: Manifest) -> bytes:
        """Return the content of a file if it is as a step wrote it.

        Raises:
            Damaged: when its hash differs from the hash in the step's manifest.
            StoreError: when it is missing or cannot be read.
        """
        data = self.read(name)
        if sha256(data) == by.outputs[name]:
            return data
        found = sha256(data)[:12]
        known = by.outputs[name][:12]
        raise Damaged(
            "An artefact must be as it was written.",
            f"{self.path(name)}: {len(data):,} bytes with hash {found}, written with {known}",
            f"Clear {by.step} and the steps after it in Airflow, which writes the file again. Or start a new run.",
        )

    def is_sound(self, by: Manifest) -> bool:
        """Return whether all files of a step exist and are as it wrote them."""
        return all(self.exists(name) and sha256(self.read(name)) == known for name, known in by.outputs.items())

    def write(self, name: str, data: bytes) -> None:
        """Write a file atomically: a reader sees the old content or the new one.

        Raises:
            StoreError: when the store refuses; an older file of that name is unchanged then.
        """
        with _opened("write", self.path(name)) as (fs, path):
            if isinstance(fs, LocalFileSystem):
                _replace(Path(path), data)
            else:
                fs.pipe_file(path, data)  # one PUT: an object store shows an object whole or not at all

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless its name exists; return whether it was written. Of several writers one succeeds.

        Raises:
            StoreError: when the store refuses.
        """
        with _opened("write", self.path(name)) as (fs, path):
            try:
                if isinstance(fs, LocalFileSystem):
                    _link(Path(path), data)
                else:
                    fs.pipe_file(path, data, mode="create")
            except OSError:  # each store raises its own error; this writer may also have succeeded and lost the answer
                if fs.exists(path):
                    return False
                raise
        return True

    def keep(self, name: str, data: bytes) -> None:
        """Write a file, with the hash of `data` in its name, once; only a damaged one is written again.

        Raises:
            StoreError: when the store refuses.
        """
        if not self.create(name, data) and self.read(name) != data:
            self.write(name, data)

    def read_kept(self, name: str, name_of: Callable[[bytes], str], *, rule: str, todo: str) -> bytes:
        """Return a file that `keep` wrote.

        Args:
            name: of the file.
            name_of: returns the name that a content has.
            rule: first line of the error.
            todo: its last line.

        Raises:
            Damaged: when the file is missing, or its content has another name.
            StoreError: when the store refuses.
        """
        try:
            data = self.read(name)
        except StoreError as error:
            if self.exists(name):
                raise
            raise Damaged(rule, f"{self.path(name)} is missing", todo) from error
        if name_of(data) == name:
            return data
        raise Damaged(rule, f"{self.path(name)}: {len(data):,} bytes with hash {sha256(data)[:12]}", todo)

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            StoreError: when the store refuses.
        """
        with _opened("remove", self.path(name)) as (fs, path):
            fs.rm_file(path)

    def names(self) -> list[str]:
        """Return the names in the folder, sorted; empty when the folder is missing."""
        with _opened("list", self.url) as (fs, path):
            try:
                entries = [entry.rstrip("/") for entry in fs.ls(path, detail=False)]
            except FileNotFoundError:
                return []
            # Some stores list the folder itself, and list a file as its own content.
            return sorted(entry.rpartition("/")[2] for entry in entries if entry != path.rstrip("/"))

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file in the folder, by name; empty when the folder is missing."""
        with _opened("list", self.url) as (fs, path):
            try:
                entries = fs.ls(path, detail=True)
            except FileNotFoundError:
                return {}
            files = [one for one in entries if one["type"] == "file" and one["name"].rstrip("/") != path.rstrip("/")]
            return {one["name"].rpartition("/")[2]: int(one["size"]) for one in files}

    def read_record(self, name: str, kind: type[Record], rule: str, todo: str) -> Record:
        """Return the content of a JSON file that one of our models wrote.

        Args:
            name: of the file.
            kind: the model.
            rule: first part of the error.
            todo: its last part.

        Raises:
            Damaged: when it is not as it was written.
            StoreError: when it is missing.
        """
        try:
            return kind.model_validate_json(self.read(name))
        except ValidationError as error:
            raise Damaged(rule, f"{self.path(name)}: {error.error_count()} problem(s)", todo) from error

    def manifest(self, step: str) -> Manifest | None:
        """Return the manifest of a step; None when the step has not finished here or the manifest is unreadable."""
        name = f"{step}.manifest.json"
        if not self.exists(name):
            return None
        try:
            return Manifest.model_validate_json(self.read(name))
        except ValidationError:
            log.warning("%s is damaged or of another version; the step counts as not finished.", self.path(name))
            return None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest of a step: its last write, after all of its files."""
        self.write(f"{manifest.step}.manifest.json", manifest.model_dump_json(indent=1).encode())


def check_writable(store_url: str) -> None:
    """Write and remove a small file, and check that `create` keeps an existing file.

    Raises:
        StoreError: when the store refuses, or would overwrite a recorded forecast.
        Unavailable: when an object store does not answer.
    """
    store = Folder(store_url)
    probe = f"_probe-{uuid.uuid4().hex}"  # a unique name: other processes may check too
    store.create(probe, b"")
    kept = not store.create(probe, b"another")
    store.remove(probe)
    if not kept:
        raise StoreError(
            "The store must support writing a file only if its name does not exist.",
            f"{without_secrets(store_url)}: it overwrote a file (it ignores If-None-Match)",
            "Use a newer version of the object store, or set CLOSECAST_STORE to another place.",
        )


def _replace(path: Path, data: bytes) -> None:
    """Write a local file atomically; an older one is replaced."""
    with _written(path, data) as temporary:
        temporary.replace(path)


def _link(path: Path, data: bytes) -> None:
    """Write a local file atomically; raise FileExistsError if its name exists."""
    with _written(path, data) as temporary:
        path.hardlink_to(temporary)  # unlike a rename it replaces nothing


@contextlib.contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """Yield a temporary file beside `path` that holds `data` and is flushed to disk; remove it afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(verb: str, url: str) -> Iterator[tuple[fsspec.AbstractFileSystem, str]]:
    """Yield the file system and the path in it; exceptions of its library become errors of the pipeline."""
    # A cached listing would hide files of other processes. An object read in one request is one version; read in
    # several requests it may be two halves.
    options = {"max_concurrency": 1} if url.startswith(("s3:", "s3a:")) else {}
    try:
        yield fsspec.url_to_fs(url, use_listings_cache=False, **options)
    except PipelineError:
        raise
    except Exception as error:  # each store's library has its own classes
        raise refused(verb, url, error) from error
