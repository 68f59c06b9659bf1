"""Questions about restated histories and their answers, through the real steps, store and MLflow."""

import datetime as dt
import json
import os

import pytest

from pipeline import runner, runs
from pipeline.errors import UsageError
from pipeline.operations import decisions
from pipeline.outcome import ANSWER, Answer
from pipeline.reporting.closing import closing_of, read_results
from pipeline.reporting.fleet import fleet
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store.runs import read_plan, run_folder, unit_folder
from tests.support.alert_channels import webhook
from tests.support.nights import logged_runs
from tests.support.restated import take_snapshots_of_the_night_before, write_prices
from tests.support.tiny import WIDE_GATE, tiny_settings

RUN = "manual__night"
NOON = dt.datetime(2025, 11, 22, 12, tzinfo=dt.UTC)
TICKERS = ("GOOD", "RIGHT", "WRONG")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Run and report a night in which two of three tickers were restated; they share a network."""
    home = tmp_path_factory.mktemp("decisions")
    with webhook() as hook, pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, home, scope="universe")
        for name, value in {
            "SOURCE": "files", "PRICES": str(home), "CURRENCY": "USD", "TICKERS": ",".join(TICKERS),
            "GATE": WIDE_GATE, "ALERT_URLS": hook.url,
        }.items():  # fmt: skip
            patch.setenv(f"CLOSECAST_{name}", value)
        settings = load_settings()
        write_prices(home, TICKERS)
        take_snapshots_of_the_night_before()
        write_prices(home, TICKERS[1:], restated=True)
        for stage in runs.stages(*planned(settings)):
            runs.run_stage(settings, stage, None)
        runs.report(RUN, settings=settings)
        yield settings, hook


def planned(settings):
    """Return the plan of the night and its batches."""
    batches = runs.plan(settings, RUN, ask_hours=2, slots=1)
    return read_plan(settings.store_url, RUN.replace(".", "-")), batches


def row(settings, ticker):
    """Return a ticker's row of results.json."""
    found = read_results(run_folder(settings.store_url, "manual__night"))
    return next(one for one in found if one.ticker == ticker)


def folder(settings, ticker):
    """Return the folder of a unit."""
    return unit_folder(settings.store_url, ticker, read_plan(settings.store_url, "manual__night"))


def answer(settings, ticker, *, accepted, by="admin", reason="", rows=None):
    """Answer the question about a ticker, and carry it out."""
    asked = {one.ticker: one for one in decisions.questions(settings, RUN)}[ticker]
    given = Answer(accepted=accepted, data_sha256=rows or asked.data_sha256, by=by, when=NOON, reason=reason)
    decisions.record(settings, RUN, ticker, given)
    decisions.carry_out(settings, RUN, ticker)


def test_a_night_ends_without_the_tickers_that_wait(night):
    """They are neither done nor failed, and the network was trained without them."""
    settings, hook = night
    assert row(settings, "GOOD").decision == "promoted"
    waiting = row(settings, "RIGHT")
    assert (waiting.reason, waiting.step, waiting.state) == ("", "validate", "waiting")
    assert "2 of 976 closes differ" in waiting.waiting
    assert "within 2 hours" in waiting.waiting
    assert folder(settings, "RIGHT").manifest("train") is None
    assert not folder(settings, "RIGHT").exists("validated.parquet")
    end = closing_of(run_folder(settings.store_url, "manual__night").read("results.json"), RUN)
    assert "1 done, 0 failed, 2 waiting;" in end.counts.line
    assert [one.split(".")[0] for one in end.questions] == ["RIGHT waits for a decision", "WRONG waits for a decision"]
    logged = {one.data.tags["ticker"]: one for one in logged_runs(settings).runs if one.data.tags["dag_run_id"] == RUN}
    assert logged["RIGHT"].info.status == "SCHEDULED"
    assert logged["RIGHT"].data.tags["verdict"] == "waiting"
    assert logged[""].info.status == "FINISHED"
    titles = [one.title for one in hook.told]
    assert titles == ["RIGHT waits for a decision", "WRONG waits for a decision"]
    assert hook.told[0].look == "warning"
    seen = {one.ticker: one for one in fleet(settings, NOON).tickers}
    assert (seen["RIGHT"].verdict, seen["RIGHT"].problems) == ("waiting", ("waiting",))


def test_a_question_has_one_name_for_one_snapshot(night):
    """Asked again by a second try of `report`, it is the same run of `decide`; Airflow takes the name."""
    settings, _ = night
    first = decisions.questions(settings, RUN)
    assert first == decisions.questions(settings, RUN)
    assert [one.ticker for one in first] == ["RIGHT", "WRONG"]
    assert len({one.run_id for one in first}) == 2
    assert first[0].run_id.startswith("2025-11-21-RIGHT-")
    assert decisions.questions(settings, "manual__unknown") == []


def test_a_question_shows_what_changed(night):
    """The closes of both snapshots, the largest change, what each option does, and the report."""
    settings, _ = night
    shown = decisions.shown(settings, RUN, "RIGHT")
    assert shown.subject == "RIGHT: accept the restated history of 2025-11-21?"
    for words in (
        "Largest change of a close: -5.00%",
        "- 2025-",
        " -> ",
        "within 2 hours",
        "_runs/manual__night/report.html",
    ):
        assert words in shown.body
    assert decisions.shown(settings, RUN, "GOOD") is None


@pytest.mark.parametrize(("run", "ticker"), [(RUN, "OTHER"), (RUN, "../../GOOD"), ("manual--night", "RIGHT")])
def test_names_of_a_form_that_no_run_has_are_refused(night, run, ticker):
    """A person can start `decide` with any text: it stays inside the folders of that run."""
    settings, _ = night
    with pytest.raises((UsageError, OSError, Exception), match=r"A decision is about a ticker|store"):
        decisions.shown(settings, run, ticker)


def test_an_answer_about_other_rows_leaves_the_ticker_waiting(night):
    """The person has not seen these."""
    settings, _ = night
    answer(settings, "RIGHT", accepted=True, rows="0" * 64)
    assert row(settings, "RIGHT").state == "waiting"
    assert "RIGHT" in [one.ticker for one in decisions.questions(settings, RUN)]


def test_an_accepted_ticker_joins_its_run_with_tonights_network(night):
    """It is decided on and served; its network is that of the others, its recipe its own; the answer is recorded."""
    settings, hook = night
    network = folder(settings, "GOOD").read("model.keras")
    answer(settings, "RIGHT", accepted=True, reason="  The source\ncorrected   it. ")
    done = row(settings, "RIGHT")
    assert (done.state, done.waiting, done.forecast_session) == ("promoted", "", "2025-11-24")
    its = folder(settings, "RIGHT")
    assert its.read("model.keras") == network
    assert its.manifest("train").outcome.tags["joined"] == "GOOD"
    assert json.loads(its.read("recipe.json"))["ticker"] == "RIGHT"
    given = json.loads(its.read("decision.json"))["answer"]
    assert (given["by"], given["reason"], given["accepted"]) == ("admin", "The source corrected it.", True)
    tags = {one.data.tags["ticker"]: one for one in logged_runs(settings).runs if one.data.tags["dag_run_id"] == RUN}
    assert tags["RIGHT"].info.status == "FINISHED"
    assert tags["RIGHT"].data.tags["restatement.answered_by"] == "admin"
    assert tags["RIGHT"].data.tags["restatement.answered_at"] == "2025-11-22T12:00:00+00:00"
    assert "accepted by admin on 2025-11-22 12:00 UTC: The source corrected it." in done.warnings[0]
    assert [one.title for one in hook.told if "RIGHT" in one.title][-1] == "Recovered: RIGHT waits for a decision"
    assert decisions.shown(settings, RUN, "RIGHT") is None
    decisions.carry_out(settings, RUN, "RIGHT")  # a second try finds every step done
    assert row(settings, "RIGHT") == done._replace(tracking_seconds=row(settings, "RIGHT").tracking_seconds)


def test_the_next_night_has_nothing_to_ask(night):
    """The accepted snapshot is the last one that passed."""
    settings, _ = night
    again = settings.model_copy(update={"tickers": ("RIGHT",), "as_of": dt.date(2025, 11, 21)})
    (batch,) = runs.plan(again, "manual__next", ask_hours=2)
    plan = read_plan(settings.store_url, batch["run"]).model_copy(update={"as_of": dt.date(2025, 11, 22)})
    from pipeline.prices.comparison import compared_with
    from pipeline.prices.snapshot import fetch, last_snapshot

    quoted = fetch("RIGHT", plan, again)
    assert compared_with(last_snapshot(settings.store_url, "RIGHT", plan), plan, quoted).findings == ()


def test_a_rejected_ticker_has_failed(night):
    """As without a question: a critical finding, an alert, no forecast. The run stays as it is for the others."""
    settings, hook = night
    answer(settings, "WRONG", accepted=False, by="")
    done = row(settings, "WRONG")
    assert (done.state, done.step, done.forecast_session) == ("failed", "validate", "")
    assert "not answered by 2025-11-22 12:00 UTC" in done.reason
    assert "ACCEPT_RESTATED=1" in done.reason
    assert (hook.told[-1].title.startswith("WRONG validate: Past prices"), hook.told[-1].look) == (True, "failure")
    assert decisions.questions(settings, RUN) == []
    assert folder(settings, "WRONG").exists(ANSWER)
    assert row(settings, "GOOD").state == "promoted"


def test_without_the_question_the_restatement_is_critical_at_once(night):
    """`closecast run` plans without a question, whatever the setting says."""
    settings, _ = night
    os.environ["CLOSECAST_ASK_HOURS"] = "2"
    try:
        given = load_settings(tickers=("WRONG",))
    finally:
        del os.environ["CLOSECAST_ASK_HOURS"]
    (batch,) = runs.plan(given, "local__critical")
    with pytest.raises(Exception, match="WRONG failed"):
        runner.run(FLOW[0].name, batch, settings=settings)
