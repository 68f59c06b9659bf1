"""A TCP proxy on loopback that breaks a connection half-way through what a client sends."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator


class CuttingProxy(socketserver.ThreadingTCPServer):
    """Lets `left` bytes of all clients through, then breaks every connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: tuple[str, int], left: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target, self.left = target, left

    @property
    def url(self) -> str:
        """Return the address that clients take for the server's."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.BaseRequestHandler):
    server: CuttingProxy

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self.server.target) as upstream:
            answers = threading.Thread(target=_copy, args=(upstream, self.request), daemon=True)
            answers.start()
            while data := self.request.recv(65536):
                self.server.left -= len(data)
                if self.server.left < 0:
                    upstream.sendall(data[: len(data) // 2])
                    return
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)
            answers.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@contextlib.contextmanager
def cutting(target: tuple[str, int], after: int) -> Iterator[CuttingProxy]:
    """Give a proxy before `target` that cuts after so many bytes."""
    with CuttingProxy(target, after) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
