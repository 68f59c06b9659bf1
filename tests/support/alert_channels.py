"""Channels on 127.0.0.1 that receive alerts: a webhook for `json://` and a mail server for `mailto://`."""

from __future__ import annotations

import asyncio
import base64
import email
import json
import logging
import threading
from contextlib import contextmanager, suppress
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD, TOKEN = "night", "s3cret-password", "t0ken-of-the-path"


class Told(NamedTuple):
    """One message that arrived."""

    title: str
    body: str
    look: str  # of a webhook: failure, warning, success; of a mail: its type of content


class Webhook:
    """A webhook, and what was posted to it."""

    def __init__(self) -> None:
        """Start in good health."""
        self.answer: Literal["ok", "error", "hang", "drip"] = "ok"
        self.told: list[Told] = []
        self.refused = 0  # requests that were answered otherwise
        self.paths: list[str] = []
        self.logins: list[str] = []
        self.closing = threading.Event()
        self.port = 0
        self.url = ""

    @property
    def titles(self) -> list[str]:
        """Return the titles of what arrived."""
        return [one.title for one in self.told]


class Mailbox:
    """A mail server, and the mails that it took."""

    def __init__(self) -> None:
        """Start empty."""
        self.told: list[Told] = []
        self.senders: list[str] = []
        self.recipients: list[str] = []
        self.url = ""

    async def handle_DATA(self, _server: object, session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's
        """Take a mail from who has logged in."""
        if not session.authenticated:
            return "530 Authentication required"
        mail = email.message_from_bytes(envelope.content, policy=default)
        self.told.append(Told(mail["Subject"], mail.get_content(), mail.get_content_type()))
        self.senders.append(mail["From"])
        self.recipients += envelope.rcpt_tos
        return "250 Message accepted for delivery"

    @property
    def titles(self) -> list[str]:
        """Return the subjects of what arrived."""
        return [one.title for one in self.told]


class Switch:
    """A dead man's switch, and the paths that it was asked for."""

    def __init__(self) -> None:
        """Start in good health."""
        self.asked: list[str] = []
        self.statuses = [200]  # of the next answers; the last one again and again
        self.url = ""


@contextmanager
def dead_mans_switch(path: str = "night") -> Iterator[Switch]:
    """Run a dead man's switch until the block ends."""
    switch = Switch()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            switch.asked.append(self.path)
            self.send_response(switch.statuses.pop(0) if len(switch.statuses) > 1 else switch.statuses[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        switch.url = f"http://127.0.0.1:{server.server_port}/{path}"
        try:
            yield switch
        finally:
            server.shutdown()


@contextmanager
def webhook(port: int = 0) -> Iterator[Webhook]:
    """Run a webhook until the block ends; afterwards its address refuses connections."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.paths.append(self.path)
            hook.logins.append(base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode())
            if hook.answer == "ok":
                hook.told.append(Told(sent["title"], sent["message"], sent["type"]))
            else:
                hook.refused += 1
            with suppress(BrokenPipeError, ConnectionResetError):  # the sender had enough of waiting
                self.respond()

        def respond(self) -> None:
            if hook.answer == "hang":
                hook.closing.wait()
            while hook.answer == "drip" and not hook.closing.wait(0.2):
                self.wfile.write(b"X")  # each read gets its byte in time, and the answer never ends
            self.send_response(500 if hook.answer == "error" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    class Server(ThreadingHTTPServer):
        block_on_close = False  # a hanging answer ends by itself

    server = Server(("127.0.0.1", port), Handler)
    hook.port = server.server_port
    hook.url = f"json://{USER}:{PASSWORD}@127.0.0.1:{hook.port}/{TOKEN}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Run a mail server until the block ends; it takes mail of `USER` with `PASSWORD` only."""
    box, loop = Mailbox(), asyncio.new_event_loop()
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's own

    def login(_server: object, _session: object, _envelope: object, _mechanism: str, given: object) -> AuthResult:
        good = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)

    def protocol() -> SMTP:
        return SMTP(box, hostname="localhost", auth_require_tls=False, authenticator=login, loop=loop)

    listening = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
    port = listening.sockets[0].getsockname()[1]
    box.url = f"mailto://{USER}:{PASSWORD}@127.0.0.1:{port}?from=closecast@example.org&to=you@example.org&mode=insecure"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
