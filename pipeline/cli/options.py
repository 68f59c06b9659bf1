"""The options that `closecast run` and `closecast compare` share, and the settings that they result in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.settings.parameters import BY_NAME
from pipeline.settings.variables import parsed_list

if TYPE_CHECKING:
    from pipeline.settings import Settings


def option(name: str, more: str = "") -> Any:  # noqa: ANN401 - Typer's type
    """Return the option of a run parameter; `more` follows its description."""
    parameter = BY_NAME[name]
    return typer.Option(parameter.option, help=parameter.description + more)


Tickers = Annotated[str | None, option("tickers")]
Source = Annotated[str | None, option("source")]
Prices = Annotated[str | None, option("prices")]
Currency = Annotated[str | None, option("currency")]
Start = Annotated[str | None, option("start")]
AsOf = Annotated[str | None, option("as_of")]


def settings_with(*, tickers: str | None, prices: str | None, **values: str | bool | None) -> Settings:
    """Return the settings with the options of a command. `make run` passes an empty option for a missing one.

    Args:
        tickers: separated by commas, or in JSON.
        prices: goes into the environment, where Airflow's tasks read it too.
        values: other parameters by name.

    Raises:
        UsageError: an option breaks its rule.
    """
    from pipeline.settings import load_settings

    if prices:
        os.environ["CLOSECAST_PRICES"] = str(Path(prices).expanduser().absolute())
    given = {name: value or None for name, value in values.items()}
    return load_settings(tickers=parsed_list(tickers) if tickers else None, **given)
