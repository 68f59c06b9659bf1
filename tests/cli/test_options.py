"""Options of a command become settings."""

import datetime as dt
import os
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.options import option, settings_with
from pipeline.errors import UsageError
from pipeline.settings.parameters import BY_NAME


@pytest.mark.usefixtures("tiny")
def test_given_options_replace_settings():
    """Tickers are separated by commas."""
    settings = settings_with(tickers="NFLX,AAPL", prices=None, preset="gru", as_of="2025-11-20", accept_restated=True)
    assert settings.tickers == ("NFLX", "AAPL")
    assert settings.preset == "gru"
    assert settings.as_of == dt.date(2025, 11, 20)
    assert settings.accept_restated


@pytest.mark.usefixtures("tiny")
def test_tickers_may_be_in_json_and_end_with_a_comma():
    """As in the variable."""
    assert settings_with(tickers='["NFLX","AAPL"]', prices=None).tickers == ("NFLX", "AAPL")
    assert settings_with(tickers="NFLX, AAPL,", prices=None).tickers == ("NFLX", "AAPL")


def test_empty_and_missing_options_change_nothing(tiny):
    """`make run` passes an empty option for each variable that is not set."""
    settings = settings_with(tickers="", prices="", source="", start=None, fault="", accept_restated=False)
    assert settings == tiny


def test_prices_reach_the_environment_as_an_absolute_path(tiny, tmp_path, monkeypatch):
    """Airflow's tasks run in other folders and read the variable there."""
    del tiny
    monkeypatch.setenv("CLOSECAST_PRICES", "before")
    monkeypatch.chdir(tmp_path)
    settings = settings_with(tickers=None, prices="prices/AAA.csv")
    assert os.environ["CLOSECAST_PRICES"] == str(tmp_path / "prices" / "AAA.csv")
    assert settings.prices == Path(os.environ["CLOSECAST_PRICES"])


@pytest.mark.usefixtures("tiny")
def test_a_wrong_option_is_a_usage_error():
    """It names the received value."""
    with pytest.raises(UsageError, match="bloomberg"):
        settings_with(tickers=None, prices=None, source="bloomberg")


def test_an_option_has_flag_and_description_of_its_parameter():
    """The text for one command follows the description."""
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def echo(changes: Annotated[str | None, option("overrides", " MORE")] = None):
        typer.echo(changes)

    assert CliRunner().invoke(app, ["--set", "epochs=5"]).output == "epochs=5\n"
    text = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert f"{BY_NAME['overrides'].description} MORE" in text
