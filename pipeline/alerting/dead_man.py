"""The dead man's switch outside: an address that gets a request after each good night.

Its service sends the alarm when no request comes, also when this machine is off or its disk is full.
"""

from __future__ import annotations

import http.client
import logging
import time
import urllib.request

log = logging.getLogger("closecast")
_SECONDS = 10.0  # to wait for an answer
_TRIES = 3
_PAUSE_SECONDS = 2.0


def ping(url: str) -> bool:
    """Ask the address, and return whether it answered. Never raises, and writes the address nowhere: it is a secret."""
    if not url.startswith(("http://", "https://")):
        log.warning("heartbeat: CLOSECAST_HEARTBEAT_URL must begin with http:// or https://")
        return False
    reason = ""
    for number in range(_TRIES):
        if number:
            time.sleep(_PAUSE_SECONDS)
        try:
            with urllib.request.urlopen(url, timeout=_SECONDS):  # noqa: S310 - its scheme was checked
                return True
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = type(error).__name__  # the text of some errors holds the address
    log.warning("heartbeat: its address did not answer in %d tries: %s", _TRIES, reason)
    return False
