"""Alerts through the real Apprise, to a webhook and a mail server on this machine."""

import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import apprise
import pytest

from pipeline.alerting import delivery
from pipeline.alerting.alerts import Alert, of_findings, send
from pipeline.outcome import Finding
from pipeline.store.folder import Folder
from tests.support.alert_channels import PASSWORD, TOKEN, Told, mailbox, webhook

ZERO_VOLUME = Finding(
    rule="Every session should have traded",
    severity="warning",
    observed="2 of 5,033 rows have no volume",
    limit="no such row",
    rows=("2020-01-02", "2020-01-03"),
    todo="Compare with another source.",
)
STALE = Finding(
    rule="The newest session must be AS_OF, with a price",
    severity="critical",
    observed="newest session 2026-11-19",
    limit="2026-11-20",
    todo="Run again later.",
)
LINKS = {"Airflow run": "http://127.0.0.1:8080/dags/retrain/runs/a_b?x=1&y=<2>", "Report": "/srv/a_b_c/report.html"}
LATE = Alert("watch/2026-11-20", "not begun", "late", "No run of 2026-11-20 yet", "It was due at 22:30 UTC.")
FAILED = Alert("task/plan", "boom", "failed", "plan failed", "Task: plan")


@pytest.fixture
def hook():
    """Run a webhook."""
    with webhook() as running:
        yield running


@pytest.fixture
def box():
    """Run a mail server."""
    with mailbox() as running:
        yield running


@pytest.fixture
def memory(tmp_path):
    """Return an empty memory of alerts."""
    return Folder(str(tmp_path / "store" / "_alerts"))


@pytest.fixture(scope="module", autouse=True)
def _plugins():
    """Load Apprise's services before anything is timed."""
    apprise.Apprise.instantiate("json://localhost")


@pytest.fixture
def impatient(monkeypatch):
    """Make a hanging channel cost seconds, which are many times the pause between two messages."""
    monkeypatch.setattr(delivery, "_PATIENCE_SECONDS", 5.0)
    monkeypatch.setattr(delivery, "_PAUSE_SECONDS", 0.1)


def warning(ticker="AAA", **changes):
    """Return the alert of days without volume."""
    did = "The model was trained all the same."
    found = [("validate", ZERO_VOLUME.model_copy(update=changes))]
    return of_findings(f"{ticker} warning", ticker, found, did=did, links=LINKS)


def critical(ticker="^GSPC", **changes):
    """Return the alert of a history that ends too early."""
    did = "No model was trained; yesterday's champion serves on."
    found = [("validate", STALE.model_copy(update=changes))]
    return of_findings(f"{ticker} critical", ticker, found, did=did, links=LINKS)


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


def test_a_mail_is_plain_text_too(box, memory):
    """With login, sender, recipient, and signs beyond ASCII."""
    alert = critical()._replace(body="^GSPC <b> *x* _y_ :smile: \\n C:\\new\n  - é — 1_000\n# no heading")
    send([alert], urls=[box.url], memory=memory, about="2026-11-20")
    assert [(one.title, one.body.splitlines(), one.look) for one in box.told] == [
        (alert.title, alert.body.splitlines(), "text/plain")
    ]
    assert (box.senders, box.recipients) == (["closecast@example.org"], ["you@example.org"])


def test_the_identity_of_a_finding_is_its_rows_else_what_was_observed():
    """Limits and totals change every night and are no news."""
    same = warning(observed="2 of 5,034 rows have no volume", limit="other")
    assert (same.key, same.identity) == (warning().key, warning().identity)
    assert same.identity == "Every session should have traded: 2020-01-02; 2020-01-03"
    assert critical().identity == "The newest session must be AS_OF, with a price: newest session #"
    assert "Rows:" not in critical().body
    assert "Limit:" not in critical(limit="").body
    assert (warning().kind, critical().kind) == ("warning", "critical")


def test_the_same_news_is_told_once(hook, box, memory):
    """Also by another process: all that is remembered lies in the store."""
    for _ in range(2):
        send([critical(), warning()], urls=[hook.url, box.url], memory=Folder(memory.url), about="2026-11-20")
    assert hook.titles == box.titles == [critical().title, "1 warning(s) — 2026-11-20"]


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


@pytest.mark.parametrize("ill", ["error", "hang", "drip"])
@pytest.mark.usefixtures("impatient")
def test_a_sick_channel_stops_no_other_and_is_tried_next_time(ill, hook, memory, caplog):
    """Alone: who was told hears nothing twice. That goes for recoveries too."""
    bad = [critical(), warning()]
    with webhook() as sick:
        urls = [sick.url, hook.url]
        sick.answer = ill
        for _ in range(2):
            send(bad, urls=urls, memory=memory, about="A")
        assert hook.titles == [critical().title, "1 warning(s) — A"]
        assert f"alert channel 1 (json) did not accept {critical().title!r}" in caplog.messages
        assert "alert channel 1 (json) did not accept '1 warning(s) — A'" in caplog.messages
        assert not [line for line in caplog.messages if "channel 2" in line]
        sick.answer = "ok"
        send(bad, urls=urls, memory=memory, about="A")
        assert (sick.titles, len(hook.told)) == (hook.titles, 2)
        sick.answer = ill
        send([], settled=[critical().key], urls=urls, memory=memory, about="A")
        sick.answer = "ok"
        for _ in range(2):
            send([], settled=[critical().key], urls=urls, memory=memory, about="A")
        assert sick.titles == hook.titles
        assert hook.titles[2:] == [f"Recovered: {critical().title}"]


def test_a_channel_that_refuses_connections_is_tried_next_time(box, memory, caplog):
    """As is one that takes no password: both are back the next night."""
    with webhook() as away:
        pass
    wrong = box.url.replace(PASSWORD, "wrong-password")
    send([LATE], urls=[away.url, wrong, box.url], memory=memory, about="A")
    assert box.titles == [LATE.title]
    assert caplog.messages == [
        f"alert channel 1 (json) did not accept {LATE.title!r}",
        f"alert channel 2 (mailto) did not accept {LATE.title!r}",
    ]
    with webhook(away.port) as back:
        send([LATE], urls=[away.url, box.url], memory=memory, about="B")
    assert back.titles == box.titles == [LATE.title]


def test_a_hanging_channel_ends_by_itself_in_time(hook, memory):
    """With the real limits: the time-out of its socket comes before ours, and is not waited for twice."""
    hook.answer = "hang"
    begun = time.monotonic()
    send([critical(), LATE, FAILED, warning()], urls=[hook.url], memory=memory, about="A")
    assert delivery._READ_SECONDS <= time.monotonic() - begun < 2 * delivery._READ_SECONDS
    assert hook.refused == 1


def test_a_url_may_set_its_own_timeout(hook, memory):
    """Apprise's `rto`; and its `retry` counts too."""
    hook.answer = "hang"
    begun = time.monotonic()
    send([LATE], urls=[f"{hook.url}?rto=0.5&retry=1&wait=0"], memory=memory, about="A")
    assert 1 <= time.monotonic() - begun < delivery._READ_SECONDS
    assert hook.refused == 2


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        (f"mailto://:{PASSWORD}@", "mailto"),
        (f"slack://{TOKEN}", "slack"),
        (f"mailto:user:{PASSWORD}@example.org", "unknown"),
        (f"{PASSWORD}://example.org", "unknown"),
        (PASSWORD, "unknown"),
        ("", "unknown"),
    ],
)
def test_a_url_that_is_none_is_named_by_its_place(url, scheme, hook, memory, caplog):
    """And by its scheme, when that is one."""
    send([LATE, FAILED], urls=[hook.url, url], memory=memory, about="A")
    assert hook.titles == [LATE.title, FAILED.title]
    assert caplog.messages == [f"alert channel 2 ({scheme}) is not a URL that Apprise accepts"]


@pytest.mark.usefixtures("impatient")
def test_no_secret_is_written_anywhere(hook, box, memory, caplog, capfd, monkeypatch):
    """Neither to a log, whatever its level, nor to the store, nor to the terminal."""
    with webhook() as away:
        pass
    for logger in (None, "apprise", "urllib3", "urllib3.connectionpool"):
        caplog.set_level(1, logger)
    monkeypatch.setattr(logging.getLogger("apprise"), "disabled", False)
    bad = [f"mailto://:{PASSWORD}@", f"nonsense://{PASSWORD}/{TOKEN}", box.url.replace("night:", "other:")]
    for answer in ("ok", "error", "hang"):
        hook.answer = answer
        urls = [hook.url, box.url, away.url, *bad]
        send([critical(observed=answer), warning(rows=(answer,))], urls=urls, memory=memory, about="A")
    assert len(box.told) == 6
    written = [str(vars(record)) for record in caplog.records] + [*capfd.readouterr()]
    written += [file.read_text() for file in Path(memory.url).iterdir()]
    for secret in (PASSWORD, TOKEN):
        assert not [text for text in written if secret in text]
    assert {record.name for record in caplog.records} <= {"closecast", "apprise", "fsspec.local", "asyncio"}


def test_what_a_service_raises_stays_inside(hook, memory, monkeypatch, caplog):
    """Its text holds the URL."""

    def broken(*_: object) -> None:
        raise RuntimeError(hook.url)

    monkeypatch.setattr(delivery, "_notify", broken)
    send([LATE], urls=[hook.url], memory=memory, about="A")
    assert caplog.messages == [f"alert channel 1 (json) did not accept {LATE.title!r}"]


def test_a_store_that_cannot_be_written_is_no_reason_for_silence(hook, tmp_path, caplog):
    """Nothing is remembered, so it is told again; the log says so once."""
    (tmp_path / "file").write_text("")
    for _ in range(2):
        send([critical(), LATE], settled=["x"], urls=[hook.url], memory=Folder(f"{tmp_path}/file"), about="A")
    assert hook.titles == [critical().title, LATE.title] * 2
    assert len(caplog.messages) == 2
    assert "The store must let this run write its files." in caplog.messages[0]


def test_a_store_that_cannot_be_read_is_no_reason_for_silence(hook, memory, monkeypatch, caplog):
    """Whatever its library raises; it is not asked a second time."""
    asked = []

    def down(_: Folder, name: str) -> bool:
        asked.append(name)
        raise RuntimeError("endpoint with a key in it")

    monkeypatch.setattr(Folder, "exists", down)
    send([critical(), LATE], settled=["x"], urls=[hook.url], memory=memory, about="A")
    assert hook.titles == [critical().title, LATE.title]
    assert len(asked) == len(caplog.messages) == 1
    assert caplog.messages[0].endswith("they are sent again. RuntimeError")


def test_a_broken_memory_is_replaced(hook, memory, caplog):
    """Half a file, or a folder in its place."""
    send([LATE], urls=[hook.url], memory=memory, about="A")
    (file,) = Path(memory.url).iterdir()
    file.write_text(file.read_text()[:20])
    for _ in range(2):
        send([LATE], urls=[hook.url], memory=memory, about="A")
    assert hook.titles == [LATE.title] * 2
    (line,) = caplog.messages
    assert str(file) in line


def test_an_object_store_remembers_too(hook):
    """The memory of fsspec stands for one."""
    for _ in range(2):
        send([LATE], urls=[hook.url], memory=Folder("memory://closecast/_alerts"), about="A")
    assert hook.titles == [LATE.title]


def test_teams_gets_a_blank_line_between_lines(memory, monkeypatch):
    """It takes Markdown only, which joins lines; signs of Markdown are escaped. Its real address is out of reach."""
    import requests

    posted = []

    def post(_: str, **request: object) -> requests.Response:
        posted.append(json.loads(request["data"]))
        answer = requests.Response()
        answer.status_code = 202
        return answer

    monkeypatch.setattr(requests, "post", post)
    url = "https://example.powerplatform.com/workflows/643e69f83c8944438d68119179a10a64/triggers/manual/paths/invoke"
    alert = LATE._replace(body="Path: /a_b\nRule: *x*")
    send([alert], urls=[f"{url}?api-version=1&sig=abc"], memory=memory, about="A")
    (card,) = posted
    texts = [block["text"] for block in card["attachments"][0]["content"]["body"] if block["type"] == "TextBlock"]
    assert texts == [LATE.title, "Path: /a\\_b\n\nRule: \\*x\\*"]


def test_a_long_message_is_split_and_not_refused(hook, memory):
    """Apprise would leave that to the service."""
    send([LATE._replace(body="x" * 40_000)], urls=[hook.url], memory=memory, about="A")
    assert sum(len(one.body) for one in hook.told) == 40_000
    assert len(hook.told) == 2


def test_alerts_are_cheap_to_import_and_hold_no_process(memory):
    """No Apprise until there is something to tell; a channel that hangs dies with the process."""
    code = (
        "import sys; from pipeline.alerting import alerts as a, delivery; from pipeline.store.folder import Folder\n"
        "assert 'apprise' not in sys.modules\n"
        "delivery._PATIENCE_SECONDS = 8.0\n"
        "a.send([a.Alert('k', 'i', 'late', 't', 'b')], urls=[sys.argv[1]], memory=Folder(sys.argv[2]), about='A')\n"
    )
    with webhook() as drip:
        drip.answer = "drip"
        subprocess.run([sys.executable, "-c", code, drip.url, memory.url], check=True, timeout=120)
        assert drip.refused == 1
