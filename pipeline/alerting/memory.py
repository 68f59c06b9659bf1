"""The memory of alerts: one small file per key in the store, with the news that each channel has accepted.

Without it the same finding would be sent every night.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import StoreError
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256

Kind = Literal["critical", "waiting", "warning", "failed", "late", "notice"]
log = logging.getLogger("closecast")


class SentAlert(BaseModel):
    """The last alert of one key, and the channels that accepted it."""

    model_config = ConfigDict(frozen=True)

    key: str
    kind: Kind
    title: str
    when: dt.datetime
    channels: dict[str, str] = Field(
        description="channel -> identity of the alert that it accepted and that has not recovered"
    )
    settled: bool = False


class Memory:
    """The files of sent alerts. If the store fails, every alert is sent again: a repeat is better than a lost alert."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.broken = False  # after one failure the store is not used again: each access may wait for its time-out

    def read(self, key: str) -> SentAlert | None:
        """Return the last alert of a key, None before the first."""
        if self.broken or (data := self._content(key)) is None:
            return None
        try:
            return SentAlert.model_validate_json(data)
        except ValidationError:
            log.warning("alerts: %s is damaged: its alert may be sent again", self.folder.path(_file_name(key)))
            return None

    def unsettled(self) -> list[SentAlert]:
        """Return the alerts that a channel has accepted and that have not recovered, oldest first.

        Raises:
            StoreError: when the folder cannot be read.
        """
        found = []
        for name in self.folder.names():
            with contextlib.suppress(ValidationError):  # damaged: `read` says so when its alert is sent again
                found.append(SentAlert.model_validate_json(self.folder.read(name)))
        return sorted((one for one in found if one.channels), key=lambda one: one.when)

    def write(self, sent: SentAlert) -> None:
        """Replace the last alert of its key."""
        if not self.broken:
            try:
                self.folder.write(_file_name(sent.key), sent.model_dump_json(indent=1).encode())
            except Exception as error:  # noqa: BLE001 - a remote store raises its library's exceptions
                self._give_up(error)

    def _content(self, key: str) -> bytes | None:
        try:
            return self.folder.read(_file_name(key)) if self.folder.exists(_file_name(key)) else None
        except Exception as error:  # noqa: BLE001 - the same
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self.broken = True
        reason = str(error) if isinstance(error, StoreError) else type(error).__name__
        log.warning("alerts: the store does not keep the sent alerts, so they are sent again. %s", reason)


def accepted_news(sent: SentAlert | None, kind: Kind) -> dict[str, str]:
    """Return the news of this kind that each channel has accepted: a warning that turned critical is news again."""
    if sent is None or sent.kind != kind:
        return {}
    return sent.channels


def _file_name(key: str) -> str:
    return f"{sha256(key.encode())[:16]}.json"  # a key holds spaces, slashes and other signs
