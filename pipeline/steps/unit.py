"""What a step is given: one ticker in one run, and what may be used of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline import windows
from pipeline.forecaster import Recipe
from pipeline.split import Split
from pipeline.store import json_of

if TYPE_CHECKING:
    from pipeline.outcome import Outcome
    from pipeline.plan import Plan
    from pipeline.registry import Registry
    from pipeline.settings import Settings
    from pipeline.store import Folder


@dataclass(frozen=True)
class Unit:
    """One ticker in one run."""

    ticker: str
    plan: Plan
    folder: Folder
    settings: Settings
    registry: Registry
    on_epoch: Callable[[int, int, float], None] | None = None

    @property
    def split(self) -> Split:
        """Return the parts that `split_scale` cut."""
        return Split(**json_of(self.folder.read("split.json")))

    @property
    def windows(self) -> windows.Windows:
        """Return the windows that `window` laid."""
        laid = json_of(self.folder.read("windows.json"))
        return windows.Windows(laid["lookback"], *(range(*laid[part]) for part in ("train", "validation", "test")))

    @property
    def recipe(self) -> Recipe:
        """Return what `train` says a forecast needs beside the network."""
        return Recipe(**json_of(self.folder.read("recipe.json")))


class Step(NamedTuple):
    """A step and the files that its result depends on."""

    function: Callable[[Unit], Outcome]
    reads: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the step's name, in every log, file and page."""
        return self.function.__name__
