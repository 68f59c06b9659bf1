"""What people are told by mail, chat or webhook, each news once: the only user of Apprise.

Without a memory the same finding would be told every night. So the store keeps one small file per key, with the news
that each channel has been told; a channel that failed is owed its message until it takes it. Nothing in here ends a run
or makes it hang, and no URL of a channel is written anywhere: it holds passwords.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import StoreError
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256

Kind = Literal["critical", "warning", "failed", "late"]
log = logging.getLogger("closecast")

if TYPE_CHECKING:
    pass


class Sent(BaseModel):
    """Who was told what about one key."""

    model_config = ConfigDict(frozen=True)

    key: str
    kind: Kind
    title: str
    when: dt.datetime
    channels: dict[str, str] = Field(description="channel -> identity of what it was told and has not recovered")
    settled: bool = False


class Memory:
    """The memory of alerts. Where it fails everything is news: told too often is better than not at all."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.broken = False  # a store that failed once is not asked again: each question may take its time-out

    def look_up(self, key: str) -> Sent | None:
        """Return who was told what about a key, None when nobody was told anything."""
        if self.broken or (data := self._read(key)) is None:
            return None
        try:
            return Sent.model_validate_json(data)
        except ValidationError:
            log.warning("alerts: %s is broken: what it is about counts as news", self.folder.path(_file(key)))
            return None

    def write(self, told: Sent) -> None:
        """Replace what is known about a key."""
        if not self.broken:
            try:
                self.folder.write(_file(told.key), told.model_dump_json(indent=1).encode())
            except Exception as error:  # noqa: BLE001 - a remote store raises what its library likes
                self._give_up(error)

    def _read(self, key: str) -> bytes | None:
        try:
            return self.folder.read(_file(key)) if self.folder.exists(_file(key)) else None
        except Exception as error:  # noqa: BLE001 - the same
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self.broken = True
        why = str(error) if isinstance(error, StoreError) else type(error).__name__
        log.warning("alerts: the store does not remember who was told what, so it is told again. %s", why)


def sent_as(told: Sent | None, kind: Kind) -> dict[str, str]:
    """Return which channels were told what as this kind: a warning that turned critical is news."""
    return told.channels if told and told.kind == kind else {}


def _file(key: str) -> str:
    return f"{sha256(key.encode())[:16]}.json"  # the key itself holds spaces, slashes and signs
