"""What people are told by mail, chat or webhook, each news once: the only user of Apprise.

Without a memory the same finding would be told every night. So the store keeps one small file per key, with the news
that each channel has been told; a channel that failed is owed its message until it takes it. Nothing in here ends a run
or makes it hang, and no URL of a channel is written anywhere: it holds passwords.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.alerting.delivery import Delivery, Look, Message
from pipeline.alerting.memory import Kind, Memory, Sent, sent_as
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256

if TYPE_CHECKING:
    from pipeline.outcome import Finding


log = logging.getLogger("closecast")

_LOOKS: dict[Kind, Look] = {"critical": "failure", "failed": "failure", "late": "warning", "warning": "warning"}
_OF_ITS_OWN = 10  # more bad news than this in one call have one cause, and share one message
_LINES = 100  # a list longer than this is read by nobody


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
    book = Memory(memory)
    told = {alert.key: book.look_up(alert.key) for alert in alerts}
    known = (book.look_up(key) for key in dict.fromkeys(settled) if key not in told)
    fine = [one for one in known if one and one.channels]
    deliveries = {
        name: Delivery(number, url, _messages(name, alerts, told, fine, about))
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
            now, standing = dt.datetime.now(dt.UTC), sent_as(told[alert.key], alert.kind)
            book.write(Sent(key=alert.key, kind=alert.kind, title=alert.title, when=now, channels=standing | took))
    for one in fine:
        owed = {
            name: identity
            for name, identity in one.channels.items()
            if one.kind != "warning" and name in deliveries and one.key not in deliveries[name].taken
        }
        if owed != one.channels:
            book.write(one.model_copy(update={"channels": owed, "settled": not owed}))


def _messages(
    channel: str, alerts: Sequence[Alert], told: Mapping[str, Sent | None], fine: Sequence[Sent], about: str
) -> list[Message]:
    """Return what is news to a channel."""
    news = [one for one in alerts if sent_as(told[one.key], one.kind).get(channel) != one.identity]
    warnings = [one for one in news if one.kind == "warning"]
    bad = [one for one in news if one.kind != "warning"]
    if len(bad) > _OF_ITS_OWN:
        messages = [_digest(f"{len(bad)} alerts — {about}", bad)]
    else:
        messages = [Message(one.title, one.body, _LOOKS[one.kind], (one.key,)) for one in bad]
    if warnings:
        messages.append(_digest(f"{len(warnings)} warning(s) — {about}", warnings))
    recovered = [one for one in fine if one.kind != "warning" and channel in one.channels]
    if recovered:
        title = recovered[0].title if len(recovered) == 1 else f"{len(recovered)} alerts — {about}"
        body = _list([f"{one.title} (told on {one.when:%Y-%m-%d %H:%M} UTC)" for one in recovered])
        text = f"Fine again, {about}:\n{body}"
        messages.append(Message(f"Recovered: {title}", text, "success", tuple(one.key for one in recovered)))
    return messages


def _digest(title: str, alerts: Sequence[Alert]) -> Message:
    """Return several alerts as one message: the first ones in full, then titles."""
    parts = [f"{one.title}\n{one.body}" for one in alerts[:_OF_ITS_OWN]]
    if rest := alerts[_OF_ITS_OWN:]:
        parts.append("And also:\n" + _list([one.title for one in rest]))
    look: Look = "failure" if any(_LOOKS[one.kind] == "failure" for one in alerts) else "warning"
    return Message(title, "\n\n".join(parts), look, tuple(one.key for one in alerts))


def _list(lines: Sequence[str]) -> str:
    more = [f"... and {len(lines) - _LINES} more."] if len(lines) > _LINES else []
    return "\n".join([*lines[:_LINES], *more])
