"""`closecast completion SHELL` prints the script that completes commands and options.

Typer's own options for it would add their imports to the start of every command. A shell evaluates the script at its
start, so no settings are read here.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

VARIABLE = "_CLOSECAST_COMPLETE"  # set by the script while a shell completes


class Shell(StrEnum):
    """The shells that have a script."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell, for `eval "$(closecast completion bash)"`."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # re-exported without __all__

    typer.echo(get_completion_script(prog_name="closecast", complete_var=VARIABLE, shell=shell.value))


def is_completing() -> bool:
    """Return whether a shell asks for completions; prepare Typer for the answer if so."""
    if VARIABLE not in os.environ:
        return False
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()
    return True
