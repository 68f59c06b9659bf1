"""The record of run parameters against the settings, the plan, the trigger form, the command line and make."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from pipeline.cli import app
from pipeline.plan import Plan
from pipeline.settings import Settings, load_settings
from pipeline.settings.parameters import BY_NAME, PARAMETERS, trigger_form

ROOT = Path(__file__).resolve().parents[2]


def test_each_parameter_is_a_setting_and_a_field_of_the_plan():
    """`overrides` are in the plan as the changed preset."""
    names = {one.name for one in PARAMETERS} - {"overrides"}
    assert names <= set(Plan.model_fields) | {"preset_name"}
    assert {name: Settings.model_fields[name].description for name in names} == {
        name: BY_NAME[name].description for name in names
    }


def test_the_trigger_form_offers_the_values_of_the_settings():
    """Each field has title, description and default; choices are those that the plan accepts."""
    form = trigger_form(load_settings(as_of="2025-11-21", tickers=("NFLX",)))
    assert list(form) == [one.name for one in PARAMETERS if one.name != "prices"]
    assert (form["tickers"]["default"], form["as_of"]["default"]) == (["NFLX"], "2025-11-21")
    assert form["preset"]["enum"] == ["daily", "gru", "lstm", "point", "tutorial"]
    for source in form["source"]["enum"]:
        assert load_settings(source=source).source == source
    for fault in form["fault"]["enum"]:
        assert load_settings(fault=fault).fault == fault
    for name, field in form.items():
        assert (field["title"], field["description"]) == (BY_NAME[name].title, BY_NAME[name].description)


@pytest.mark.parametrize("command", ["run", "compare"])
def test_the_command_line_has_the_options_of_the_record(command):
    """With the same descriptions; `compare` has those that choose prices."""
    parameters = typer.main.get_command(app).commands[command].params
    options = {name: one for one in parameters for name in one.opts if name not in {"--airflow", "--json"}}
    expected = {one.option: one.description for one in PARAMETERS}
    if command == "compare":
        expected = {
            one.option: one.description
            for one in PARAMETERS
            if one.name in {"tickers", "source", "prices", "currency", "start", "as_of"}
        }
    assert set(options) == set(expected)
    for option, description in expected.items():
        assert options[option].help.startswith(description)


def test_make_help_lists_the_record_without_an_environment():
    """With a bare Python, as before `make setup`."""
    command = ["make", "help", f"PYTHON={sys.executable} -S -I"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for one in PARAMETERS:
        assert (f"{one.variable}=" in done.stdout) == (one.name != "overrides")
        assert (one.description in done.stdout) == (one.name != "overrides")


def words_of_make_run(tmp_path, *variables):
    """Return the words that `make run` passes to `closecast` with these variables."""
    program = tmp_path / "closecast"
    program.write_text('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\n')
    program.chmod(0o755)
    environment = os.environ | {"PRESET": "gru"}
    for name in ("SOURCE", "START", "TICKERS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # the last three: of `make test`
        environment.pop(name, None)
    command = ["make", "-o", ".venv/ready", "run", f"BIN={tmp_path}", *variables]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("value", "end"),
    [("1", ["<--accept-restated>"]), ("true", ["<--accept-restated>"]), ("0", []), ("no", []), ("", [])],
)
def test_a_switch_of_make_is_on_only_for_a_word_that_says_so(tmp_path, value, end):
    """ACCEPT_RESTATED=0 accepts nothing."""
    words = words_of_make_run(tmp_path, f"ACCEPT_RESTATED={value}")
    assert words[words.index("<--walk-forward>") + 2 :] == end


def test_a_switch_of_make_with_another_word_is_refused_by_its_name(tmp_path):
    """The command takes no such argument."""
    assert words_of_make_run(tmp_path, "ACCEPT_RESTATED=maybe")[-1] == "<ACCEPT_RESTATED=maybe>"


def test_make_run_passes_each_variable_as_one_option(tmp_path):
    """Given to make or in the environment, with signs that a shell would read."""
    words = words_of_make_run(tmp_path, "PRICES=/a b/$$x'y", "TICKERS=*", "ACCEPT_RESTATED=1")
    given = {"--prices": "/a b/$x'y", "--tickers": "*", "--preset": "gru"}
    expected = ["<run>", "<--airflow>"]
    for one in PARAMETERS:
        if one.name == "accept_restated":
            expected.append("<--accept-restated>")
        elif one.name != "overrides":
            expected += [f"<{one.option}>", f"<{given.get(one.option, '')}>"]
    assert words == expected
