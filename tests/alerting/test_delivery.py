"""Delivery through the real Apprise, to a webhook and a mail server on this machine."""

import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.alerting import delivery
from pipeline.alerting.alerts import send
from pipeline.alerting.delivery import Message, channels
from tests.support.alert_channels import PASSWORD, TOKEN, webhook
from tests.support.alert_samples import FAILED, LATE, critical, warning


def test_a_mail_is_plain_text_too(box, memory):
    """With login, sender, recipient, and signs beyond ASCII."""
    alert = critical()._replace(body="^GSPC <b> *x* _y_ :smile: \\n C:\\new\n  - é — 1_000\n# no heading")
    send([alert], urls=[box.url], memory=memory, about="2026-11-20")
    assert [(one.title, one.body.splitlines(), one.look) for one in box.told] == [
        (alert.title, alert.body.splitlines(), "text/plain")
    ]
    assert (box.senders, box.recipients) == (["closecast@example.org"], ["you@example.org"])


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


def test_channels_are_known_without_a_message_and_answer_to_one(hook):
    """By their place and scheme, never by their address."""
    hidden = "s3cret"
    urls = [hook.url, f"{hidden}-and-no-url"]
    known, invalid = channels(urls)
    assert (known, hook.told) == ((1, "json", True, False), [])
    assert invalid == (2, "unknown", False, False)
    sent, _ = channels(urls, Message("Test", "It works.", "success", ("test",)))
    assert (sent.accepted, hook.titles) == (True, ["Test"])
