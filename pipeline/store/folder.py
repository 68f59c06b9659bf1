"""Names of every artefact, and atomic reading and writing of them: the only user of fsspec.

<store>/<ticker>/<as_of>/<run>/     what one unit keeps
<store>/_runs/<run>/                what belongs to a whole run: plan.json, results.json, report.html
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from pipeline.errors import Damaged, PipelineError, StoreError, without_secrets
from pipeline.outcome import Manifest
from pipeline.store.errors import refused
from pipeline.store.formats import sha256

log = logging.getLogger("closecast")


class Folder(NamedTuple):
    """One folder of the store: a local path or a URL."""

    url: str

    def path(self, name: str) -> str:
        """Return the address of the file `name`."""
        return f"{self.url}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether the file is there.

        Raises:
            StoreError: when the store does not let this run look; so for the other methods.
            Unavailable: when an object store does not answer; so for the other methods.
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
        """Return the content of a file that a step wrote, and nothing else under its name.

        Raises:
            Damaged: when its hash is not the one that the step's manifest has.
            StoreError: when it is missing or cannot be read.
        """
        data = self.read(name)
        if sha256(data) == by.outputs[name]:
            return data
        found, known = sha256(data)[:12], by.outputs[name][:12]
        raise Damaged(
            "An artefact must be as it was written.",
            f"{self.path(name)}: {len(data):,} bytes with hash {found}, written with {known}",
            f"Clear {by.step} and what follows in Airflow, which makes it again; or start a new run.",
        )

    def is_sound(self, by: Manifest) -> bool:
        """Return whether all files that a step wrote are there as it wrote them."""
        return all(self.exists(name) and sha256(self.read(name)) == known for name, known in by.outputs.items())

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that nobody ever sees half of it.

        Raises:
            StoreError: when the store refuses; a file of that name is then as it was before.
        """
        with _opened("write", self.path(name)) as (fs, path):
            if isinstance(fs, LocalFileSystem):
                _replace(Path(path), data)
            else:
                fs.pipe_file(path, data)  # one PUT: object stores show an object whole or not at all

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless one of that name is there; return whether it was written. One of many writers wins.

        Raises:
            StoreError: when the store refuses.
        """
        with _opened("write", self.path(name)) as (fs, path):
            try:
                if isinstance(fs, LocalFileSystem):
                    _link(Path(path), data)
                else:
                    fs.pipe_file(path, data, mode="create")
            except OSError:  # stores have several words for it, and it may be this writer whose answer was lost
                if fs.exists(path):
                    return False
                raise
        return True

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            StoreError: when the store refuses.
        """
        with _opened("remove", self.path(name)) as (fs, path):
            fs.rm_file(path)

    def names(self) -> list[str]:
        """Return the names of what is in the folder, sorted; none when it is missing."""
        with _opened("list", self.url) as (fs, path):
            try:
                entries = [entry.rstrip("/") for entry in fs.ls(path, detail=False)]
            except FileNotFoundError:
                return []
            # Some stores list the folder itself, and a file is listed as what it holds.
            return sorted(entry.rpartition("/")[2] for entry in entries if entry != path.rstrip("/"))

    def manifest(self, step: str) -> Manifest | None:
        """Return what is written down about a step, None when it has not finished here, or when that is damaged."""
        name = f"{step}.manifest.json"
        if not self.exists(name):
            return None
        try:
            return Manifest.model_validate_json(self.read(name))
        except ValidationError:
            log.warning("%s is damaged or of another version: it counts as not finished.", self.path(name))
            return None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write down that a step finished: the last write of a step, after all of its files."""
        self.write(f"{manifest.step}.manifest.json", manifest.model_dump_json(indent=1).encode())


def check_writable(store_url: str) -> None:
    """Write and remove a small file, and see that the store can keep one that is there.

    Raises:
        StoreError: when the store refuses, or would let a forecast that was written down be overwritten.
        Unavailable: when an object store does not answer.
    """
    store, probe = Folder(store_url), f"_probe-{uuid.uuid4().hex}"  # a name of its own: others may look too
    store.create(probe, b"")
    kept = not store.create(probe, b"another")
    store.remove(probe)
    if not kept:
        raise StoreError(
            "The store must be able to write a file only if there is none of its name.",
            f"{without_secrets(store_url)}: it wrote over one (it does not heed If-None-Match)",
            "Take a newer version of the object store, or set CLOSECAST_STORE to another place.",
        )


def _replace(path: Path, data: bytes) -> None:
    with _written(path, data) as temporary:
        temporary.replace(path)


def _link(path: Path, data: bytes) -> None:
    with _written(path, data) as temporary:
        path.hardlink_to(temporary)  # unlike a rename it replaces nothing


@contextlib.contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """Give a temporary file beside `path` that holds `data` and is on the disk; it does not outlive the block."""
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
    """Give the file system and the path in it; whatever its library raises becomes an error for people."""
    # A listing that is kept would hide what other processes write. An object read in one request is one version of it,
    # read in several it may be two halves.
    options = {"max_concurrency": 1} if url.startswith(("s3:", "s3a:")) else {}
    try:
        yield fsspec.url_to_fs(url, use_listings_cache=False, **options)
    except PipelineError:
        raise
    except Exception as error:  # each store's library raises what it likes
        raise refused(verb, url, error) from error
