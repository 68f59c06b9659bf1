"""Names of every artefact, and atomic reading and writing of them: the only user of fsspec.

<store>/<ticker>/<as_of>/<run>/     what one unit keeps
<store>/_runs/<run>/                what belongs to a whole run: plan.json, results.json, report.html
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import io
import json
import logging
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
import numpy.typing as npt
import pandas as pd
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from pipeline.errors import Damaged, PipelineError, StoreError
from pipeline.outcome import Manifest
from pipeline.plan import Plan
from pipeline.store_errors import refused, without_secrets

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


def unit_folder(store_url: str, ticker: str, plan: Plan) -> Folder:
    """Return the folder of one ticker in one run."""
    return Folder(f"{store_url}/{ticker}/{plan.as_of}/{plan.run}")


def last_snapshot(store_url: str, ticker: str, plan: Plan) -> Folder | None:
    """Return the folder of the newest snapshot before `plan.as_of` that passed validation, None when there is none.

    Of the same source, and never one with a fault: the next night would not fit it.
    """
    for day in reversed(Folder(f"{store_url}/{ticker}").names()):
        if day >= str(plan.as_of):
            continue
        passed = []
        for run in Folder(f"{store_url}/{ticker}/{day}").names():
            folder = Folder(f"{store_url}/{ticker}/{day}/{run}")
            ingested, validated = folder.manifest("ingest"), folder.manifest("validate")
            if ingested and validated and not validated.failed:
                tags = ingested.outcome.tags
                if tags.get("source") == plan.source and "fault" not in tags and _is_whole(folder, ingested):
                    passed.append((validated.started, folder))
        if passed:
            return max(passed)[1]
    return None


def _is_whole(folder: Folder, ingested: Manifest) -> bool:
    try:
        folder.read_written("raw.parquet", ingested)
    except (Damaged, StoreError) as error:
        log.warning("A snapshot is left out: %s", error)
        return False
    return True


def run_folder(store_url: str, run: str) -> Folder:
    """Return the folder of what belongs to a whole run. No ticker can start with an underscore."""
    return Folder(f"{store_url}/_runs/{run}")


def read_plan(store_url: str, run: str) -> Plan:
    """Return the plan of a run.

    Raises:
        StoreError: when there is none.
        Damaged: when it cannot be read as a plan.
    """
    folder = run_folder(store_url, run)
    try:
        return Plan.model_validate_json(folder.read("plan.json"))
    except ValidationError as error:
        raise Damaged(
            "A run's plan must be as it was written.",
            f"{folder.path('plan.json')}: {error.error_count()} problem(s)",
            "Start a new run.",
        ) from error


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


def sha256(data: bytes) -> str:
    """Return the hash that names a content."""
    return hashlib.sha256(data).hexdigest()


def frame_bytes(frame: pd.DataFrame) -> bytes:
    """Return a frame as Parquet: equal frames give equal bytes."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def frame_of(data: bytes) -> pd.DataFrame:
    """Return the frame that `frame_bytes` wrote."""
    return pd.read_parquet(io.BytesIO(data))


def arrays_bytes(**arrays: npt.NDArray[Any]) -> bytes:
    """Return named arrays as .npz."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def arrays_of(data: bytes) -> Mapping[str, npt.NDArray[Any]]:
    """Return the arrays that `arrays_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def json_bytes(value: object) -> bytes:
    """Return plain values as readable JSON."""
    return json.dumps(value, indent=1, default=str).encode()


def json_of(data: bytes) -> Any:  # noqa: ANN401 - JSON is whatever was written
    """Return the values that `json_bytes` wrote."""
    return json.loads(data)


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


def earlier_folders(store_url: str, plan: Plan, most: int = 30) -> dict[str, dict[dt.date, Folder]]:
    """Return each ticker's folders of the last `most` sessions before `plan.as_of` that a run was evaluated for.

    Oldest first. Only runs of the same source, preset, fault and last step count; of several the one planned last.
    """
    wanted = plan.model_dump(mode="json", include={"source", "preset_name", "fault", "until"})
    known: dict[str, dict[str, Any]] = {}  # plans, by run: one run has many tickers

    def alike(run: str) -> bool:
        if run not in known:
            place = run_folder(store_url, run)  # read without its class: a plan of older code has other fields
            known[run] = json_of(place.read("plan.json")) if place.exists("plan.json") else {}
        return bool(known[run]) and all(known[run].get(name, value) == value for name, value in wanted.items())

    found = {}
    for ticker in plan.tickers:
        newest_first: dict[dt.date, Folder] = {}
        days = [day for day in Folder(f"{store_url}/{ticker}").names() if day < str(plan.as_of)]
        for day in reversed(days):
            runs = Folder(f"{store_url}/{ticker}/{day}").names()
            runs = sorted(filter(alike, runs), key=lambda run: str(known[run]["created"]))
            folders = [Folder(f"{store_url}/{ticker}/{day}/{run}") for run in reversed(runs)]
            evaluated = next((folder for folder in folders if folder.exists("metrics.json")), None)
            if evaluated:
                newest_first[dt.date.fromisoformat(day)] = evaluated
            if len(newest_first) == most:
                break
        found[ticker] = dict(reversed(newest_first.items()))
    return found
