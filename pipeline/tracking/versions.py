"""MLflow's model registry: one registered model per ticker, and which of its versions is served.

A version is known by the tags that it was registered with. The alias `champion` is what is served; each move of it is
written down on the version that it moves to, before it moves, so that the moves can be followed back from there.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


CHAMPION, CHALLENGER = "champion", "challenger"
MOVE = "champion."  # tag of a move: champion.<time> = {"from": 3, "reason": "..."}
MAX_TAG = 5000


class Version(NamedTuple):
    """One registered model."""

    number: int
    model_id: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def as_of(self) -> dt.date:
        """Return the last session that its run knew."""
        return dt.date.fromisoformat(self.tags["as_of"])

    @property
    def cutoff(self) -> dt.date:
        """Return the last session that its training saw."""
        return dt.date.fromisoformat(self.tags["cutoff"])

    @property
    def dag_run_id(self) -> str:
        """Return the name of the run that made it."""
        return self.tags.get("dag_run_id", "")

    @property
    def synthetic(self) -> bool:
        """Return whether it was trained on prices that are made up."""
        return self.tags["synthetic"] == "true"


class Move(NamedTuple):
    """One move of the alias `champion`."""

    when: dt.datetime
    to: int
    before: int | None
    reason: str
    back: bool  # whether it undid another one


def name_of(ticker: str) -> str:
    """Return the name of a ticker's registered model."""
    return f"closecast-{ticker}"


def version_of(found: ModelVersion) -> Version:
    """Return a version of MLflow's registry as ours."""
    return Version(int(found.version), str(found.tags.get("model_id", "")), str(found.run_id), dict(found.tags))


def moves_of(version: Version) -> list[Move]:
    """Return the moves of the alias `champion` to this version, in no order."""
    moves = []
    for tag, value in version.tags.items():
        if tag.startswith(MOVE):
            told = json.loads(value)
            when = dt.datetime.strptime(tag.removeprefix(MOVE), "%Y-%m-%dT%H.%M.%S.%f%z")
            moves.append(Move(when, version.number, told["from"], told["reason"], told["back"]))
    return moves
