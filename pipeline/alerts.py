"""What people are told by mail, chat or webhook, each news once: the only user of Apprise.

Without a memory the same finding would be told every night. So the store keeps one small file per key, with the news
that each channel has been told; a channel that failed is owed its message until it takes it. Nothing in here ends a run
or makes it hang, and no URL of a channel is written anywhere: it holds passwords.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import StoreError
from pipeline.store import Folder, sha256

if TYPE_CHECKING:
    import apprise

    from pipeline.outcome import Finding

Kind = Literal["critical", "warning", "failed", "late"]
_Look = Literal["failure", "warning", "success"]  # Apprise's types of messages: their colours and icons

log = logging.getLogger("closecast")

_LOOKS: dict[Kind, _Look] = {"critical": "failure", "failed": "failure", "late": "warning", "warning": "warning"}
_OF_ITS_OWN = 10  # more bad news than this in one call have one cause, and share one message
_LINES = 100  # a list longer than this is read by nobody
_READ_SECONDS = 10.0  # Apprise waits 4 s for an answer: then a slow service gets the same message again the next night
_PAUSE_SECONDS = 1.0  # between two messages, where Apprise knows no better of a service than 5.5 s
_SLOW_SECONDS = 5.0  # a channel that takes longer than this to fail is not asked again in this call
_PATIENCE_SECONDS = 25.0  # for one message, whatever the channel does


class Alert(NamedTuple):
    """One thing that people should know."""

    key: str  # what it is about, the same every night: "AAA critical", "no run of 2026-11-20", "task plan"
    identity: str  # what makes it news: another one is told again
    kind: Kind
    title: str  # one line
    body: str  # plain text, several lines


def of_findings(
    key: str, ticker: str, findings: Sequence[tuple[str, Finding]], *, did: str, links: Mapping[str, str]
) -> Alert:
    """Return what was found about one ticker as one alert, critical if its first finding is, else a warning.

    Args:
        key: of the alert.
        ticker: of the unit.
        findings: the steps that found something, and what, at least one.
        did: what the pipeline did about it.
        links: where to look further, by name.
    """
    (step, first), more = findings[0], len(findings) - 1
    lines = [("Ticker", ticker)]
    for where, finding in findings:
        told = {"Step": where, "Rule": finding.rule, "Observed": finding.observed, "Limit": finding.limit}
        lines += [*told.items(), ("Rows", ", ".join(finding.rows)), ("To do", finding.todo)]
    lines += [("What the pipeline did", did), *links.items()]
    return Alert(
        key=key,
        identity=" | ".join(
            f"{without_numbers(one.rule)}: {'; '.join(one.rows) or without_numbers(one.observed)}"
            for _, one in findings
        ),
        kind="critical" if first.severity == "critical" else "warning",
        title=f"{ticker} {step}: {first.rule}{f', and {more} more' if more else ''}",
        body="\n".join(f"{name}: {text}" for name, text in lines if text),
    )


def without_numbers(text: str) -> str:
    """Return `text` with `#` for its numbers and dates: they change every night, and are no news."""
    return re.sub(r"\d[\d.,:-]*", "#", text)


def send(
    alerts: Sequence[Alert], *, settled: Sequence[str] = (), urls: Sequence[str], memory: Folder, about: str
) -> None:
    """Tell each channel what is news to it. Never raises; what a channel did not take is logged and tried next time.

    Critical, failed and late alerts are messages of their own up to `_OF_ITS_OWN`, warnings share one, recoveries too.

    Args:
        alerts: what is wrong now.
        settled: keys that are fine now; whoever was told otherwise, unless as a warning, is told that they recovered.
        urls: the channels, in the words of Apprise.
        memory: folder of what was told to whom.
        about: the run or day, for titles.
    """
    # A channel is named by the hash of its URL. The URL itself must not reach a file.
    channels = {sha256(url.encode())[:12]: (number, url) for number, url in enumerate(urls, start=1)}
    if not channels:
        return
    book = _Book(memory)
    told = {alert.key: book.look_up(alert.key) for alert in alerts}
    known = (book.look_up(key) for key in dict.fromkeys(settled) if key not in told)
    fine = [one for one in known if one and one.channels]
    deliveries = {
        name: _Delivery(number, url, _messages(name, alerts, told, fine, about))
        for name, (number, url) in channels.items()
    }
    busy = [one for one in deliveries.values() if one.messages]
    for delivery in busy:
        delivery.start()
    for delivery in busy:
        delivery.finish()
    for alert in alerts:
        took = {name: alert.identity for name, one in deliveries.items() if alert.key in one.taken}
        if took:
            now, standing = dt.datetime.now(dt.UTC), _standing(told[alert.key], alert.kind)
            book.write(_Told(key=alert.key, kind=alert.kind, title=alert.title, when=now, channels=standing | took))
    for one in fine:
        owed = {
            name: identity
            for name, identity in one.channels.items()
            if one.kind != "warning" and name in deliveries and one.key not in deliveries[name].taken
        }
        if owed != one.channels:
            book.write(one.model_copy(update={"channels": owed, "settled": not owed}))


class _Told(BaseModel):
    """Who was told what about one key."""

    model_config = ConfigDict(frozen=True)

    key: str
    kind: Kind
    title: str
    when: dt.datetime
    channels: dict[str, str] = Field(description="channel -> identity of what it was told and has not recovered")
    settled: bool = False


class _Message(NamedTuple):
    """One message to one channel, and the keys that it is about."""

    title: str
    body: str
    look: _Look
    keys: tuple[str, ...]


class _Book:
    """The memory of alerts. Where it fails everything is news: told too often is better than not at all."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.broken = False  # a store that failed once is not asked again: each question may take its time-out

    def look_up(self, key: str) -> _Told | None:
        """Return who was told what about a key, None when nobody was told anything."""
        if self.broken or (data := self._read(key)) is None:
            return None
        try:
            return _Told.model_validate_json(data)
        except ValidationError:
            log.warning("alerts: %s is broken: what it is about counts as news", self.folder.path(_file(key)))
            return None

    def write(self, told: _Told) -> None:
        """Replace what is known about a key."""
        if not self.broken:
            try:
                self.folder.write(_file(told.key), told.model_dump_json(indent=1).encode())
            except Exception as error:  # noqa: BLE001 - a remote store raises what its library likes
                self._give_up(error)

    def _read(self, key: str) -> bytes | None:
        try:
            return self.folder.read(_file(key)) if self.folder.exists(_file(key)) else None
        except Exception as error:  # noqa: BLE001 - the same
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self.broken = True
        why = str(error) if isinstance(error, StoreError) else type(error).__name__
        log.warning("alerts: the store does not remember who was told what, so it is told again. %s", why)


class _Delivery(threading.Thread):
    """The messages to one channel, sent one after another, beside those to other channels."""

    def __init__(self, number: int, url: str, messages: Sequence[_Message]) -> None:
        super().__init__(name=f"alert channel {number}", daemon=True)  # one that hangs does not keep the process
        self.number = number
        self.url = url
        self.messages = messages
        self.scheme = "unknown"  # as long as Apprise does not know it either: it might be a part of a password
        self.valid = True
        self.taken: set[str] = set()
        self.since = time.monotonic()
        self.given_up = False

    def run(self) -> None:
        """Send until the end, or until the channel proves slow."""
        with contextlib.suppress(Exception):  # services raise what they like; the text of it may hold the URL
            service = self._service()
            if service is None:
                return
            for message in self.messages:
                if self.given_up:
                    return
                self.since = time.monotonic()
                if _notify(service, message):
                    self.taken.update(message.keys)
                elif time.monotonic() - self.since > _SLOW_SECONDS:
                    return

    def finish(self) -> None:
        """Wait for the end, but not for ever, and log what was not taken."""
        while self.is_alive() and (left := self.since + _PATIENCE_SECONDS - time.monotonic()) > 0:
            self.join(left)
        self.given_up = True
        if not self.valid:
            log.warning("alert channel %d (%s) is not a URL that Apprise takes", self.number, self.scheme)
            return
        for message in self.messages:
            if not self.taken.issuperset(message.keys):
                log.warning("alert channel %d (%s) did not take %r", self.number, self.scheme, message.title)

    def _service(self) -> apprise.NotifyBase | None:
        import apprise

        _hush()
        asset = apprise.AppriseAsset(app_id="Closecast", app_desc="Closecast", async_mode=False, service_timeout=0)
        service = apprise.Apprise.instantiate(self.url, asset=asset)
        scheme = self.url.partition("://")[0].lower()
        if service or scheme in apprise.NotificationManager():  # type: ignore[no-untyped-call]
            self.scheme = scheme
        self.valid = service is not None
        if service:
            _tune(service)
        _hush()  # the loggers of what that has just imported
        return service


def _tune(service: apprise.NotifyBase) -> None:
    """Set what Apprise leaves at defaults that do not suit a nightly run, and the URL does not set either."""
    import apprise

    if "socket_read_timeout" not in vars(service):
        service.socket_read_timeout = max(service.socket_read_timeout, _READ_SECONDS)
    if service.request_rate_per_sec == apprise.NotifyBase.request_rate_per_sec:
        service.request_rate_per_sec = _PAUSE_SECONDS
    if service.overflow_mode == apprise.OverflowMode.UPSTREAM:  # a service refuses what is longer than it allows
        service.overflow_mode = apprise.OverflowMode.SPLIT


def _notify(service: apprise.NotifyBase, message: _Message) -> bool:
    import apprise

    text = apprise.NotifyFormat.TEXT
    # A service that knows Markdown only, as Teams, joins lines that have no blank line between them.
    markdown = service.resolve_format(text) == apprise.NotifyFormat.MARKDOWN
    sender = apprise.Apprise(asset=service.asset)  # and not the service itself: this obeys `retry=` in URLs
    sender.add(service)
    return bool(
        sender.notify(
            title=message.title,
            body=message.body.replace("\n", "\n\n") if markdown else message.body,
            notify_type=message.look,
            body_format=text,
        )
    )


def _hush() -> None:
    """Drop what deliveries log, whoever's logger it is: at DEBUG, Apprise and urllib3 spell out URLs."""
    for one in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(one, logging.Logger):
            one.addFilter(_from_elsewhere)


def _from_elsewhere(_: logging.LogRecord) -> bool:
    return not isinstance(threading.current_thread(), _Delivery)


def _messages(
    channel: str, alerts: Sequence[Alert], told: Mapping[str, _Told | None], fine: Sequence[_Told], about: str
) -> list[_Message]:
    """Return what is news to a channel."""
    news = [one for one in alerts if _standing(told[one.key], one.kind).get(channel) != one.identity]
    warnings = [one for one in news if one.kind == "warning"]
    bad = [one for one in news if one.kind != "warning"]
    if len(bad) > _OF_ITS_OWN:
        messages = [_digest(f"{len(bad)} alerts — {about}", bad)]
    else:
        messages = [_Message(one.title, one.body, _LOOKS[one.kind], (one.key,)) for one in bad]
    if warnings:
        messages.append(_digest(f"{len(warnings)} warning(s) — {about}", warnings))
    recovered = [one for one in fine if one.kind != "warning" and channel in one.channels]
    if recovered:
        title = recovered[0].title if len(recovered) == 1 else f"{len(recovered)} alerts — {about}"
        body = _list([f"{one.title} (told on {one.when:%Y-%m-%d %H:%M} UTC)" for one in recovered])
        text = f"Fine again, {about}:\n{body}"
        messages.append(_Message(f"Recovered: {title}", text, "success", tuple(one.key for one in recovered)))
    return messages


def _digest(title: str, alerts: Sequence[Alert]) -> _Message:
    """Return several alerts as one message: the first ones in full, then titles."""
    parts = [f"{one.title}\n{one.body}" for one in alerts[:_OF_ITS_OWN]]
    if rest := alerts[_OF_ITS_OWN:]:
        parts.append("And also:\n" + _list([one.title for one in rest]))
    look: _Look = "failure" if any(_LOOKS[one.kind] == "failure" for one in alerts) else "warning"
    return _Message(title, "\n\n".join(parts), look, tuple(one.key for one in alerts))


def _list(lines: Sequence[str]) -> str:
    more = [f"... and {len(lines) - _LINES} more."] if len(lines) > _LINES else []
    return "\n".join([*lines[:_LINES], *more])


def _standing(told: _Told | None, kind: Kind) -> dict[str, str]:
    """Return which channels were told what as this kind: a warning that turned critical is news."""
    return told.channels if told and told.kind == kind else {}


def _file(key: str) -> str:
    return f"{sha256(key.encode())[:16]}.json"  # the key itself holds spaces, slashes and signs
