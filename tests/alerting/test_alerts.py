"""Alerts: which messages are news, and to whom, through the real Apprise to channels on this machine."""

import json
from pathlib import Path

import pytest

from pipeline.alerting import delivery
from pipeline.alerting.alerts import of_findings, send
from pipeline.store.folder import Folder
from tests.support.alert_channels import PASSWORD, TOKEN, Told
from tests.support.alert_samples import FAILED, LATE, STALE, ZERO_VOLUME, critical, warning


def test_a_finding_is_told_with_all_that_it_takes_to_act(hook, memory):
    """In plain text: no sign of a ticker, a path or a link is taken for markup."""
    send([critical(rows=("2020-01-02", "2020-01-03"))], urls=[hook.url], memory=memory, about="2026-11-20")
    assert hook.told == [
        Told(
            "^GSPC validate: The newest session must be AS_OF, with a price",
            "Ticker: ^GSPC\n"
            "Step: validate\n"
            "Rule: The newest session must be AS_OF, with a price\n"
            "Observed: newest session 2026-11-19\n"
            "Limit: 2026-11-20\n"
            "Rows: 2020-01-02, 2020-01-03\n"
            "To do: Run again later.\n"
            "What the pipeline did: No model was trained; yesterday's champion serves on.\n"
            "Airflow run: http://127.0.0.1:8080/dags/retrain/runs/a_b?x=1&y=<2>\n"
            "Report: /srv/a_b_c/report.html",
            "failure",
        )
    ]
    assert hook.paths == [f"/{TOKEN}"]
    assert hook.logins == [f"night:{PASSWORD}"]


def test_several_findings_of_a_ticker_are_one_message(hook, memory):
    """Each with its rule and rows; it is news again when one of them changes, not when a total does."""
    both = [("ingest", STALE), ("validate", ZERO_VOLUME.model_copy(update={"severity": "critical"}))]
    grown = [both[0], ("validate", both[1][1].model_copy(update={"observed": "2 of 5,034 rows have no volume"}))]
    gone = both[1:]
    for findings in (both, grown, gone):
        alert = of_findings("AAA critical", "AAA", findings, did="Nothing.", links={})
        send([alert], urls=[hook.url], memory=memory, about="2026-11-20")
    assert [one.title for one in hook.told] == [
        "AAA ingest: The newest session must be AS_OF, with a price, and 1 more",
        "AAA validate: Every session should have traded",
    ]
    assert "Rows: 2020-01-02, 2020-01-03" in hook.told[0].body
    assert "Observed: newest session 2026-11-19" in hook.told[0].body


def test_the_identity_of_a_finding_is_its_rows_else_what_was_observed():
    """Limits and totals change every night and are no news."""
    same = warning(observed="2 of 5,034 rows have no volume", limit="other")
    assert (same.key, same.identity) == (warning().key, warning().identity)
    assert same.identity == "Every session should have traded: 2020-01-02; 2020-01-03"
    assert critical().identity == "The newest session must be AS_OF, with a price: newest session #"
    assert "Rows:" not in critical().body
    assert "Limit:" not in critical(limit="").body
    assert (warning().kind, critical().kind) == ("warning", "critical")


def test_other_rows_of_a_lasting_finding_are_no_news(hook, memory):
    """A fund without trading has another zero volume every night."""
    for night, rows in enumerate((("2020-01-02", "2020-01-03"), ("2020-01-03", "2020-01-06"))):
        send([warning(rows=rows, lasting=True)], urls=[hook.url], memory=memory, about=f"night {night}")
    assert len(hook.told) == 1


def test_other_rows_are_told_again(hook, memory):
    """And then not again. Other numbers alone are no news."""
    changed = [warning(rows=("2020-01-02", "2020-01-06")), critical(observed="no session at all")]
    for batch in ([warning(), critical()], changed, changed):
        send(batch, urls=[hook.url], memory=memory, about="A")
    assert hook.titles == [critical().title, "1 warning(s) — A"] * 2
    assert "2020-01-06" in hook.told[-1].body


def test_a_warning_that_turns_critical_is_told(hook, memory):
    """With the same rows."""
    for severity in ("warning", "critical", "critical"):
        send([warning(severity=severity)], urls=[hook.url], memory=memory, about="A")
    assert hook.titles == ["1 warning(s) — A", warning().title]


def test_warnings_of_one_call_share_one_message(hook, memory):
    """Only those that are news; what is worse comes first, on its own."""
    send([warning("OLD")], urls=[hook.url], memory=memory, about="A")
    hook.told.clear()
    send([warning("OLD"), warning("AAA"), LATE, FAILED, warning("BBB")], urls=[hook.url], memory=memory, about="B")
    assert [(one.title, one.look) for one in hook.told] == [
        (LATE.title, "warning"),
        (FAILED.title, "failure"),
        ("2 warning(s) — B", "warning"),
    ]
    digest = hook.told[-1].body
    assert digest == "\n\n".join(f"{one.title}\n{one.body}" for one in (warning("AAA"), warning("BBB")))


def test_a_storm_is_one_message(hook, memory):
    """When a source is down, every ticker fails: the first ten in full, a hundred by title, the rest as a number."""
    storm = [critical(f"T{number:03}") for number in range(115)]
    send(storm, urls=[hook.url], memory=memory, about="A")
    send(storm, urls=[hook.url], memory=memory, about="A")
    ((title, body, look),) = hook.told
    assert (title, look) == ("115 alerts — A", "failure")
    assert body.count("Airflow run: ") == 10
    assert body.splitlines()[-2:] == [critical("T109").title, "... and 5 more."]


def test_a_recovery_is_told_once(hook, box, memory):
    """To whoever was told that something was wrong."""
    urls = [hook.url, box.url]
    send([critical()], urls=urls, memory=memory, about="A")
    for about in "BC":
        send([], settled=[critical().key, "AAA/validate/other"], urls=urls, memory=memory, about=about)
    assert hook.titles == box.titles == [critical().title, f"Recovered: {critical().title}"]
    assert hook.told[-1].look == "success"
    assert hook.told[-1].body.startswith(f"Recovered, B:\n{critical().title} (sent on 20")
    (file,) = Path(memory.url).iterdir()
    assert json.loads(file.read_text())["settled"] is True
    send([critical()], urls=urls, memory=memory, about="D")
    assert hook.titles[-1] == critical().title


def test_recoveries_of_one_call_share_one_message(hook, memory):
    """Late and failed runs recover too; a warning goes without a word, and comes back as news."""
    bad = [critical("AAA"), LATE, FAILED, warning()]
    send(bad, urls=[hook.url], memory=memory, about="A")
    hook.told.clear()
    for _ in range(2):
        send([], settled=[one.key for one in bad], urls=[hook.url], memory=memory, about="B")
    ((title, body, _),) = hook.told
    assert title == "Recovered: 3 alerts — B"
    assert [line.partition(" (sent on ")[0] for line in body.splitlines()[1:]] == [one.title for one in bad[:3]]
    send([warning()], urls=[hook.url], memory=memory, about="C")
    assert hook.titles[-1] == "1 warning(s) — C"


def test_what_was_never_delivered_does_not_recover(hook, memory):
    """Nor does what nobody was told of."""
    hook.answer = "error"
    send([critical()], urls=[hook.url], memory=memory, about="A")
    hook.answer = "ok"
    send([], settled=[critical().key], urls=[hook.url], memory=memory, about="B")
    assert hook.told == []


def test_a_rule_that_always_passed_costs_no_reading(hook, memory, monkeypatch):
    """And no Apprise."""
    monkeypatch.setattr(Folder, "read", lambda *_: pytest.fail("read"))
    monkeypatch.setattr(Folder, "write", lambda *_: pytest.fail("written"))
    monkeypatch.setattr(delivery.Delivery, "start", lambda _: pytest.fail("started"))
    send([], settled=["a", "b"], urls=[hook.url], memory=memory, about="A")
    send([critical()], urls=[], memory=memory, about="A")
