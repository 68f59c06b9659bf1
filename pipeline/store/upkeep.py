"""The mark of a program that deletes from the store. A run waits for it, and it does not start beside a run.

The mark is written before the look for runs, and a run writes its plan before it looks for the mark: of two that start
together, at least one sees the other.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Callable, Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import Unavailable
from pipeline.store.folder import Folder
from pipeline.store.runs import runs_in_progress

NAME = "_upkeep.json"
RUN_HOURS = 6  # the DAG's time-out: a run without results that is older was killed
STALE = dt.timedelta(minutes=10)  # a mark that was not renewed for so long was left by a killed program
_RENEWED = dt.timedelta(minutes=1)
_TOO_OLD = STALE / 2  # its own mark: a program that was stopped for so long must not go on


class _Mark(BaseModel):
    """The content of the mark."""

    model_config = ConfigDict(frozen=True)

    owner: str
    renewed: dt.datetime


def require_no_upkeep(store_url: str) -> None:
    """Check that no program deletes from the store at this moment.

    Raises:
        Unavailable: it does. Airflow tries the task again.
    """
    found = _mark(store_url)
    if found and _now() - found.renewed < STALE:
        raise Unavailable(
            "A run and `closecast prune` must not use the store at the same time.",
            f"{store_url}/{NAME}: pruning since {found.renewed:%H:%M:%S} UTC or before",
            f"Wait until it has ended. A mark that a killed program left counts for {STALE.seconds // 60} minutes.",
        )


@contextlib.contextmanager
def alone(store_url: str) -> Iterator[Callable[[], None]]:
    """Keep runs from starting until the block ends; yield the function that must be called before each deletion.

    Raises:
        Unavailable: a run or another such program uses the store, or this one was stopped for too long.
    """
    require_no_upkeep(store_url)
    store = Folder(store_url)
    owner = uuid.uuid4().hex
    renewed = _write(store, owner)
    try:
        _require_no_run(store_url)

        def renew() -> None:
            nonlocal renewed
            age = _now() - renewed
            if age < _RENEWED:
                return
            found = _mark(store_url)
            if age > _TOO_OLD or found is None or found.owner != owner:
                raise Unavailable(
                    "Pruning must keep its mark in the store.",
                    f"{store_url}/{NAME}: not renewed for {age.seconds} s, or of another program",
                    "Start it again: it goes on where it stopped.",
                )
            renewed = _write(store, owner)

        yield renew
    finally:
        found = _mark(store_url)
        if found and found.owner == owner:
            store.remove(NAME)


def _require_no_run(store_url: str) -> None:
    running = runs_in_progress(store_url, _now() - dt.timedelta(hours=RUN_HOURS))
    if running:
        raise Unavailable(
            "The store may lose files only while no run uses it.",
            f"no results yet of {', '.join(running)}",
            f"Wait until they have ended. A run that was killed counts for {RUN_HOURS} hours.",
        )


def _mark(store_url: str) -> _Mark | None:
    store = Folder(store_url)
    if not store.exists(NAME):
        return None
    try:
        return _Mark.model_validate_json(store.read(NAME))
    except ValidationError:
        return None


def _write(store: Folder, owner: str) -> dt.datetime:
    mark = _Mark(owner=owner, renewed=_now())
    store.write(NAME, mark.model_dump_json().encode())
    return mark.renewed


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
