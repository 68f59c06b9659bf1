"""The errors that a person can act on.

    PipelineError               ends its own unit, never another unit
    ├── UsageError              wrong settings or parameters: exit code 2
    ├── DataError               the prices cannot be used; a retry does not help
    │   ├── UnknownTicker
    │   └── UnreadablePrices
    ├── TrainingDiverged        the loss is not finite or grows away
    ├── NotComparable           the champion was trained on rows that the challenger is tested on
    ├── Damaged                 an artefact is not as it was written
    ├── StoreError              the store refuses to read or write
    └── Unavailable             a service did not answer; a retry may help

Every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import re


class PipelineError(Exception):
    """A failure with a message of three parts, one line each.

    Args:
        rule: the rule that was broken.
        received: the value that broke it.
        todo: the next step of the reader.
    """

    exit_code = 1
    retryable = False

    def __init__(self, rule: str, received: str, todo: str) -> None:
        super().__init__(rule, received, todo)
        self.rule = " ".join(rule.split())
        self.received = " ".join(received.split())
        self.todo = " ".join(todo.split())

    def __str__(self) -> str:
        return f"{self.rule}\nReceived: {self.received}\nTo do: {self.todo}"


class UsageError(PipelineError):
    """The command, the settings or the run parameters are wrong."""

    exit_code = 2


class DataError(PipelineError):
    """The prices cannot be used."""


class NothingLeft(DataError):
    """Every ticker of a batch failed in a step before."""


class PartlyFailed(DataError):
    """Some tickers of a batch failed in this step. The others have finished it, and go on."""


class UnknownTicker(DataError):
    """The source does not know the ticker."""


class UnreadablePrices(DataError):
    """The source answered with something else than a price table."""


class TrainingDiverged(PipelineError):
    """The loss became NaN or infinite, or rose far above its first epoch."""


class NotComparable(PipelineError):
    """Champion and challenger cannot be scored on the same rows."""


class Damaged(PipelineError):
    """A file of the store no longer has the hash of its manifest."""


class StoreError(PipelineError):
    """The artefact store refused to read or write."""


class Unavailable(PipelineError):
    """A service did not answer, or asked for a later retry."""

    retryable = True


def without_secrets(text: str, url: str = "") -> str:
    """Return `text` without the user and password of `url` and of any URL in the text."""
    login = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    return re.sub(r"://[^/@\s]*@", "://", text.replace(f"{login}@", "") if login else text)
