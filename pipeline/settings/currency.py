"""The currency of prices: a code as sources write it, "" where it is unknown.

Case counts: GBP is pounds, GBp is pence.
"""

from __future__ import annotations

import re

_CODE = re.compile(r"[A-Za-z]{3,5}")
_SAME = {"GBX": "GBp", "ZAC": "ZAc"}  # other codes of pence and of South African cents
UNKNOWN = "unknown"  # in a tag, which cannot be empty


def code_of(text: str) -> str:
    """Return a currency's code in one spelling: USD for "usd", GBp for "GBX"; "" for a text that is no code."""
    code = text.strip()
    if not _CODE.fullmatch(code):
        return ""
    if code.islower():
        code = code.upper()
    return _SAME.get(code, code)


def differ(one: str, other: str) -> bool:
    """Return whether two currencies are known and not the same."""
    return bool(one and other and one != other)
