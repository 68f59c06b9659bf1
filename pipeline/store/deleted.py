"""The record of nights that `closecast prune` deleted: when, by which rule, and which versions they had registered.

<store>/_runs/<run>/deleted.json

The record of a ticker is written before the first of its files is deleted. So the records also list the deletions that
the next start must finish.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import UsageError
from pipeline.store.folder import Folder

FILE = "deleted.json"
_MOST_NAMED = 3


class Deleted(BaseModel):
    """One ticker of a run that was deleted."""

    model_config = ConfigDict(frozen=True)

    when: dt.datetime = Field(description="UTC")
    rule: str
    versions: tuple[int, ...] = Field(default=(), description="that the night had registered")
    moves: dict[str, str] = Field(default={}, description="of the alias champion to them: MLflow's tags, by version")

    def __str__(self) -> str:
        return f"deleted on {self.when:%Y-%m-%d %H:%M} UTC by the rule: {self.rule}"


class DeletedUnits(BaseModel):
    """The deleted tickers of one run: `deleted.json`, written and read here alone."""

    model_config = ConfigDict(frozen=True)

    units: dict[str, Deleted] = {}
    unfinished: tuple[str, ...] = Field(default=(), description="tickers whose deletion has not ended")

    def begun(self, more: Mapping[str, Deleted]) -> DeletedUnits:
        """Return the record with more tickers, whose deletion begins. A ticker keeps its first record."""
        unfinished = sorted({*self.unfinished, *more})
        return DeletedUnits(units={**more, **self.units}, unfinished=tuple(unfinished))


def read(store_url: str, run: str) -> DeletedUnits:
    """Return the deleted tickers of a run.

    Raises:
        Damaged: when the record cannot be read.
    """
    folder = _folder(store_url, run)
    if not folder.exists(FILE):
        return DeletedUnits()
    rule = "The record of deleted nights must be as it was written."
    return folder.read_record(FILE, DeletedUnits, rule, "Bring the file back from a backup.")


def write(store_url: str, run: str, record: DeletedUnits) -> None:
    """Write the record of a run."""
    _folder(store_url, run).write(FILE, record.model_dump_json(indent=1).encode())


def require_kept(store_url: str, run: str, tickers: Collection[str]) -> None:
    """Check that no ticker of a run was deleted.

    Raises:
        UsageError: names the tickers, the time and the rule.
    """
    record = read(store_url, run)
    gone = [ticker for ticker in tickers if ticker in record.units]
    if not gone:
        return
    more = f" and {len(gone) - _MOST_NAMED} more" if len(gone) > _MOST_NAMED else ""
    raise UsageError(
        "A night must still be in the store.",
        f"{', '.join(gone[:_MOST_NAMED])}{more} in {run}: {record.units[gone[0]]}",
        f"Its decision.json, and the results.json of its run in {_folder(store_url, run).url}, are kept. Name another "
        "night: closecast runs.",
    )


def _folder(store_url: str, run: str) -> Folder:
    return Folder(f"{store_url}/_runs/{run}")
