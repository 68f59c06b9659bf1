"""The input of a step: one ticker in one run, the files that the step declares, and a registry to read from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import UsageError
from pipeline.forecasting.recipe import Recipe
from pipeline.forecasting.split import Split
from pipeline.forecasting.windows import FittedRows, Windows
from pipeline.outcome import ANSWER, Answer
from pipeline.prices import snapshot
from pipeline.steps.rows import fitted_rows, windows_of
from pipeline.store.formats import json_of

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.outcome import Manifest, Outcome
    from pipeline.plan import Plan
    from pipeline.settings import Settings
    from pipeline.store.folder import Folder
    from pipeline.tracking.registry import Registry


@dataclass(frozen=True, eq=False)
class Unit:
    """One ticker in one run, as one step sees it. Each file is read once."""

    ticker: str
    plan: Plan
    folder: Folder
    settings: Settings
    registry: Registry  # to read from; the runner moves aliases
    step: Step
    before: tuple[str, ...]  # names of the steps before this one
    on_epoch: Callable[[int, int, float], None] | None = None

    def read(self, name: str) -> bytes:
        """Return a file that a step before this one wrote.

        Raises:
            ValueError: when the step does not declare the file, which is a bug.
            Damaged: when its content has changed since.
            StoreError: when it is missing or cannot be read.
        """
        if name not in self.step.reads + self.step.may_read:
            message = f"Step {self.step.name} must declare {name!r} in its `reads`. Declared: {self.step.reads}."
            raise ValueError(message)
        if name not in self._contents:
            writer = self._writers.get(name)
            self._contents[name] = self.folder.read_written(name, writer) if writer else self.folder.read(name)
        return self._contents[name]

    @property
    def store_url(self) -> str:
        """Return the store of the settings."""
        return self.settings.store_url

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of the files that the step reads in this run."""
        return self.step.reads + tuple(name for name in self.step.may_read if self._has(name))

    def _has(self, name: str) -> bool:
        """Return whether a step before this one wrote a file, or a person's answer is there."""
        return name in self._writers or (name == ANSWER and self.folder.exists(ANSWER))

    @cached_property
    def answer(self) -> Answer | None:
        """Return the answer of a person to the restatement of this snapshot; None without one."""
        ingested = self.manifests["ingest"]
        if ingested is None or ANSWER not in self.inputs:
            return None
        given = Answer.from_json(self.read(ANSWER))
        return given if given.data_sha256 == snapshot.identity(ingested) else None

    @cached_property
    def _contents(self) -> dict[str, bytes]:
        return {}

    @cached_property
    def manifests(self) -> dict[str, Manifest | None]:
        """Return the manifests of the steps before this one, by step; None where one has not finished."""
        return {name: self.folder.manifest(name) for name in self.before}

    @cached_property
    def _writers(self) -> dict[str, Manifest]:
        return {name: one for one in self.manifests.values() if one for name in one.outputs}

    @property
    def suite(self) -> bytes:
        """Return the suite of Great Expectations that prices are checked against.

        Raises:
            UsageError: when it cannot be read.
        """
        path = self.settings.suite_path
        try:
            return path.read_bytes()
        except OSError as error:
            raise UsageError(
                "Prices are checked against a suite of Great Expectations.",
                f"{path}: {error.strerror}",
                "Put the suite there, or correct CLOSECAST_HOME, the folder above expectations/.",
            ) from error

    @cached_property
    def raw(self) -> pd.DataFrame:
        """Return the snapshot that `ingest` took.

        Raises:
            Damaged: when it is not as it was taken.
        """
        ingested = self.manifests["ingest"]
        if ingested is None or not {snapshot.FILE, snapshot.OLD_FILE} & set(self.inputs):
            message = f"Step {self.step.name} must declare the snapshot in its `may_read`. Declared: {self.inputs}."
            raise ValueError(message)
        return snapshot.read(self.store_url, self.ticker, self.folder, ingested).prices

    @cached_property
    def split(self) -> Split:
        """Return the parts that `split_scale` cut."""
        return Split(**json_of(self.read("split.json")))

    @cached_property
    def windows(self) -> Windows:
        """Return the windows that `window` laid."""
        return windows_of(json_of(self.read("windows.json")))

    @cached_property
    def fitted(self) -> FittedRows:
        """Return the rows that `train` fitted the network by: in a universe they have common dates."""
        return fitted_rows(self.read("rows.json"))

    @cached_property
    def currency(self) -> str:
        """Return the currency of the prices; "" if it is unknown."""
        if snapshot.FILE not in self.inputs:
            return ""
        return snapshot.SnapshotRecord.from_json(self.read(snapshot.FILE)).currency

    @cached_property
    def recipe(self) -> Recipe:
        """Return the recipe of the network that was fitted on the past of the test rows."""
        return Recipe.from_json(self.read("recipe.json"))

    @cached_property
    def refitted(self) -> Recipe:
        """Return the recipe of the network that is served; it was fitted on all rows, if the preset says so."""
        return Recipe.from_json(self.read("refitted.json" if self.plan.preset.refit else "recipe.json"))


class Step(NamedTuple):
    """A step and the files that its result depends on."""

    function: Callable[..., Any]  # (Unit) -> Outcome; if it gathers, (units of one training) -> an Outcome for each
    reads: tuple[str, ...]  # files that steps before it wrote
    may_read: tuple[str, ...] = ()  # the same, for files that only some runs have
    judges: bool = False  # by the suite of the settings
    gathers: bool = False  # all tickers of a universe in one call

    @property
    def name(self) -> str:
        """Return the step's name, in every log, file and page."""
        return str(self.function.__name__)

    def call(self, units: Sequence[Unit]) -> list[Outcome]:
        """Return the outcome of each unit, in order."""
        if self.gathers and units:
            return list(self.function(units))
        return [self.function(unit) for unit in units]
