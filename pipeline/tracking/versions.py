"""A version of a registered model, and the moves of the alias `champion`, as MLflow's tags record them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


CHAMPION = "champion"  # alias of the served version
CHALLENGER = "challenger"  # alias of the version that was trained last
WEIGHTS_OF = "weights_of"  # tag of a version that continues another one
TRAINED = "trained"  # tag of a version: the last session of the night on which its weights were trained
LAST_TRAINING = "last_training"  # tag of a version: the newest session of a training that it has met, its own included
MAX_TAG = 5000  # characters: MLflow cuts longer tags
_MOVE = "champion."  # tag of a move: champion.<time> = {"from": 3, "reason": "..."}
_TIME = "%Y-%m-%dT%H.%M.%S.%f"


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
    def trained(self) -> dt.date:
        """Return the last session of the night on which its weights were trained."""
        known = self.tags.get(TRAINED)
        return dt.date.fromisoformat(known) if known else self.as_of

    @property
    def last_training(self) -> dt.date:
        """Return the session of the last training of its ticker: its own, or one that the gate refused since."""
        known = self.tags.get(LAST_TRAINING)
        return dt.date.fromisoformat(known) if known else self.trained

    @property
    def evaluation_cutoff(self) -> dt.date:
        """Return the last session that the network of its evaluation saw."""
        return dt.date.fromisoformat(self.tags.get("evaluation_cutoff", self.tags["cutoff"]))

    @property
    def dag_run_id(self) -> str:
        """Return the name of the run that made it."""
        return self.tags.get("dag_run_id", "")

    @property
    def weights_of(self) -> int:
        """Return the number of the version that first had its weights; its own unless it continues one."""
        return int(self.tags.get(WEIGHTS_OF, self.number))

    @property
    def synthetic(self) -> bool:
        """Return whether it was trained on synthetic prices."""
        return self.tags["synthetic"] == "true"


class Move(NamedTuple):
    """One move of the alias `champion`."""

    when: dt.datetime
    to: int
    before: int | None
    reason: str
    back: bool = False  # whether it undid another one
    continues: bool = False  # whether the weights stayed, and only the intervals are newer


def name_of(ticker: str) -> str:
    """Return the name of a ticker's registered model."""
    return f"closecast-{ticker}"


def source_of(model_id: str) -> str:
    """Return MLflow's address of a logged model, which a version of it has as its source."""
    return f"models:/{model_id}"


def version_of(found: ModelVersion) -> Version:
    """Return a version of MLflow's registry as ours."""
    return Version(int(found.version), str(found.tags.get("model_id", "")), str(found.run_id), dict(found.tags))


def move_tag(move: Move) -> tuple[str, str]:
    """Return the tag, name and value, that records a move on the version that it leads to."""
    value = {"from": move.before, "reason": move.reason[:MAX_TAG], "back": move.back, "continues": move.continues}
    return f"{_MOVE}{move.when.astimezone(dt.UTC).strftime(_TIME)}Z", json.dumps(value)


def moves_of(version: Version) -> list[Move]:
    """Return the moves of the alias `champion` to this version, in no order."""
    moves = []
    for tag, value in version.tags.items():
        if tag.startswith(_MOVE):
            recorded = json.loads(value)
            when = dt.datetime.strptime(tag.removeprefix(_MOVE), f"{_TIME}%z")
            continues = recorded.get("continues", False)  # earlier code wrote none
            moves.append(Move(when, version.number, recorded["from"], recorded["reason"], recorded["back"], continues))
    return moves


def moves_to(number: int, versions: Sequence[Version]) -> list[Move]:
    """Return the moves that led to a champion, newest first.

    Where the version before was pruned, the next older move follows: a pruned version only continued weights, or was
    served before those that are kept.
    """
    known = {one.number for one in versions}
    moves = [move for one in versions for move in moves_of(one)]
    followed: list[Move] = []
    to: int | None = number
    for move in sorted(moves, key=lambda move: move.when, reverse=True):
        if to is not None and (move.to == to or to not in known):
            followed.append(move)
            to = move.before
    return followed


def served_before(history: Sequence[Move]) -> int | None:
    """Return the version that a rollback serves, by the moves to the champion; None without other weights before."""
    served: list[int | None] = []  # champions, each on the one that it followed
    for move in reversed(history):
        served = served or [move.before]
        if move.back and move.to in served:
            del served[served.index(move.to) :]
        if move.continues:
            del served[-1]
        served.append(move.to)
    return served[-2] if len(served) > 1 else None
