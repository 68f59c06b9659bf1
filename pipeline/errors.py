"""Everything that can go wrong for a reason a person can act on.

    PipelineError               ends the unit that it happened in, never its neighbours
    ├── UsageError              wrong settings or parameters: exit code 2
    ├── DataError               the prices cannot be used: retrying will not help
    │   ├── UnknownTicker
    │   └── UnreadablePrices
    ├── TrainingDiverged        the network left the numbers
    ├── NotComparable           the champion knows rows that the challenger is tested on
    ├── Damaged                 an artefact is not as it was written
    ├── StoreError              the store cannot be read or written
    └── Unavailable             a service did not answer: worth another try

Anything that is not a `PipelineError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import re


class PipelineError(Exception):
    """A failure told in three parts, each of them one line.

    Args:
        rule: what has to hold.
        received: what was found instead.
        todo: what the reader can do about it.
    """

    exit_code = 1
    retryable = False

    def __init__(self, rule: str, received: str, todo: str) -> None:
        super().__init__(rule, received, todo)
        self.rule, self.received, self.todo = (" ".join(part.split()) for part in (rule, received, todo))

    def __str__(self) -> str:
        return f"{self.rule}\nReceived: {self.received}\nTo do: {self.todo}"


class UsageError(PipelineError):
    """The command, the settings or the run parameters ask for something impossible."""

    exit_code = 2


class DataError(PipelineError):
    """The prices themselves cannot be used."""


class UnknownTicker(DataError):
    """The source has never heard of the ticker."""


class UnreadablePrices(DataError):
    """The source answered, but not with a price table."""


class TrainingDiverged(PipelineError):
    """The loss became NaN or infinite, or ran away from its first epoch."""


class NotComparable(PipelineError):
    """Champion and challenger cannot be scored on the same rows."""


class Damaged(PipelineError):
    """A file of the store does not have the hash that it was written with."""


class StoreError(PipelineError):
    """The artefact store refused to read or write."""


class Unavailable(PipelineError):
    """A service did not answer, or asked us to come back later."""

    retryable = True


def without_secrets(text: str, url: str = "") -> str:
    """Return `text` without the user and password that `url`, or a URL in the text, may hold."""
    login = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    return re.sub(r"://[^/@\s]*@", "://", text.replace(f"{login}@", "") if login else text)
