"""The parameters of a run: one record for the trigger form, the command line, `make run`, the settings and the plan.

The file imports the standard library only, because `make help` runs it as a script before .venv exists.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pipeline.settings.settings import Settings


class Parameter(NamedTuple):
    """One parameter of a run.

    `name` is the field of Settings, of Plan (except `overrides`) and of the trigger form.
    """

    name: str
    title: str
    description: str
    values: str  # what `make help` shows behind the variable
    schema: Mapping[str, Any] = MappingProxyType({})  # JSON schema of the form's field
    flag: str = ""  # the option of `closecast run`, if it is not --name
    expert: bool = False  # shown in a section of its own
    in_form: bool = True
    in_make: bool = True
    is_switch: bool = False  # the option takes no value

    @property
    def option(self) -> str:
        """Return the option of `closecast run`."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """Return the variable of `make run`."""
        return self.name.upper()


# Each is a module of pipeline/prices/sources with a function `fetch_planned(ticker, plan, settings)`.
SOURCES = ("sample", "files", "yahoo")
_DATE = MappingProxyType({"type": ["null", "string"], "format": "date"})

PARAMETERS = (
    Parameter(
        "tickers",
        "Tickers",
        "Tickers to train, such as NFLX and AAPL. * means every price file in the folder of source files. "
        "Source sample makes prices up for any name.",
        "A,B",
        {"type": "array", "items": {"type": "string"}},
    ),
    Parameter(
        "source",
        "Source",
        "Where prices come from: sample (a synthetic market), files (your own price files) or yahoo.",
        "|".join(SOURCES),
        {"type": "string", "enum": list(SOURCES)},
    ),
    Parameter(
        "prices",
        "Prices",
        "Source files: a price file of one ticker, or a folder with TICKER.csv or TICKER.parquet.",
        "path",
        in_form=False,  # the path must exist on the workers: CLOSECAST_PRICES sets it there
    ),
    Parameter(
        "currency",
        "Currency",
        "Source files: the currency of the prices, such as USD, or GBp for pence. Empty: unknown, and amounts are "
        "shown without one. Yahoo names it by itself.",
        "USD",
        {"type": ["null", "string"]},
    ),
    Parameter(
        "start",
        "Start",
        "First session of the history, YYYY-MM-DD. Empty: all that the source has.",
        "date",
        _DATE,
    ),
    Parameter(
        "as_of",
        "As of",
        "Last session that the run may use, YYYY-MM-DD. Empty: the last closed session.",
        "date",
        _DATE,
    ),
    Parameter(
        "preset",
        "Preset",
        "Recipe of the network, a name in closecast.toml. The preset tutorial is the published recipe.",
        "daily|tutorial|gru|lstm",
        {"type": "string"},
    ),
    Parameter(
        "fault",
        "Fault",
        "Damage to the synthetic market, to see a check and its alert at work. Only with source sample.",
        "bad_bar|...",
        {"type": ["null", "string"]},
        expert=True,
    ),
    Parameter(
        "walk_forward",
        "Walk-forward",
        "Number of trainings over the test rows, each on the sessions known at that time. 0: no walk-forward.",
        "folds",
        {"type": "integer", "minimum": 0, "maximum": 250},
        expert=True,
    ),
    Parameter(
        "accept_restated",
        "Accept a restated history",
        "Accept prices that differ from the last snapshot without a known reason as the new history. "
        "Read the report of the failed run first.",
        "1",
        {"type": "boolean"},
        expert=True,
        is_switch=True,
    ),
    Parameter(
        "overrides",
        "Overrides",
        'Fields of the preset to change for this run only. In the form: {"epochs": 5, "seed": 1}. '
        "In a command: --set epochs=5, repeatable.",
        "",
        {"type": "object"},
        flag="--set",
        expert=True,
        in_make=False,
    ),
)
BY_NAME = MappingProxyType({parameter.name: parameter for parameter in PARAMETERS})
# The shell's word for a switch: SWITCH=0 must not switch it on, and the command refuses another word with its name.
_SWITCH = (
    '$(case "${variable}" in ""|0|no|off|false) ;; 1|yes|on|true) echo {option};; '
    '*) echo "{variable}=${variable}";; esac)'
)


def trigger_form(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the arguments of Airflow's `Param` for each field of the trigger form, with defaults from the settings."""
    from pipeline.settings.fault import FAULTS

    choices = {"preset": sorted(settings.presets), "fault": [None, *FAULTS]}
    defaults = settings.model_dump(mode="json", include=set(BY_NAME)) | {"overrides": {}}
    form = {}
    for parameter in PARAMETERS:
        if not parameter.in_form:
            continue
        field = {
            "default": defaults[parameter.name],
            "title": parameter.title,
            "description": parameter.description,
            **parameter.schema,
        }
        if parameter.name in choices:
            field["enum"] = choices[parameter.name]
        if parameter.expert:
            field["section"] = "Expert"
        form[parameter.name] = field
    return form


def make_help() -> str:
    """Return the variables of `make run`, one per line, for `make help`."""
    shown = [parameter for parameter in PARAMETERS if parameter.in_make]
    lines = [f"  {f'{one.variable}={one.values}':<32} {one.description}" for one in shown]
    return "\n".join(["Variables of make run, such as make run SOURCE=yahoo TICKERS=NFLX,AAPL:", *lines])


def make_options() -> str:
    """Return the options that `make run` passes to `closecast run`, as shell words that read the variables."""
    words = []
    for parameter in PARAMETERS:
        if not parameter.in_make:
            continue
        if parameter.is_switch:
            words.append(_SWITCH.format(variable=parameter.variable, option=parameter.option))
        else:
            words.append(f'{parameter.option} "${parameter.variable}"')
    return " ".join(words)


if __name__ == "__main__":
    sys.stdout.write(make_options() if "options" in sys.argv[1:] else make_help())
    sys.stdout.write("\n")
