"""A recorded night made again in a folder of its own, and compared with its record, stage by stage.

The store, the ledger and the checkout are only read. MLflow is not asked at all.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.audit import remake
from pipeline.audit.files_compared import Compared, compared
from pipeline.audit.night_code import NightCode, night_code
from pipeline.audit.night_folder import Ended, ended_of, prepare, weights_before
from pipeline.audit.night_ledger import row_difference
from pipeline.errors import Damaged, PipelineError, StoreError, UsageError
from pipeline.prices import snapshot
from pipeline.store import night_record
from pipeline.store.runs import run_folder
from pipeline.tracking import champion_record

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.store.history import PastRun
    from pipeline.store.night_record import NightRecord

# Largest difference relative to the largest value of its array that another kind of machine may make.
LIMIT = 1e-3
_STAGES = {
    "ingest": "data",
    "validate": "data",
    "split_scale": "scaler",
    "window": "scaler",
    "train": "weights",
    "evaluate": "scores",
    "promote": "decision",
    "forecast": "forecast",
}
STAGES = ("settings", "code", *dict.fromkeys(_STAGES.values()))
_COMPARED = (".keras", ".npz", ".parquet", ".json")
# The first names the moment of the check. The second is an input of the night.
_NOT_COMPARED = ("validation.json", champion_record.FILE)
_SHOWN = 2000  # characters of a message


class Stage(NamedTuple):
    """One stage of one ticker: equal to the last bit unless it has a difference."""

    name: str
    files: int
    compared: Compared


class Reproduced(NamedTuple):
    """The comparison of one ticker."""

    ticker: str
    stages: tuple[Stage, ...]  # those before the record was found changed, and that one

    @property
    def first(self) -> Stage | None:
        """Return the first stage that differs."""
        return next((one for one in self.stages if one.compared.first), None)

    @property
    def largest(self) -> float:
        """Return the largest relative difference."""
        return max((one.compared.largest for one in self.stages), default=0.0)


class Reproduction(NamedTuple):
    """A night and its comparison."""

    run: PastRun
    tickers: tuple[Reproduced, ...]
    code: str
    other_machine: tuple[str, ...]  # differences between the machine or the libraries of the night and those of now

    @property
    def limit(self) -> float:
        """Return the largest difference that is accepted: 0 on the same kind of machine."""
        return LIMIT if self.other_machine else 0.0

    @property
    def failed(self) -> Reproduced | None:
        """Return the first ticker whose figures differ, on another machine by more than the limit."""
        if self.other_machine:
            return next((one for one in self.tickers if one.largest > self.limit), None)
        return next((one for one in self.tickers if one.first), None)


def reproduce(run: PastRun, tickers: Sequence[str], settings: Settings, say: Callable[[str], None]) -> Reproduction:
    """Make a night again, and compare it with its record.

    Args:
        run: of the store.
        tickers: to compare.
        settings: of the store and the ledger; the night has its own.
        say: takes a line about the progress.

    Raises:
        UsageError: when the run does not record enough to be made again.
        PipelineError: when it cannot be made again.
    """
    store_url = settings.store_url
    place = run_folder(store_url, run.run)
    ended = {ticker: ended_of(store_url, run, ticker) for ticker in run.tickers}
    record = night_record.read(place)
    _check_complete(run, record, {ticker: ended[ticker] for ticker in tickers})
    assert record is not None  # noqa: S101 - a run without a record is not complete
    changed = [_changed_record(ticker, run, record, ended[ticker], settings) for ticker in tickers]
    broken = [one for one in changed if one.stages]
    if broken:
        return Reproduction(run, tuple(broken), "", ())
    files: dict[str, bytes] = {name: night_record.file_of(place, record, name) for name in record.files}
    needed = _needed(run, tickers, ended)
    with (
        tempfile.TemporaryDirectory(prefix="closecast-night-") as home,
        night_code(record, files, say) as code,
    ):
        say(f"The night is made again: {code.words}.")
        prepare(Path(home), run, record, files, {ticker: ended[ticker] for ticker in needed}, tickers, settings)
        _make(Path(home), record, code)
        made = remake.Made.model_validate_json((Path(home) / remake.MADE).read_bytes())
        again = f"{home}/store"
        found = [_compared(ticker, run, ended[ticker], again) for ticker in tickers]
        other = _other_machine(record, made, [_trained(again, run, ticker, ended[ticker]) for ticker in tickers])
    return Reproduction(run, tuple(found), code.words, other)


def _check_complete(run: PastRun, record: NightRecord | None, ended: Mapping[str, Ended]) -> None:
    """Raise unless the night recorded all that makes it again."""
    missing = night_record.gaps(record, {ticker: list(one.manifests.values()) for ticker, one in ended.items()})
    missing += [f"{ticker}: no finished step" for ticker, one in ended.items() if "validate" not in one.manifests]
    if missing:
        raise UsageError(
            "A night that is made again must have recorded its code, its settings and its champion.",
            f"{run.dag_run_id} lacks {'; '.join(missing[:3])}",
            "Nothing, for a night of an earlier version. Name another run: closecast runs lists them.",
        )


def _changed_record(ticker: str, run: PastRun, record: NightRecord, ended: Ended, settings: Settings) -> Reproduced:
    """Return the first file or row of the record that is not as the night wrote it; no stages where all are."""
    store_url = settings.store_url
    stage = "settings"
    try:
        place = run_folder(store_url, run.run)
        for recorded in record.files:
            stage = "code" if recorded == night_record.DIFFERENCE else "settings"
            night_record.file_of(place, record, recorded)
        for step, manifest in ended.manifests.items():
            stage = _STAGES[step]
            for name in manifest.outputs:
                ended.folder.read_written(name, manifest)
            if step == "ingest":
                snapshot.read(store_url, ticker, ended.folder, manifest)
            if step == "promote":
                stage = "weights"
                weights_before(store_url, ended)
        stage = "forecast"
        changed = row_difference(settings.ledger_place, ticker, ended.manifests.get("forecast"))
    except (Damaged, StoreError) as error:
        changed = error.received
    except (ValueError, KeyError) as error:  # a file that no longer is of its format
        changed = f"{type(error).__name__}: {error}"
    if not changed:
        return Reproduced(ticker, ())
    return Reproduced(ticker, (Stage(stage, 0, Compared(0, f"the record was changed: {changed}", float("inf"))),))


def _needed(run: PastRun, tickers: Sequence[str], ended: Mapping[str, Ended]) -> list[str]:
    """Return the tickers to make again: with the others that share the network, in the order of the run."""
    alone = len(run.tickers) == 1 or run.parameters.get("preset.scope") == "ticker"
    return [one for one in run.tickers if one in tickers or (not alone and "train" in ended[one].manifests)]


def _make(home: Path, record: NightRecord, code: NightCode) -> None:
    """Run the code of the night, without the settings and the variables of this process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOSECAST_", "PYTHON"))}
    environment = kept | {
        "CLOSECAST_HOME": str(home),
        "CLOSECAST_STORE": str(home / "store"),
        "CLOSECAST_GPU": "off" if record.gpu == "off" else "auto",
        "KERAS_BACKEND": record.versions["backend"],
        "PYTHONPATH": str(code.folder),
        "PYTHONDONTWRITEBYTECODE": "1",  # a checkout is only read
    }
    command = [code.python, "-m", remake.__name__, str(home)]
    done = subprocess.run(command, cwd=code.folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not (home / remake.MADE).exists():
        rule, received, todo = _message(done.stderr)
        raise PipelineError(rule, received, todo)


def _message(text: str) -> tuple[str, str, str]:
    """Return the three parts of the message that the code of the night ended with."""
    lines = text.strip().splitlines()
    if len(lines) >= 3 and lines[-2].startswith("Received: ") and lines[-1].startswith("To do: "):  # noqa: PLR2004
        return lines[-3], lines[-2].partition(": ")[2], lines[-1].partition(": ")[2]
    return (
        "The code of the night must run.",
        " ".join(lines[-3:])[-_SHOWN:] or "no message",
        "Its version of Closecast may not know the command reproduce. Else report this message.",
    )


def _compared(ticker: str, run: PastRun, ended: Ended, again: str) -> Reproduced:
    folder = run.folder_of(again, ticker)
    found = {name: Stage(name, 0, Compared()) for name in STAGES}
    for step, manifest in ended.manifests.items():
        stage = found[_STAGES[step]]
        for name in manifest.outputs:
            if name.endswith(_COMPARED) and name not in _NOT_COMPARED:
                recorded = ended.folder.read(name)
                made = folder.read(name) if folder.exists(name) else b""
                result = compared(name, recorded, made) if made else _missing(name)
                stage = stage._replace(files=stage.files + 1, compared=stage.compared.plus(result))
        found[stage.name] = stage
    return Reproduced(ticker, tuple(found[name] for name in STAGES))


def _missing(name: str) -> Compared:
    return Compared(1, f"{name}: recorded, and not made again", float("inf"))


def _trained(again: str, run: PastRun, ticker: str, ended: Ended) -> tuple[str, str]:
    """Return the name of the device that trained in the night, and of the one that trained now."""
    made = run.folder_of(again, ticker).manifest("train")
    then = ended.manifests.get("train")
    names = [one.outcome.tags.get("device_name", "") if one else "" for one in (then, made)]
    return names[0], names[1]


def _other_machine(record: NightRecord, made: remake.Made, devices: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the differences between the machine or the libraries of the night and those of now."""
    then = record.machine.model_dump() | record.versions
    now = made.machine.model_dump() | made.versions
    ours = ("code", "git")  # compared by themselves
    found = [
        f"{name} {then[name]}, now {now.get(name)}" for name in then if name not in ours and then[name] != now.get(name)
    ]
    found += [f"trained on {before}, now on {after}" for before, after in dict.fromkeys(devices) if before != after]
    return tuple(found)
