"""What a step is given: one ticker in one run, and what may be used of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import UsageError
from pipeline.forecasting import windows
from pipeline.forecasting.forecaster import Recipe
from pipeline.forecasting.split import Split
from pipeline.store.formats import json_of

if TYPE_CHECKING:
    from pipeline.outcome import Manifest, Outcome
    from pipeline.plan import Plan
    from pipeline.settings import Settings
    from pipeline.store.folder import Folder
    from pipeline.tracking.registry import Registry


@dataclass(frozen=True)
class Unit:
    """One ticker in one run."""

    ticker: str
    plan: Plan
    folder: Folder
    settings: Settings
    registry: Registry
    before: tuple[str, ...]  # names of the steps before the one that is done
    on_epoch: Callable[[int, int, float], None] | None = None

    def read(self, name: str) -> bytes:
        """Return a file that a step before this one wrote.

        Raises:
            Damaged: when it is not as it was written.
            StoreError: when it is missing or cannot be read.
        """
        by = self._writers.get(name)
        return self.folder.read_written(name, by) if by else self.folder.read(name)

    @cached_property
    def _writers(self) -> dict[str, Manifest]:
        manifests = [self.folder.manifest(step) for step in self.before]
        return {name: one for one in manifests if one for name in one.outputs}

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
                "Put it there, or correct CLOSECAST_HOME, the folder that it is looked for in.",
            ) from error

    @property
    def split(self) -> Split:
        """Return the parts that `split_scale` cut."""
        return Split(**json_of(self.read("split.json")))

    @property
    def windows(self) -> windows.Windows:
        """Return the windows that `window` laid."""
        laid = json_of(self.read("windows.json"))
        return windows.Windows(laid["lookback"], *(range(*laid[part]) for part in ("train", "validation", "test")))

    @property
    def recipe(self) -> Recipe:
        """Return what `train` says a forecast needs beside the network."""
        return Recipe(**json_of(self.read("recipe.json")))


class Step(NamedTuple):
    """A step and what its result depends on."""

    function: Callable[[Unit], Outcome]
    reads: tuple[str, ...]  # files that steps before it wrote
    judges: bool = False  # by the suite of the settings

    @property
    def name(self) -> str:
        """Return the step's name, in every log, file and page."""
        return self.function.__name__
