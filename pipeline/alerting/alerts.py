"""Alerts: which news goes to which channel, and in which messages.

Each channel receives each news once. A message that a channel rejected is sent again in the next run.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.alerting.delivery import Delivery, Look, Message
from pipeline.alerting.memory import Kind, Memory, SentAlert, accepted_news
from pipeline.store.folder import Folder
from pipeline.store.formats import sha256

if TYPE_CHECKING:
    from pipeline.outcome import Finding


_LOOKS: dict[Kind, Look] = {
    "critical": "failure",
    "waiting": "warning",
    "failed": "failure",
    "late": "warning",
    "warning": "warning",
    "notice": "warning",
}
_MAX_SEPARATE = 10  # more alerts than this in one call have one cause and share one message
_MAX_LINES = 100  # of a list in a message; the rest is counted


class Alert(NamedTuple):
    """One problem."""

    key: str  # the subject, the same every night: "AAA critical", "no run of 2026-11-20", "task plan"
    identity: str  # the news: an alert with another identity is sent again
    kind: Kind
    title: str  # one line
    body: str  # plain text, several lines


def of_findings(
    key: str, ticker: str, findings: Sequence[tuple[str, Finding]], *, did: str, links: Mapping[str, str]
) -> Alert:
    """Return the findings of one ticker as one alert, critical if the first finding is critical, else a warning.

    Args:
        key: of the alert.
        ticker: of the unit.
        findings: at least one finding, each with its step.
        did: the reaction of the pipeline.
        links: where to look further, by name.
    """
    step, first = findings[0]
    more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
    lines = [("Ticker", ticker)]
    for where, finding in findings:
        parts = {"Step": where, "Rule": finding.rule, "Observed": finding.observed, "Limit": finding.limit}
        lines += [*parts.items(), ("Rows", ", ".join(finding.rows)), ("To do", finding.todo)]
    lines += [("What the pipeline did", did), *links.items()]
    return Alert(
        key=key,
        identity=" | ".join(_identity(one) for _, one in findings),
        kind="critical" if first.severity == "critical" else "warning",
        title=f"{ticker} {step}: {first.rule}{more}",
        body="\n".join(f"{name}: {text}" for name, text in lines if text),
    )


def _identity(finding: Finding) -> str:
    rule = without_numbers(finding.rule)
    if finding.lasting:
        return rule
    return f"{rule}: {'; '.join(finding.rows) or without_numbers(finding.observed)}"


def without_numbers(text: str) -> str:
    """Return `text` with `#` for its numbers and dates: they change every night without news."""
    return re.sub(r"\d[\d.,:-]*", "#", text)


def send(
    alerts: Sequence[Alert], *, settled: Sequence[str] = (), urls: Sequence[str], memory: Folder, about: str
) -> None:
    """Send to each channel the alerts and recoveries that are news to it. Never raises.

    A message that a channel rejects is logged and sent again by the next call. Critical, failed and late alerts and
    notices are messages of their own up to `_MAX_SEPARATE`. Warnings share one message, recoveries another.

    Args:
        alerts: the current problems.
        settled: keys without a problem. A channel that accepted an alert of such a key receives a recovery; a warning
            needs none.
        urls: the channels, as Apprise writes them.
        memory: folder of the sent alerts.
        about: the run or day, for titles.
    """
    if not urls:
        return
    book = Memory(memory)
    sent = {alert.key: book.read(alert.key) for alert in alerts}
    recovered = _recovered(book, [key for key in dict.fromkeys(settled) if key not in sent])
    deliveries = {}
    for number, url in enumerate(urls, start=1):
        name = sha256(url.encode())[:12]  # the URL itself must not reach a file
        deliveries[name] = Delivery(number, url, _messages(name, alerts, sent, recovered, about))
    _deliver(deliveries.values())
    accepted = {name: delivery.accepted_keys for name, delivery in deliveries.items()}
    for alert in alerts:
        _remember_alert(book, alert, sent[alert.key], accepted)
    for old in recovered:
        _remember_recovery(book, old, accepted)


def _recovered(book: Memory, keys: Sequence[str]) -> list[SentAlert]:
    """Return the last alert of each key whose recovery some channel has not accepted yet."""
    found = []
    for key in keys:
        old = book.read(key)
        if old and old.channels:
            found.append(old)
    return found


def _deliver(deliveries: Iterable[Delivery]) -> None:
    """Send to all channels at the same time, and wait for them."""
    busy = [delivery for delivery in deliveries if delivery.messages]
    for delivery in busy:
        delivery.start()
    for delivery in busy:
        delivery.finish()


def _remember_alert(book: Memory, alert: Alert, old: SentAlert | None, accepted: Mapping[str, set[str]]) -> None:
    """Add the channels that accepted an alert to those that accepted it before."""
    new = {name: alert.identity for name, keys in accepted.items() if alert.key in keys}
    if not new:
        return
    channels = accepted_news(old, alert.kind) | new
    now = dt.datetime.now(dt.UTC)
    book.write(SentAlert(key=alert.key, kind=alert.kind, title=alert.title, when=now, channels=channels))


def _remember_recovery(book: Memory, old: SentAlert, accepted: Mapping[str, set[str]]) -> None:
    """Keep only the channels that rejected the recovery; a warning needs no recovery and is removed everywhere."""
    waiting = {}
    if old.kind != "warning":
        # A channel that is no longer in the settings is removed too.
        rejected = {name for name, keys in accepted.items() if old.key not in keys}
        waiting = {name: identity for name, identity in old.channels.items() if name in rejected}
    if waiting != old.channels:
        book.write(old.model_copy(update={"channels": waiting, "settled": not waiting}))


def _messages(
    channel: str,
    alerts: Sequence[Alert],
    sent: Mapping[str, SentAlert | None],
    recovered: Sequence[SentAlert],
    about: str,
) -> list[Message]:
    """Return the messages that are news to a channel."""
    news = [alert for alert in alerts if accepted_news(sent[alert.key], alert.kind).get(channel) != alert.identity]
    warnings = [alert for alert in news if alert.kind == "warning"]
    failures = [alert for alert in news if alert.kind != "warning"]
    if len(failures) > _MAX_SEPARATE:
        messages = [_digest(f"{len(failures)} alerts — {about}", failures)]
    else:
        messages = [Message(alert.title, alert.body, _LOOKS[alert.kind], (alert.key,)) for alert in failures]
    if warnings:
        messages.append(_digest(f"{len(warnings)} warning(s) — {about}", warnings))
    failures_before = [old for old in recovered if old.kind != "warning"]
    known_here = [old for old in failures_before if channel in old.channels]
    if known_here:
        messages.append(_recovery(known_here, about))
    return messages


def _recovery(recovered: Sequence[SentAlert], about: str) -> Message:
    """Return the recovery of one or more alerts as one message."""
    title = recovered[0].title
    if len(recovered) > 1:
        title = f"{len(recovered)} alerts — {about}"
    lines = [f"{old.title} (sent on {old.when:%Y-%m-%d %H:%M} UTC)" for old in recovered]
    text = f"Recovered, {about}:\n{_joined(lines)}"
    return Message(f"Recovered: {title}", text, "success", tuple(old.key for old in recovered))


def _digest(title: str, alerts: Sequence[Alert]) -> Message:
    """Return several alerts as one message: the first ones in full, then titles."""
    parts = [f"{one.title}\n{one.body}" for one in alerts[:_MAX_SEPARATE]]
    if rest := alerts[_MAX_SEPARATE:]:
        parts.append("And also:\n" + _joined([one.title for one in rest]))
    look: Look = "failure" if any(_LOOKS[one.kind] == "failure" for one in alerts) else "warning"
    return Message(title, "\n\n".join(parts), look, tuple(one.key for one in alerts))


def _joined(lines: Sequence[str]) -> str:
    more = [f"... and {len(lines) - _MAX_LINES} more."] if len(lines) > _MAX_LINES else []
    return "\n".join([*lines[:_MAX_LINES], *more])
