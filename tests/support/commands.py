"""The command line in this process."""

from __future__ import annotations

from typing import NamedTuple

from typer.testing import CliRunner

from pipeline.cli import app


class Said(NamedTuple):
    """The end of a command."""

    code: int
    text: str  # of stdout and stderr


def say(*words: str) -> Said:
    """Return exit code and everything that a command said."""
    answer = CliRunner().invoke(app, list(words))
    return Said(answer.exit_code, answer.output)
