"""Assets outside Airflow. tests/programs/test_assets.py starts a DAG by them."""

from types import SimpleNamespace

from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from pipeline.operations import assets
from pipeline.outcome import Results
from pipeline.store.runs import unit_folder
from tests.support.ledger_rows import ROW
from tests.support.past_runs import leave_failure, leave_plan
from tests.support.report_units import write


def test_each_ticker_of_the_settings_is_an_asset(tiny):
    """Under its name; a folder of price files is read; wrong settings leave the DAG file readable."""
    settings = tiny.model_copy(update={"tickers": ("nflx", "^GSPC")})
    assert [one.name for one in assets.assets_of_universe(settings)] == ["closecast-NFLX", "closecast-^GSPC"]
    assert assets.assets_of_universe(tiny.model_copy(update={"tickers": ("../x",)})) == []
    assert assets.assets_of_universe(tiny.model_copy(update={"tickers": ("*",)})) == []


def test_a_session_has_the_tickers_whose_forecast_is_in_the_ledger(tiny):
    """A ticker that failed, one without a version to serve, and one that did not get that far are left out."""
    plan = leave_plan(tiny, "manual__1", "2025-11-21", tickers=("DONE", "BAD", "NONE", "LATE"))
    leave_failure(tiny, plan, "BAD")
    done, none = (unit_folder(tiny.store_url, ticker, plan) for ticker in ("DONE", "NONE"))
    write(done, "forecast", results=Results(recorded=ROW))
    write(none, "forecast", results=Results(no_forecast="no champion yet"))
    session = assets.forecast_session(tiny, plan)
    assert session.tickers == ("DONE",)
    assert session.partition == "2025-11-21"


def test_a_task_emits_events_of_the_given_tickers_alone():
    """Its declared outlets are replaced: Airflow would emit an event without a partition for each of them."""
    task = SimpleNamespace(outlets=[Asset("closecast-AAA"), Asset("closecast-BBB")])
    events = OutletEventAccessors()
    assets.emit({"ti": SimpleNamespace(task=task), "outlet_events": events}, ["AAA"], "2025-11-21")
    assert task.outlets == [Asset("closecast-AAA")]
    assert {key.name: events[key].partition_keys for key in events} == {"closecast-AAA": {"2025-11-21"}}
