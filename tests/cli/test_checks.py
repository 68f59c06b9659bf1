"""Each check of `closecast doctor`, on real files, ports and servers."""

import datetime as dt
import socket
import sqlite3
from types import SimpleNamespace

import pytest

from pipeline import calendar
from pipeline.cli import checks
from pipeline.cli.checks import checked
from pipeline.settings import load_settings
from tests.support.alert_channels import webhook


@pytest.fixture(autouse=True)
def _free_ports(monkeypatch):
    """Let no stack of this machine hold the ports."""
    for variable in ("CLOSECAST_AIRFLOW_PORT", "CLOSECAST_MLFLOW_PORT"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            monkeypatch.setenv(variable, str(probe.getsockname()[1]))


def look(**given):
    """Return the checks by name."""
    send_test = given.pop("send_test", False)
    return {one.name: one for one in checked(load_settings(**given), send_test=send_test)}


@pytest.mark.usefixtures("tiny")
def test_a_new_deployment_can_run_a_night():
    """Nothing fails; what has not been made yet is skipped."""
    found = look()
    states = {name: one.state for name, one in found.items()}
    assert "failed" not in states.values()
    assert (states["databases"], states["alerts"], states["store"]) == ("skipped", "warning", "ok")
    assert "as of 2025-11-21" in found["settings"].observed
    assert "SYNTHETIC" in found["source"].observed
    assert all(one.todo for one in found.values() if one.state == "warning")


def test_a_probe_of_the_store_leaves_nothing(tiny):
    """Doctor runs beside a night."""
    look()
    assert [path for path in (tiny.var_dir / "store").rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("tiny")
def test_a_port_that_another_program_holds_is_named_with_its_setting(monkeypatch):
    """The stack is down."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("CLOSECAST_MLFLOW_PORT", str(other.getsockname()[1]))
        stack = look()["stack"]
    assert stack.state == "failed"
    assert "CLOSECAST_MLFLOW_PORT" in stack.todo


@pytest.mark.usefixtures("tiny")
def test_settings_that_no_run_could_use_are_one_failed_check():
    """The checks after it go on."""
    found = look(preset="unknown")
    assert (found["settings"].state, found["calendar"].state) == ("failed", "ok")
    assert "PRESET must be a preset" in found["settings"].observed


def test_a_store_that_cannot_be_written_fails(tiny, tmp_path, monkeypatch):
    """And so does a ledger of its own."""
    del tiny
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLOSECAST_STORE", str(tmp_path / "file"))
    monkeypatch.setenv("CLOSECAST_LEDGER", str(tmp_path / "file"))
    found = look()
    assert (found["store"].state, found["ledger"].state) == ("failed", "failed")
    assert "CLOSECAST_LEDGER" in found["ledger"].todo


@pytest.mark.parametrize(("free", "state"), [(8e6 * 30, "ok"), (8e6 * 29, "warning"), (7e6, "failed")])
@pytest.mark.usefixtures("tiny")
def test_room_on_the_disk_is_counted_in_nights(monkeypatch, free, state):
    """Two tickers need 8 MB a night."""
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert look()["store"].state == state


@pytest.mark.usefixtures("tiny")
def test_an_mlflow_server_that_is_away_fails(monkeypatch):
    """Without the password of its address."""
    monkeypatch.setenv("CLOSECAST_TRACKING_URI", "http://ann:s3cret@127.0.0.1:9")
    found = look()["mlflow"]
    assert (found.state, "127.0.0.1:9" in found.observed) == ("failed", True)
    assert "s3cret" not in found.model_dump_json()


def test_a_database_of_an_earlier_version_names_the_command_that_migrates_it(one_night):
    """The database of a real night, before and after its revision is changed."""
    assert look()["databases"].state == "ok"
    with sqlite3.connect(one_night.mlflow_database) as connection:
        connection.execute("update alembic_version set version_num = '0584bdc529eb'")
    older = look()["databases"]
    assert (older.state, "make up" in older.todo) == ("failed", True)
    with sqlite3.connect(one_night.mlflow_database) as connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    assert "A newer version made it" in look()["databases"].todo


@pytest.mark.parametrize(("days", "state"), [(60, "ok"), (30, "warning"), (-1, "failed")])
@pytest.mark.usefixtures("tiny")
def test_a_calendar_that_ends_soon_is_a_warning(monkeypatch, days, state):
    """XSHG of the installed exchange_calendars ends with a year."""
    then = dt.datetime.combine(calendar.last_known_day("XSHG") - dt.timedelta(days=days), dt.time(12), dt.UTC)

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return then.astimezone(tz)

    monkeypatch.setattr(checks.dt, "datetime", Clock)
    assert checks._guarded(checks._calendar, load_settings(calendar="XSHG")).state == state


@pytest.mark.usefixtures("tiny")
def test_price_files_that_are_missing_fail(tmp_path):
    """By the variable that names them."""
    assert look(source="files", prices=tmp_path / "missing")["source"].state == "failed"
    assert look(source="files", prices=tmp_path, tickers=("AAA",))["source"].state == "ok"


@pytest.mark.usefixtures("tiny")
def test_a_required_card_that_is_missing_fails(monkeypatch):
    """With `auto` the processor trains."""
    monkeypatch.setattr("pipeline.forecasting.device._CARDS", ("no-such-card*",))
    assert look(gpu="require")["gpu"].state == "failed"
    assert look(gpu="auto")["gpu"].state == "ok"


@pytest.mark.usefixtures("tiny")
def test_a_test_message_reaches_each_channel(monkeypatch):
    """Without the option none is sent; a channel that refuses, or an address that is none, fails."""
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        assert (look()["alerts"].state, hook.told) == ("ok", [])
        assert look(send_test=True)["alerts"].state == "ok"
        assert hook.titles == ["Test of Closecast's alerts"]
        hook.answer = "error"
        refused = look(send_test=True)["alerts"]
        assert (refused.state, "channel 1 (json)" in refused.observed) == ("failed", True)
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", f"{hook.url} s3cret-and-no-url")
        invalid = look()["alerts"]
        assert (invalid.state, "channel 2" in invalid.observed) == ("failed", True)
        assert "s3cret" not in invalid.model_dump_json()


@pytest.mark.parametrize(
    ("lock", "state"), [(None, "skipped"), ("pytest==0.1 \\\n", "warning"), ("no-such-library==0.1 \\\n", "failed")]
)
def test_libraries_are_compared_with_the_lock_of_the_checkout(tiny, tmp_path, lock, state):
    """An image has no lock, another version may be meant, a missing library fails."""
    if lock:
        (tmp_path / "requirements.lock").write_text(lock)
    assert checks._libraries(tiny.model_copy(update={"home": tmp_path})).state == state
