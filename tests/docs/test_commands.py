"""Every command of the documents is run here or by another test, or commands.toml gives the reason why it is not."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer.main

from pipeline.cli import app
from pipeline.settings import Settings
from pipeline.settings.foreign import foreign_variables
from pipeline.settings.variables import check_variables
from tests.support.checkouts import OF_MAKE
from tests.support.documents import CHECKOUT, PAGES, code_blocks, commands
from tests.support.tiny import network_variables, tiny_settings

TABLES = tomllib.loads(Path(__file__).with_name("commands.toml").read_text())
FOUND = [one for page in PAGES for one in commands(page)]
TEXTS = list(dict.fromkeys(one.text for one in FOUND))


def test_each_command_of_the_documents_is_in_one_table():
    """The message names file and line. A command that has left the documents leaves its table too."""
    known = [command for table in TABLES.values() for command in table]
    missing = [f"{one.place}: {one.text}" for one in FOUND if one.text not in known]
    assert missing == []
    assert sorted(set(known) - set(TEXTS)) == []
    assert len(known) == len(set(known))


@pytest.mark.parametrize("test", sorted(set(TABLES["tested"].values())))
def test_the_test_of_a_command_exists(test):
    """A file of tests, or one test of it."""
    file, _, name = test.partition("::")
    functions = [node.name for node in ast.walk(ast.parse((CHECKOUT / file).read_text())) if hasattr(node, "name")]
    assert name in functions if name else any(one.startswith("test_") for one in functions)


@pytest.mark.parametrize("text", [one for one in TEXTS if re.match(r"closecast (?!airflow|\.\.\.)", one)])
def test_the_words_of_each_command_are_accepted(text):
    """Names of commands and options, and how many arguments: all that can be wrong without a run."""
    words = shlex.split(text.partition(" > ")[0])[1:]
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    if words:  # without any, the text names the command only
        assert command.make_context("closecast", words) is not None


@pytest.mark.parametrize("text", [one for one in TEXTS if one.startswith("make ") and "<" not in one])
def test_make_has_each_target(text):
    """`make --dry-run` prints its commands."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    command = ["make", "--dry-run", "-o", ".venv/ready", *shlex.split(text)[1:]]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_each_variable_of_the_documents_is_a_setting():
    """Also in tables and in the text."""
    names = {name for page in PAGES for name in re.findall(r"\bCLOSECAST_[A-Z_]+[A-Z]\b", page.read_text())}
    check_variables(dict.fromkeys(names, "1"), Settings.model_fields)
    assert len(names) > 30


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `.venv` and `var`, in which NFLX has two nights: a registered version each."""
    from pipeline import runs
    from tests.support.nights import night  # imports MLflow, which takes 5 s

    home = tmp_path_factory.mktemp("checkout")
    for name in (".venv", "Makefile", "pipeline"):
        (home / name).symlink_to(CHECKOUT / name)
    with pytest.MonkeyPatch.context() as patch:
        settings = tiny_settings(patch, home)
        for name, as_of in (("1", "2025-11-20"), ("2", "2025-11-21")):
            night(name, as_of, tickers=("NFLX",))
            runs.report(f"manual__{name}", settings=settings)
    return home


def in_checkout(home: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a line as a user of the checkout, with the settings of the nights."""
    dropped = {*OF_MAKE, *foreign_variables(os.environ)}
    inherited = {name: value for name, value in os.environ.items() if name not in dropped}
    environment = inherited | network_variables() | {
        "CLOSECAST_VAR": str(home / "var"),
        "CLOSECAST_TICKERS": "NFLX",
        "PATH": f"{home / '.venv' / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    command = ["/bin/bash", "-c", text]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize(("text", "code"), TABLES["run"].items())
def test_a_command_does_as_it_says(checkout, text, code):
    """With its exit code, an output, and no traceback."""
    done = in_checkout(checkout, text.replace("make ", "make -o .venv/ready ", 1))
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    silent = text.startswith(("export", "eval")) or ">" in text
    assert bool(done.stdout + done.stderr) != silent, done.stdout + done.stderr


@pytest.mark.parametrize("code", code_blocks("python"), ids=lambda block: block.place)
def test_a_block_of_python_runs(checkout, code):
    """On the newest snapshot and on the champion of the nights."""
    (record,) = (checkout / "var" / "store" / "NFLX" / "2025-11-21").glob("*/snapshot.json")
    (snapshot,) = re.findall(r"snapshot-(\w+)", record.read_text())
    plain = code.text.replace("AAPL", "NFLX").replace("<hash>", snapshot)
    before = (
        "import mlflow, pandas as pd\n"
        "from pipeline.prices.sources import sample\n"
        "import datetime as dt\n"
        "rows = sample.fetch('NFLX', dt.date(2024, 1, 2), dt.date(2025, 11, 21), calendar='XNYS')\n"
        "dates, opens, highs, lows, closes = rows.index, *(rows[name] for name in ('open', 'high', 'low', 'close'))\n"
    )
    (checkout / "block.py").write_text(before + plain)
    done = in_checkout(checkout, "MLFLOW_TRACKING_URI=sqlite:///var/mlflow/mlflow.db python block.py")
    assert done.returncode == 0, done.stderr
