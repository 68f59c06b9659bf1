"""The trainings of a replay: made by the steps themselves in a folder of their own, and kept as files.

<replay>/trainings/<group>/<night>.json    recipes and borders of each ticker of the group
<replay>/trainings/<hash>.keras            a network, which tickers of a universe share

A group is a ticker, or `all` where one network serves all tickers. No training depends on a champion, so that all of
them can be made before the nights, and every contender meets the same networks.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pipeline.audit import night
from pipeline.forecasting import inference
from pipeline.forecasting.recipe import Recipe
from pipeline.outcome import Outcome
from pipeline.prices import snapshot
from pipeline.replay.night import Held, State, Training
from pipeline.steps import FLOW
from pipeline.steps.rows import BORDER_TAGS, borders_in
from pipeline.store.folder import Folder
from pipeline.store.formats import frame_bytes, sha256
from pipeline.tracking import champion_record
from pipeline.tracking.champion_record import ChampionRecord
from pipeline.tracking.registry import Loaded
from pipeline.tracking.versions import Version

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.plan import Plan
    from pipeline.settings import Settings

ALL = "all"
START = "start"  # name of the champion that the store had before the first night


class NetworkFile(BaseModel):
    """One network with its recipe."""

    model_config = ConfigDict(frozen=True)

    file: str = Field(description="name below `trainings`")
    recipe: str = Field(description="content of its recipe.json")


class TrainingFile(BaseModel):
    """The training of one ticker."""

    model_config = ConfigDict(frozen=True)

    as_of: dt.date
    evaluated: NetworkFile
    served: NetworkFile
    borders: dict[str, str] = Field(description="tags of the rows that `evaluated` knows")
    version: dict[str, str] = Field(default={}, description="tags of the version, for the champion before the replay")
    number: int = Field(default=0, description="of that version")
    newest: int = Field(default=0, description="number of the newest version before the replay")

    @property
    def last_training(self) -> dt.date:
        """Return the session of the last training that the champion before the replay had met."""
        return Version(self.number, "", "", self.version).last_training


class GroupFile(BaseModel):
    """One training of a group: `<night>.json`."""

    model_config = ConfigDict(frozen=True)

    tickers: dict[str, TrainingFile]
    leak: str = Field(default="", description='the price that later prices changed; "" without one')


def trained(
    plan: Plan, prices: Mapping[str, pd.DataFrame], currencies: Mapping[str, str], settings: Settings, folder: Folder
) -> GroupFile:
    """Train on the prices of one night, and write the networks.

    Args:
        plan: of the night, with all tickers of the replay.
        prices: of the tickers that are trained together, validated.
        currencies: by ticker.
        settings: of the environment.
        folder: of the trainings.

    Raises:
        PipelineError: when the history is too short, or the training diverges.
    """
    once = plan.model_copy(update={"retrain_every": 1, "walk_forward": 0, "fault": None})
    made: dict[str, dict[str, Outcome]] = {ticker: {} for ticker in prices}
    names = [step.name for step in FLOW]
    with tempfile.TemporaryDirectory(prefix="closecast-replay-") as home:
        for ticker, frame in prices.items():
            record = snapshot.SnapshotRecord(currencies[ticker], currencies[ticker])
            known = {
                "ingest": {snapshot.FILE: record.to_json()},
                "validate": {"validated.parquet": frame_bytes(frame)},
            }
            for name, files in known.items():
                night.write(night.unit_of(ticker, once, settings, name, (), home), Outcome(files=files))
        for name in ("split_scale", "window", "train"):
            before = tuple(names[: names.index(name)])
            units = [night.unit_of(ticker, once, settings, name, before, home) for ticker in prices]
            for unit, outcome in zip(units, units[0].step.call(units), strict=True):
                made[unit.ticker][name] = outcome
                night.write(unit, outcome)
    return GroupFile(tickers={ticker: _kept(one["train"], once, folder) for ticker, one in made.items()})


def _kept(outcome: Outcome, plan: Plan, folder: Folder) -> TrainingFile:
    files = outcome.files
    evaluated = _network(files["model.keras"], files["recipe.json"], folder)
    served = _network(files["refitted.keras"], files["refitted.json"], folder) if plan.preset.refit else evaluated
    return TrainingFile(as_of=plan.as_of, evaluated=evaluated, served=served, borders=_borders(outcome.tags))


def _borders(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: tags[name] for name in BORDER_TAGS}


def _network(data: bytes, recipe: bytes, folder: Folder) -> NetworkFile:
    folder.keep(_name(data), data)
    return NetworkFile(file=_name(data), recipe=recipe.decode())


def _name(data: bytes) -> str:
    return f"{sha256(data)}.keras"


class Before(NamedTuple):
    """The champion that the store had before a night, and its networks by name."""

    file: TrainingFile
    networks: dict[str, bytes]


def before(store_url: str, unit: Folder) -> Before | None:
    """Return the champion that the store had before a night; None without one, or where the night recorded less.

    Args:
        store_url: the store.
        unit: of the night and the ticker.

    Raises:
        Damaged: when a recorded network is not as it was written.
    """
    promoted = unit.manifest("promote")
    if promoted is None or promoted.failed or champion_record.FILE not in promoted.outputs:
        return None
    met = ChampionRecord.from_json(unit.read_written(champion_record.FILE, promoted))
    released = promoted.results.released if promoted.results else None
    if met.version is None or not met.served or not met.evaluated or released is None:
        return None
    if not set(BORDER_TAGS) <= set(met.run_tags):
        return None
    networks: dict[str, bytes] = {}
    files = []
    for one in (met.evaluated, met.served):
        data = champion_record.weights_of(store_url, one)
        files.append(NetworkFile(file=_name(data), recipe=one.recipe))
        networks[_name(data)] = data
    if files[0].file == files[1].file and met.version.evaluation_cutoff < met.version.cutoff:
        return None  # its evaluation has the network that is served, as nights of before 2026-11-30 left it
    file = TrainingFile(
        as_of=met.version.trained,
        evaluated=files[0],
        served=files[1],
        borders=_borders(met.run_tags),
        version=met.tags,
        number=met.version.number,
        newest=released.version - 1,
    )
    return Before(file, networks)


def training_of(name: str, recorded: TrainingFile, folder: Folder) -> Training:
    """Return the networks of a training.

    Raises:
        StoreError: when a file is gone.
    """
    loaded = [_loaded(one, folder) for one in (recorded.evaluated, recorded.served)]
    remembering = loaded[0]._replace(network=inference.Remembering(loaded[0].network))
    return Training(name, recorded.as_of, remembering, loaded[1], borders_in(recorded.borders))


def _loaded(recorded: NetworkFile, folder: Folder) -> Loaded:
    recipe = Recipe.from_json(recorded.recipe.encode())
    return Loaded(inference.load(folder.read(recorded.file), recipe), recipe)


def start_of(recorded: TrainingFile, training: Training) -> State:
    """Return the state before the first night: the champion that the store had."""
    version = Version(recorded.number, "", "", recorded.version)
    return State(Held(version, training, training.served.recipe, training.evaluated.recipe), recorded.newest)
