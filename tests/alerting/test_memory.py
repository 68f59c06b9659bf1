"""The memory of alerts: the same news is sent once, and a store that fails never silences an alert."""

import datetime as dt
from pathlib import Path

import pytest

from pipeline.alerting.alerts import send
from pipeline.alerting.memory import Memory, SentAlert, accepted_news
from pipeline.store.folder import Folder
from tests.support.alert_samples import LATE, critical, warning

SENT = SentAlert(
    key="AAA critical",
    kind="critical",
    title="AAA validate: a rule",
    when=dt.datetime(2025, 11, 21, 22, tzinfo=dt.UTC),
    channels={"channel": "news"},
)


def test_the_same_news_is_told_once(hook, box, memory):
    """Also by another process: all that is remembered lies in the store."""
    for _ in range(2):
        send([critical(), warning()], urls=[hook.url, box.url], memory=Folder(memory.url), about="2026-11-20")
    assert hook.titles == box.titles == [critical().title, "1 warning(s) — 2026-11-20"]


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


def test_a_sent_alert_is_read_again_by_its_key(memory):
    """Keys hold spaces, slashes and signs; each has a file of its own."""
    book = Memory(memory)
    keys = ["AAA critical", "AAA/critical", "^GSPC critical", "past sample AAA critical"]
    assert [book.read(key) for key in keys] == [None] * 4
    for key in keys:
        book.write(SENT.model_copy(update={"key": key}))
    assert [Memory(memory).read(key).key for key in keys] == keys
    assert len(memory.names()) == 4


def test_a_later_alert_replaces_the_one_of_its_key(memory):
    """One file per key, however often it is sent."""
    book = Memory(memory)
    book.write(SENT)
    book.write(SENT.model_copy(update={"settled": True, "channels": {}}))
    assert book.read(SENT.key) == SENT.model_copy(update={"settled": True, "channels": {}})
    assert len(memory.names()) == 1


@pytest.mark.parametrize(
    ("sent", "kind", "accepted"),
    [(None, "critical", {}), (SENT, "critical", {"channel": "news"}), (SENT, "warning", {})],
)
def test_a_channel_has_accepted_only_news_of_the_same_kind(sent, kind, accepted):
    """A warning that turns critical is news again."""
    assert accepted_news(sent, kind) == accepted


def test_alerts_that_have_not_recovered_are_listed_oldest_first(memory):
    """A damaged file hides no other; without a folder the list is empty."""
    book = Memory(Folder(memory.url))
    assert book.unsettled() == []
    older = SENT.model_copy(update={"key": "BBB critical", "when": SENT.when - dt.timedelta(days=1)})
    for one in (SENT, older, SENT.model_copy(update={"key": "recovered", "channels": {}, "settled": True})):
        book.write(one)
    book.folder.write("damaged.json", b"{")
    assert book.unsettled() == [older, SENT]
