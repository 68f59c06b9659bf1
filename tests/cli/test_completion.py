"""Shell completion: the script, and the answers while a person types."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import say

CLOSECAST = Path(sys.executable).with_name("closecast")


@pytest.mark.usefixtures("tiny")
def test_a_script_for_each_shell():
    """Another shell is wrong usage."""
    for shell in ("bash", "zsh", "fish"):
        code, text = say("completion", shell)
        assert (code, "_CLOSECAST_COMPLETE" in text) == (0, True)
    assert say("completion", "csh")[0] == 2


@pytest.mark.parametrize(
    ("words", "answers"),
    [("closecast di", {"diff"}), ("closecast diff --j", {"--json"}), ("closecast champion ro", {"rollback"})],
)
def test_bash_completes_commands_and_options(tiny, words, answers):
    """In real bash: its completion function fills COMPREPLY. Variables that a run ignores print no line here."""
    del tiny
    script = (
        f'eval "$({CLOSECAST} completion bash)"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); '
        f'_closecast_completion {CLOSECAST}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    environment = os.environ | {"MLFLOW_REGISTRY_URI": "http://127.0.0.1:9"}
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert set(done.stdout.split()) == answers
