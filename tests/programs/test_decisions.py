"""A restated history waits for a person: the stack, its scheduled night, and answers by Airflow's API."""

import datetime as dt
import json
import sqlite3
import time
from pathlib import Path

import pytest

from pipeline.operations import stack
from pipeline.plan import folder_name
from pipeline.settings import load_settings
from pipeline.store.folder import Folder
from tests.support.alert_channels import webhook
from tests.support.restated import take_snapshots_of_the_night_before, write_prices
from tests.support.running import Running, set_tiny
from tests.support.stacks import eventually, free_port

pytestmark = pytest.mark.timeout(1800)
TICKERS = ("GOOD", "RIGHT", "WRONG", "SILENT")
RESTATED = TICKERS[1:]
PATIENCE = 600  # seconds


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Run a scheduled night in which the past of three tickers was restated; all tickers share a network."""
    home = tmp_path_factory.mktemp("decisions")
    prices = home / "prices"
    prices.mkdir()
    ports = {f"{name}_PORT": str(free_port()) for name in ("AIRFLOW", "MLFLOW")}
    more = {"SOURCE": "files", "PRICES": str(prices), "CURRENCY": "USD", "TICKERS": json.dumps(TICKERS)}
    more |= {"ASK_HOURS": "2", "PRESETS__DAILY__SCOPE": "universe"}
    with webhook() as hook, pytest.MonkeyPatch.context() as patch:
        settings = set_tiny(patch, home / "var", ALERT_URLS=hook.url, **more, **ports)
        write_prices(prices, TICKERS)
        take_snapshots_of_the_night_before()
        write_prices(prices, RESTATED, restated=True)
        try:
            stack.up(settings, print)
            patch.setenv("CLOSECAST_TRACKING_URI", f"http://127.0.0.1:{settings.mlflow_port}")
            running = Running(load_settings())
            run = running.scheduled_run()
            state = running.end_of(run, PATIENCE)
            yield Night(running, run, state, hook)
        finally:
            stack.down(settings, print)


class Night:
    """The night, as the tests look at it."""

    def __init__(self, running, run, state, hook):
        self.running = running
        self.run = run
        self.state = state
        self.hook = hook

    def row(self, ticker):
        """Return a ticker's row of results.json."""
        return next(one for one in self.results()["tickers"] if one["ticker"] == ticker)

    def results(self):
        """Return results.json of the run."""
        place = Path(self.running.settings.store_url) / "_runs" / folder_name(self.run) / "results.json"
        return json.loads(place.read_text())

    def folder(self, ticker):
        """Return the folder of a unit."""
        return Folder(f"{self.running.settings.store_url}/{ticker}/2025-11-21/{folder_name(self.run)}")

    def open_questions(self):
        """Return the questions on the page of required actions, by ticker."""
        found = self.running.ask("dags/~/dagRuns/~/hitlDetails?response_received=false&state=awaiting_input")
        return {one["subject"].partition(":")[0]: one for one in found["hitl_details"]}

    def answer(self, ticker, option, reason):
        """Answer as the user `admin`, and wait until the answer is carried out."""
        asked = self.open_questions()[ticker]["task_instance"]["dag_run_id"]
        time.sleep(10)  # Airflow 3.3 fails a task that is answered before the scheduler has seen it wait
        place = f"dags/decide/dagRuns/{asked}/taskInstances/ask/-1/hitlDetails"
        self.running.ask(place, {"chosen_options": [option], "params_input": {"reason": reason}}, "PATCH")
        return self.end_of(asked)

    def end_of(self, asked):
        """Wait until a run of `decide` ends, and return its state."""

        def state():
            return self.running.ask(f"dags/decide/dagRuns/{asked}")["state"]

        eventually(lambda: state() in {"success", "failed"}, PATIENCE)
        return state()

    def tags(self, ticker):
        """Return status and tags of a ticker's run in MLflow."""
        from pipeline.tracking.client import connect

        client = connect(self.running.settings)
        experiment = client.get_experiment_by_name("closecast").experiment_id
        (run,) = client.search_runs([experiment], f"tags.dag_run_id = '{self.run}' and tags.ticker = '{ticker}'")
        return run.info.status, run.data.tags


def test_the_run_ends_green_without_the_tickers_that_wait(night):
    """The other ticker is served; a ticker that waits has a word of its own everywhere, and holds no slot."""
    assert night.state == "success"
    assert night.row("GOOD")["forecast_session"] == "2025-11-24"
    counts = night.results()["counts"]
    assert (counts["done"], counts["failed"], counts["waiting"]) == (1, 0, 3)
    assert "within 2 hours" in night.row("RIGHT")["waiting"]
    status, tags = night.tags("RIGHT")
    assert (status, tags["verdict"]) == ("SCHEDULED", "waiting")
    assert eventually(lambda: set(night.open_questions()) == set(RESTATED), PATIENCE)
    pool = night.running.ask("pools/default_pool")
    assert (pool["occupied_slots"], pool["running_slots"]) == (0, 0)
    waiting = [one for one in night.hook.told if one.title.endswith("waits for a decision")]
    assert sorted(one.title.split()[0] for one in waiting) == sorted(RESTATED)
    assert "/required_actions?response_received=false" in waiting[0].body


def test_the_question_shows_the_changed_closes(night):
    """Old and new closes, the largest change, and the report."""
    assert eventually(lambda: "RIGHT" in night.open_questions(), PATIENCE)
    asked = night.open_questions()["RIGHT"]
    assert asked["options"] == ["Accept", "Reject"]
    for words in ("2 of 976 closes differ", "Largest change of a close: -5.00%", "- 2025-07-03: ", "report.html"):
        assert words in asked["body"], asked["body"]


def test_an_accepted_ticker_is_served_with_tonights_network(night):
    """Who, when and why are in decision.json and MLflow; the report runs again, and nothing is asked twice."""
    assert night.answer("RIGHT", "Accept", "The source corrected a typing error.") == "success"
    row = night.row("RIGHT")
    assert (row["waiting"], row["reason"], row["forecast_session"]) == ("", "", "2025-11-24")
    folder = night.folder("RIGHT")
    decided = json.loads(folder.read("decision.json"))["answer"]
    assert (decided["accepted"], decided["by"]) == (True, "admin")
    assert decided["reason"] == "The source corrected a typing error."
    assert dt.datetime.fromisoformat(decided["when"]) <= dt.datetime.now(dt.UTC)
    status, tags = night.tags("RIGHT")
    assert (status, tags["restatement.answer"], tags["restatement.answered_by"]) == ("FINISHED", "accepted", "admin")
    assert tags["restatement.answer_reason"] == decided["reason"]
    assert folder.read("model.keras") == night.folder("GOOD").read("model.keras")
    assert "RIGHT" not in night.open_questions()


def test_a_rejected_ticker_fails_as_before(night):
    """Its finding is critical, an alert is sent, and nothing is served."""
    assert night.answer("WRONG", "Reject", "A split that the source does not name.") == "success"
    row = night.row("WRONG")
    assert (row["waiting"], row["step"], row["forecast_session"]) == ("", "validate", "")
    assert "rejected by admin on " in row["reason"]
    status, tags = night.tags("WRONG")
    assert (status, tags["verdict"], tags["restatement.answer"]) == ("FAILED", "failed in validate", "rejected")
    assert [one.look for one in night.hook.told if one.title.startswith("WRONG validate")] == ["failure"]


def test_a_question_without_an_answer_ends_as_a_rejected_one(night):
    """Airflow's deadline of the task is moved to now; the scheduler takes the default answer."""
    asked = night.open_questions()["SILENT"]["task_instance"]
    with sqlite3.connect(night.running.settings.var_dir / "airflow" / "airflow.db", timeout=60) as database:
        moved = database.execute(
            "update task_instance set trigger_timeout = ? where task_id = 'ask' and run_id = ?",
            (dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f"), asked["dag_run_id"]),
        )
        assert moved.rowcount == 1
    assert night.end_of(asked["dag_run_id"]) == "success"
    assert "not answered by " in night.row("SILENT")["reason"]
    assert night.tags("SILENT")[1]["restatement.answer"] == "not answered"
    assert night.open_questions() == {}
