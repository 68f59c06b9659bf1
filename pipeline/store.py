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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
import numpy.typing as npt
import pandas as pd
from fsspec.implementations.local import LocalFileSystem
from pydantic import ValidationError

from pipeline.errors import Damaged, StoreError
from pipeline.outcome import Manifest
from pipeline.plan import Plan

log = logging.getLogger("closecast")


class Folder(NamedTuple):
    """One folder of the store: a local path or a URL."""

    url: str

    def path(self, name: str) -> str:
        """Return the address of the file `name`."""
        return f"{self.url}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether the file is there."""
        fs, path = fsspec.url_to_fs(self.path(name))
        return bool(fs.exists(path))

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            StoreError: when it is missing or cannot be read.
        """
        fs, path = fsspec.url_to_fs(self.path(name))
        try:
            return bytes(fs.cat_file(path))
        except OSError as error:
            raise _refused("read", self.path(name), error) from error

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
        fs, path = fsspec.url_to_fs(self.path(name))
        try:
            if isinstance(fs, LocalFileSystem):
                _replace(Path(path), data)
            else:
                fs.pipe_file(path, data)  # one PUT: object stores show an object whole or not at all
        except OSError as error:
            raise _refused("write", self.path(name), error) from error

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless one of that name is there; return whether it was written. One of many writers wins.

        Raises:
            StoreError: when the store refuses.
        """
        fs, path = fsspec.url_to_fs(self.path(name))
        try:
            if isinstance(fs, LocalFileSystem):
                return _link(Path(path), data)
            fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            raise _refused("write", self.path(name), error) from error
        return True

    def names(self) -> list[str]:
        """Return the names of what is in the folder, sorted; none when it is missing."""
        fs, path = fsspec.url_to_fs(self.url)
        return sorted(_names(fs, path))

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
    fs, path = fsspec.url_to_fs(f"{store_url}/{ticker}")
    for day in sorted(_names(fs, path), reverse=True):
        if day >= str(plan.as_of):
            continue
        passed = []
        for run in _names(fs, f"{path}/{day}"):
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


def _names(fs: fsspec.AbstractFileSystem, path: str) -> list[str]:
    return [entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=False)] if fs.exists(path) else []


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
    """Write and remove a small file.

    Raises:
        StoreError: when the store refuses.
    """
    probe = Folder(f"{store_url}/_probe")
    probe.write("probe", b"")
    fs, path = fsspec.url_to_fs(probe.url)
    fs.rm(path, recursive=True)


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


def _link(path: Path, data: bytes) -> bool:
    if path.exists():
        return False
    with _written(path, data) as temporary:
        path.hardlink_to(temporary)  # unlike a rename it replaces nothing
    return True


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


def _refused(verb: str, path: str, error: OSError) -> StoreError:
    return StoreError(
        f"The store must let this run {verb} its files.",
        f"{path}: {error.strerror or error}",
        "Check that the folder exists, belongs to you and has room, or set CLOSECAST_STORE to another place.",
    )


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
        fs, path = fsspec.url_to_fs(f"{store_url}/{ticker}")
        newest_first: dict[dt.date, Folder] = {}
        for day in sorted((day for day in _names(fs, path) if day < str(plan.as_of)), reverse=True):
            runs = sorted(filter(alike, _names(fs, f"{path}/{day}")), key=lambda run: str(known[run]["created"]))
            folders = [Folder(f"{store_url}/{ticker}/{day}/{run}") for run in reversed(runs)]
            evaluated = next((folder for folder in folders if folder.exists("metrics.json")), None)
            if evaluated:
                newest_first[dt.date.fromisoformat(day)] = evaluated
            if len(newest_first) == most:
                break
        found[ticker] = dict(reversed(newest_first.items()))
    return found
