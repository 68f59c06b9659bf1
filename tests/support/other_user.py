"""What another user of this machine can do: open files, call servers, connect to sockets."""

from __future__ import annotations

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOBODY = 65534


def as_nobody(action: Callable[..., str], *arguments: Any) -> str:
    """Return the result of an action in a child process of this one that runs as `nobody`; only root can start it."""
    with ProcessPoolExecutor(1, get_context("fork"), initializer=_become_nobody) as pool:
        return pool.submit(action, *arguments).result(timeout=60)


def read(path: Path) -> str:
    """Return "read" or the name of the error when a file or folder is opened."""
    try:
        if path.is_dir():
            list(path.iterdir())
        else:
            path.read_bytes()
    except OSError as error:
        return type(error).__name__
    return "read"


def connect(path: Path) -> str:
    """Return "connected" or the name of the error when a Unix socket is used."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            os.chdir(path.parent)  # the limit of a socket's path is 108 bytes
            client.connect(path.name)
    except OSError as error:
        return type(error).__name__
    return "connected"


def say(port: int, words: str) -> str:
    """Return the first answer of a server on loopback to `words`."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(words.encode())
        return client.recv(1000).decode(errors="replace")


def ask(method: str, url: str, body: object = None, password: str = "") -> str:
    """Return the HTTP status of a request; with a password, as the user `admin`."""
    headers = {"Content-Type": "application/json"}
    if password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
