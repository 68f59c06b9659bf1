"""The folder of a replay: its request, the prices, the trainings, the nights, and the result.

<var>/replay/<first>_<last>_every-<K>/
    replay.json                       the request: a replay with another one begins anew
    prices/<ticker>.parquet           the history of the source
    trainings/                        see `pipeline.replay.training`
    nights/<ticker>/<number>.json     some nights of a ticker, and the state after them
    ledger/<contender>/<ticker>.parquet, report.html, results.json
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import PipelineError
from pipeline.outcome import ForecastRecord
from pipeline.plan import Plan
from pipeline.replay.night import Contender
from pipeline.store.folder import Folder, Record

REQUEST = "replay.json"
NIGHTS = 125  # of a ticker that are written together: about 5 s of work
_DERIVED = ("trainings", "nights", "ledger", "prices")


class Request(BaseModel):
    """All that the result depends on."""

    model_config = ConfigDict(frozen=True)

    nights: tuple[dt.date, ...]
    every: int
    contenders: tuple[Contender, ...]
    plan: Plan = Field(description="of the last night, with the settings of now")
    trainings: dict[str, tuple[dt.date, ...]] = Field(description="nights by group")
    currencies: dict[str, str] = Field(description="by ticker")
    prices: dict[str, str] = Field(description="hash of the history by ticker")
    snapshots: dict[str, dict[str, str]] = Field(description="folder of the unit by ticker and night")
    started: dict[str, str] = Field(default={}, description="version that the store had before the first night")
    code: str
    backend: str


class Decided(BaseModel):
    """The gate's decision of one night."""

    model_config = ConfigDict(frozen=True)

    as_of: dt.date
    trained: bool
    promoted: bool
    reason: str


class HeldFile(BaseModel):
    """A champion: the name of its training, its version, and its recipes."""

    model_config = ConfigDict(frozen=True)

    training: str
    number: int
    tags: dict[str, str]
    served: str
    evaluated: str


class StateFile(BaseModel):
    """A contender between two nights."""

    model_config = ConfigDict(frozen=True)

    held: HeldFile | None
    number: int


class Part(BaseModel):
    """Successive nights of one ticker: `nights/<ticker>/<number>.json`. All maps are by contender."""

    model_config = ConfigDict(frozen=True)

    stop: int = Field(description="number of the night after the last")
    skipped: int = Field(description="nights without a sound price")
    from_snapshots: int
    records: dict[str, list[ForecastRecord]]
    decisions: dict[str, list[Decided]]
    states: dict[str, StateFile]
    checked: int = Field(description="nights that were made again on other later prices")
    leak: str = Field(default="", description='the first figure that changed; "" without one')


def folder_of(var_dir: Path, first: dt.date, last: dt.date, every: int) -> Path:
    """Return the folder of a replay."""
    return var_dir / "replay" / f"{first}_{last}_every-{every}"


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep other replays out of a folder: one with another request would delete the parts of this one.

    Raises:
        PipelineError: when another replay works there.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(
                "One replay at a time works in a folder.",
                f"{home}: another one is in progress",
                "Wait until it ends, or replay other nights.",
            ) from None
        yield


def content_of(folder: Folder, name: str, kind: type[Record]) -> Record:
    """Return the content of a file of a replay.

    Raises:
        Damaged: when it is not as it was written.
        StoreError: when it is missing.
    """
    return folder.read_record(
        name,
        kind,
        "A file of a replay must be as it was written.",
        "Remove the folder of the replay, and start the command again.",
    )


def begun(home: Path, request: Request) -> str | None:
    """Write the request of a replay, and return how it begins: "" where it continues, None where it is new.

    A text is the reason why the parts of an earlier replay in the same folder were deleted.
    """
    folder = Folder(str(home))
    reason: str | None = None
    if folder.exists(REQUEST):
        reason = _difference(folder.read(REQUEST), request)
    if reason != "":
        for name in _DERIVED:
            shutil.rmtree(home / name, ignore_errors=True)
        folder.write(REQUEST, request.model_dump_json(indent=1).encode())
    return reason


def read_request(home: Path) -> Request:
    """Return the request of a replay that has begun."""
    return content_of(Folder(str(home)), REQUEST, Request)


def parts(home: Path, ticker: str, nights: int) -> list[Part]:
    """Return the parts of a ticker that are done, in order."""
    folder = Folder(str(home / "nights" / ticker))
    found: list[Part] = []
    stop = 0
    while stop < nights and folder.exists(f"{stop}.json"):
        found.append(content_of(folder, f"{stop}.json", Part))
        stop = found[-1].stop
    return found


def write_part(home: Path, ticker: str, first: int, part: Part) -> None:
    """Write a part, whole or not at all."""
    Folder(str(home / "nights" / ticker)).write(f"{first}.json", part.model_dump_json().encode())


def _difference(before: bytes, request: Request) -> str:
    """Return the names of the fields that differ from those of an earlier replay; "" for the same request."""
    try:
        then = _flat(Request.model_validate_json(before).model_dump(mode="json"))
    except ValidationError:
        return "its request is of another version"
    now = _flat(request.model_dump(mode="json"))
    names = [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]
    return ", ".join(names[:5])


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request, and those of its plan, preset and gate by their own names."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        inner = isinstance(value, Mapping) and name in {"plan", "preset", "gate"}
        flat |= _flat(value) if inner else {name: value}
    return flat
