"""Which place a setting comes from."""

import datetime as dt

import pytest

from pipeline.errors import UsageError
from pipeline.settings import CHECKOUT, Settings, load_settings


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give a checkout of its own."""
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path))
    return tmp_path


def test_arguments_beat_the_environment_which_beats_the_file(home, monkeypatch):
    """Each layer covers the one below."""
    (home / "closecast.toml").write_text('experiment = "file"')
    assert load_settings().experiment == "file"
    monkeypatch.setenv("CLOSECAST_EXPERIMENT", "environment")
    assert load_settings().experiment == "environment"
    assert load_settings(experiment="argument").experiment == "argument"


def test_one_field_of_a_preset_can_come_from_the_environment(monkeypatch):
    """The rest of the preset stays closecast.toml's."""
    monkeypatch.setenv("CLOSECAST_PRESETS__DAILY__EPOCHS", "3")
    daily = load_settings().presets["daily"]
    assert (daily.epochs, daily.lookback) == (3, 100)


def test_everything_lives_below_var(home):
    """Store and MLflow's database are in the checkout's var/, whatever the current folder is."""
    settings = load_settings()
    assert settings.store_url == str(home / "var" / "store")
    assert settings.mlflow_uri == f"sqlite:///{home}/var/mlflow/mlflow.db"


def test_a_store_can_be_a_url(home):
    """A URL is taken as it is."""
    del home
    assert load_settings(store="s3://bucket/prices/").store_url == "s3://bucket/prices"


@pytest.mark.parametrize(
    ("text", "word"),
    [("tickerz = 1", "tickerz"), ("tickers = [", "closecast.toml"), ("airflow_port = 99999", "airflow_port")],
)
def test_an_error_names_the_wrong_setting_or_file(home, text, word):
    """The setting or the file is named; no traceback."""
    (home / "closecast.toml").write_text(text)
    with pytest.raises(UsageError, match=word):
        load_settings()


def test_patience_needs_validation_rows(monkeypatch):
    """Test data never decides when training stops."""
    monkeypatch.setenv("CLOSECAST_PRESETS__TUTORIAL__PATIENCE", "3")
    with pytest.raises(UsageError, match="test data never decides"):
        load_settings()


@pytest.mark.parametrize(
    "line", ['alert_urls = ["mailto://me:s3cret@x.org"]', 'alert_url = "mailto://me:s3cret@x.org"']
)
def test_a_wrong_setting_that_may_hold_a_password_is_not_shown(tmp_path, monkeypatch, line):
    """A list where a text should be, and a misspelt name."""
    (tmp_path / "closecast.toml").write_text(line)
    monkeypatch.setenv("CLOSECAST_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="alert_url") as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)


def test_links_hold_no_password(monkeypatch):
    """The page of a server that needs a login."""
    monkeypatch.setenv("CLOSECAST_TRACKING_URI", "https://me:s3cret@mlflow.example.org/")
    assert load_settings().mlflow_page == "https://mlflow.example.org"


def test_every_complaint_is_named(home):
    """The first with its rule, the others by name."""
    (home / "closecast.toml").write_text("airflow_port = 0\nmlflow_port = 0")
    with pytest.raises(UsageError, match="Also wrong: mlflow_port"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "tickers"),
    [
        ("NFLX,AAPL", ("NFLX", "AAPL")),
        (" NFLX , AAPL, ", ("NFLX", "AAPL")),
        ("NFLX", ("NFLX",)),
        ("*", ("*",)),
        ('"NFLX","AAPL"', ("NFLX", "AAPL")),
        ('["NFLX", "AAPL"]', ("NFLX", "AAPL")),
    ],
)
def test_a_list_is_separated_by_commas_or_in_json(monkeypatch, text, tickers):
    """Also a list inside a preset."""
    monkeypatch.setenv("CLOSECAST_TICKERS", text)
    monkeypatch.setenv("CLOSECAST_PRESETS__DAILY__UNITS", "20,10")
    settings = load_settings()
    assert settings.tickers == tickers
    assert settings.presets["daily"].units == (20, 10)


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_not_set(home, monkeypatch, empty):
    """`docker compose` and scripts set variables to nothing. closecast.toml or the default applies."""
    (home / "closecast.toml").write_text('tickers = ["FILE"]\nexperiment = "file"')
    expected = load_settings()
    for name in Settings.model_fields:
        if name != "home":
            monkeypatch.setenv(f"CLOSECAST_{name.upper()}", empty)
    monkeypatch.setenv("CLOSECAST_GATE__TOLERANCE", empty)
    assert load_settings() == expected
    assert expected.tickers == ("FILE",)
    monkeypatch.setenv("CLOSECAST_HOME", empty)
    assert load_settings().home == CHECKOUT


@pytest.mark.parametrize("text", ["2018-12-05,2025-01-09", '["2018-12-05", "2025-01-09"]'])
def test_closed_sessions_are_dates(monkeypatch, text):
    """A comma list or JSON; another word is refused by the name of the variable."""
    monkeypatch.setenv("CLOSECAST_CLOSED_SESSIONS", text)
    assert load_settings().closed_sessions == (dt.date(2018, 12, 5), dt.date(2025, 1, 9))
    monkeypatch.setenv("CLOSECAST_CLOSED_SESSIONS", "2018-12-05,Wednesday")
    with pytest.raises(UsageError, match="CLOSECAST_CLOSED_SESSIONS") as error:
        load_settings()
    assert "Wednesday" in error.value.received
