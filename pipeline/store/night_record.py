"""The record of a night: all that makes it again, beside its prices and its champions. `night.json`, in a run's folder.

It names the run's other files by their hash: the plan, the settings with their origin, the suite of the checks, and the
difference of the code from its commit.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import Damaged
from pipeline.forecasting import device
from pipeline.outcome import Finding, Manifest
from pipeline.settings.origins import effective
from pipeline.store.formats import json_bytes, sha256

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.store.folder import Folder

FILE = "night.json"
PLAN = "plan.json"
SETTINGS = "settings.json"
SUITE = "suite.json"
DIFFERENCE = "checkout.diff"
RecordedFile = Literal["plan.json", "settings.json", "suite.json", "checkout.diff"]
# Files of a unit, by the step that writes them: without one of them a night cannot be made again, or judged.
_OF_STEPS = {
    "ingest": ("snapshot.json",),
    "validate": ("validated.parquet",),
    "split_scale": ("scaler.json",),
    "train": ("model.keras", "recipe.json"),
    "evaluate": ("served.keras", "served.json", "metrics.json"),
    "promote": ("champion.json", "decision.json"),
    "forecast": ("forecast.json",),
}


class Machine(BaseModel):
    """The kind of machine. Equal kinds give equal figures to the last bit."""

    model_config = ConfigDict(frozen=True)

    processor: str
    cores: int = Field(description="that the process may use: sums are cut into as many parts")
    architecture: str

    @classmethod
    def here(cls) -> Machine:
        """Return the kind of this machine."""
        return cls(processor=device.name_of("cpu"), cores=_cores(), architecture=platform.machine())


class NightRecord(BaseModel):
    """The code, the machine and the files of a run."""

    model_config = ConfigDict(frozen=True)

    commit: str = Field(description='of the checkout; "" without git')
    code: str = Field(description="hash of the package: its modules and templates")
    lock: str = Field(description="hash of requirements.lock")
    versions: dict[str, str] = Field(description="of Python, the backend and the main libraries")
    machine: Machine
    gpu: str = Field(description="the setting")
    files: dict[RecordedFile, str] = Field(description="files of the run -> sha256")

    @property
    def clean(self) -> bool:
        """Return whether the code was that of its commit."""
        return DIFFERENCE not in self.files


class Code(NamedTuple):
    """The code that a night runs."""

    commit: str  # in full; "" without git
    difference: bytes  # from the commit, for `git apply`; new files included; empty where the checkout is clean
    package: str  # hash of the modules and templates
    lock: str  # hash of requirements.lock; "" without one
    versions: dict[str, str]  # of Python, the backend and the main libraries


def write(folder: Folder, settings: Settings, plan: bytes, code: Code) -> None:
    """Write the record of a night that begins, and last the plan: a run has begun once it has a plan.

    Args:
        folder: of the run.
        settings: of the run; secrets stay out.
        plan: content of plan.json.
        code: of this process.
    """
    listed = [one._asdict() for one in effective(settings)]
    files = {PLAN: plan, SETTINGS: json_bytes(listed)}
    if settings.suite_path.exists():  # else `validate` says what to do
        files[SUITE] = settings.suite_path.read_bytes()
    if code.difference:
        files[DIFFERENCE] = code.difference
    made = NightRecord(
        commit=code.commit,
        code=code.package,
        lock=code.lock,
        versions=code.versions,
        machine=Machine.here(),
        gpu=settings.gpu,
        files={cast("RecordedFile", name): sha256(data) for name, data in files.items()},
    )
    del files[PLAN]
    for name, data in {**files, FILE: made.model_dump_json(indent=1).encode(), PLAN: plan}.items():
        folder.write(name, data)


def read(folder: Folder) -> NightRecord | None:
    """Return the record of a run; None for a run of an earlier version.

    Raises:
        Damaged: when it cannot be read.
    """
    if not folder.exists(FILE):
        return None
    return folder.read_record(
        FILE,
        NightRecord,
        "The record of a night must be as it was written.",
        "Restore the file from a backup, or from MLflow: the run of the night has it.",
    )


def file_of(folder: Folder, record: NightRecord, name: RecordedFile) -> bytes:
    """Return a file that a record names.

    Raises:
        Damaged: when it is missing, or is not as it was written.
    """
    known = record.files[name]
    data = folder.read(name) if folder.exists(name) else b""
    if sha256(data) == known:
        return data
    raise Damaged(
        "The files of a night must be as they were written.",
        f"{folder.path(name)}: {len(data):,} bytes with hash {sha256(data)[:12]}, written with {known[:12]}",
        "Restore the file from a backup, or from MLflow: the run of the night has it.",
    )


def recorded_files(folder: Folder, record: NightRecord | None) -> dict[str, bytes]:
    """Return the files of a run, as they are, with the record; a run of an earlier version has its plan alone."""
    names = [FILE, *record.files] if record else [PLAN]
    return {name: folder.read(name) for name in names}


def gaps(record: NightRecord | None, manifests: Mapping[str, Sequence[Manifest | None]]) -> list[str]:
    """Return all that a night lacks to be made again; tickers that failed lack only the steps before.

    Args:
        record: of the run.
        manifests: of its steps, by ticker.
    """
    if record is None:
        return [f"{FILE} of the run"]
    found = [] if record.lock else ["the hash of requirements.lock"]
    for ticker, several in manifests.items():
        for one in several:
            if one and not one.failed:
                found += [f"{ticker} {gap}" for gap in _gaps_of_step(one, record)]
    return found


def gaps_finding(gaps: Sequence[str]) -> Finding | None:
    """Return a warning about a night that lacks something; None for one that is complete."""
    if not gaps:
        return None
    return Finding(
        rule="A night must record all that makes it again",
        severity="warning",
        observed=f"{len(gaps)} missing",
        rows=tuple(gaps[:10]),
        todo="Nothing for this night; closecast reproduce cannot make it again. Mend the cause before the next one.",
    )


def _gaps_of_step(one: Manifest, record: NightRecord) -> list[str]:
    found = [name for name in _OF_STEPS.get(one.step, ()) if name not in one.outputs]
    if one.versions.get("code") != record.code[:12]:
        found.append(f"{one.step}: other code than that of the plan")
    if one.step == "train" and not one.outcome.tags.get("device_name"):
        found.append("the processor of the training")
    if one.step == "ingest" and not one.outcome.tags.get("data_sha256"):
        found.append("the hash of the snapshot")
    return found


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        return os.cpu_count() or 1
