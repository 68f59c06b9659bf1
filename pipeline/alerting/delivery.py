"""The delivery of messages to mail, chat and webhooks: the only user of Apprise.

A delivery never ends a run and never makes it hang. No URL of a channel is written anywhere: it holds passwords.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

log = logging.getLogger("closecast")

if TYPE_CHECKING:
    import apprise

Look = Literal["failure", "warning", "success"]  # Apprise's types of messages: their colours and icons
_READ_SECONDS = 10.0  # Apprise waits 4 s for an answer; a slower service would get the same message again next night
_PAUSE_SECONDS = 1.0  # between two messages, for services where Apprise has only its default of 5.5 s
_SLOW_SECONDS = 5.0  # a channel that takes longer than this to fail is not asked again in this call
_PATIENCE_SECONDS = 25.0  # for one message


class Message(NamedTuple):
    """One message to one channel, and the keys that it is about."""

    title: str
    body: str
    look: Look
    keys: tuple[str, ...]


class Delivery(threading.Thread):
    """The messages to one channel, sent one after another. Channels are served in parallel."""

    def __init__(self, number: int, url: str, messages: Sequence[Message]) -> None:
        # A daemon, because a hanging channel must not keep the process alive.
        super().__init__(name=f"alert channel {number}", daemon=True)
        self.number = number
        self.url = url
        self.messages = messages
        self.scheme = "unknown"  # until Apprise knows the scheme: it might be part of a password
        self.valid = True
        self.accepted_keys: set[str] = set()
        self.since = time.monotonic()
        self.given_up = False

    def run(self) -> None:
        """Send the messages, and stop at the first that fails slowly."""
        with contextlib.suppress(Exception):  # services raise any exception; its text may hold the URL
            service = self._service()
            if service is None:
                return
            for message in self.messages:
                if self.given_up:
                    return
                self.since = time.monotonic()
                if _notify(service, message):
                    self.accepted_keys.update(message.keys)
                elif time.monotonic() - self.since > _SLOW_SECONDS:
                    return

    def finish(self) -> None:
        """Wait for the end, for a limited time, and log the messages that the channel did not accept."""
        while self.is_alive() and (left := self.since + _PATIENCE_SECONDS - time.monotonic()) > 0:
            self.join(left)
        self.given_up = True
        if not self.valid:
            log.warning("alert channel %d (%s) is not a URL that Apprise accepts", self.number, self.scheme)
            return
        for message in self.messages:
            if not self.accepted_keys.issuperset(message.keys):
                log.warning("alert channel %d (%s) did not accept %r", self.number, self.scheme, message.title)

    def _service(self) -> apprise.NotifyBase | None:
        import apprise

        _filter_log_records()
        asset = apprise.AppriseAsset(app_id="Closecast", app_desc="Closecast", async_mode=False, service_timeout=0)
        service = apprise.Apprise.instantiate(self.url, asset=asset)
        scheme = self.url.partition("://")[0].lower()
        if service or scheme in apprise.NotificationManager():  # type: ignore[no-untyped-call]
            self.scheme = scheme
        self.valid = service is not None
        if service:
            _set_limits(service)
        _filter_log_records()  # again, for the loggers of the modules just imported
        return service


class Channel(NamedTuple):
    """A channel of the settings, without its address."""

    number: int  # its place in the settings
    scheme: str
    valid: bool  # whether Apprise knows its URL
    accepted: bool  # whether it accepted the message


def channels(urls: Sequence[str], message: Message | None = None) -> list[Channel]:
    """Return the channels, after sending them a message if there is one."""
    messages = [message] if message else []
    deliveries = [Delivery(number, url, messages) for number, url in enumerate(urls, start=1)]
    for one in deliveries:
        one.start()
    for one in deliveries:
        one.finish()
    return [Channel(one.number, one.scheme, one.valid, bool(one.accepted_keys)) for one in deliveries]


def _set_limits(service: apprise.NotifyBase) -> None:
    """Set the limits of a nightly run, except those that the URL sets."""
    import apprise

    if "socket_read_timeout" not in vars(service):
        service.socket_read_timeout = max(service.socket_read_timeout, _READ_SECONDS)
    if service.request_rate_per_sec == apprise.NotifyBase.request_rate_per_sec:
        service.request_rate_per_sec = _PAUSE_SECONDS
    if service.overflow_mode == apprise.OverflowMode.UPSTREAM:  # a service refuses a text over its limit
        service.overflow_mode = apprise.OverflowMode.SPLIT


def _notify(service: apprise.NotifyBase, message: Message) -> bool:
    import apprise

    text = apprise.NotifyFormat.TEXT
    # A service that takes Markdown only, such as Teams, joins lines that have no blank line between them.
    markdown = service.resolve_format(text) == apprise.NotifyFormat.MARKDOWN
    sender = apprise.Apprise(asset=service.asset)  # the service itself would ignore `retry=` in its URL
    sender.add(service)
    return bool(
        sender.notify(
            title=message.title,
            body=message.body.replace("\n", "\n\n") if markdown else message.body,
            notify_type=message.look,
            body_format=text,
        )
    )


def _filter_log_records() -> None:
    """Drop the log records of delivery threads in every logger: at DEBUG, Apprise and urllib3 write URLs."""
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.addFilter(_is_from_another_thread)


def _is_from_another_thread(_: logging.LogRecord) -> bool:
    return not isinstance(threading.current_thread(), Delivery)
