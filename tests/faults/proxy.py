"""A proxy before MLflow's server that lets it do what it is asked, and may lose the answer."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Proxy:
    """Listens on a port of its own; `loses(n)` says whether the answer to the n-th request, from 1, is lost."""

    def __init__(self, port: int) -> None:
        self.loses: Callable[[int], bool] = lambda _: False
        self.asked: list[str] = []
        self.lost: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(port))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start_over(self, loses: Callable[[int], bool]) -> None:
        """Count requests from 1 again."""
        self.loses = loses
        self.asked.clear()
        self.lost.clear()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self, port: int) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                headers = {**self.headers, "Host": f"127.0.0.1:{port}", "Connection": "close"}
                server.request(self.command, self.path, body, headers)
                answer = server.getresponse()
                data = answer.read()
                server.close()
                if self.path != "/health":
                    name = f"{self.command} {self.path.partition('?')[0].partition('mlflow/')[2]}"
                    proxy.asked.append(name)
                    if proxy.loses(len(proxy.asked)):
                        proxy.lost.append(name)
                        self.close_connection = True
                        return
                self.send_response(answer.status)
                for header, value in answer.getheaders():
                    if header.lower() not in {"transfer-encoding", "content-length", "connection", "server", "date"}:
                        self.send_header(header, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = forward  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
