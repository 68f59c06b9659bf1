"""Names and descriptions of the faults of the synthetic market. `pipeline.prices.sources.faults` injects them."""

from __future__ import annotations

from typing import Literal

Fault = Literal[
    "bad_bar",
    "null_tail",
    "gap",
    "duplicate",
    "split",
    "unadjusted_split",
    "stale",
    "negative",
    "fake_holiday",
    "partial_bar",
    "truncated",
]

# `closecast run --help` shows these lines. They are here because this module imports nothing heavy.
FAULTS: dict[Fault, str] = {
    "bad_bar": "the newest session's high lies below its low",
    "null_tail": "the newest session has a volume but no prices",
    "gap": "two of the newest five sessions are missing, but not the newest one",
    "duplicate": "the newest session appears twice, with different volumes",
    "split": "a correct 2:1 split on the newest session: recorded, and all history restated",
    "unadjusted_split": "the newest session trades at half the price, with no split recorded and no history restated",
    "stale": "the source stopped: the newest three sessions are missing",
    "negative": "the newest close is negative",
    "fake_holiday": "a row on the newest holiday of the exchange, copied from the session before it",
    "partial_bar": "the newest session has a tenth of its usual volume, as if it had not closed",
    "truncated": "all sessions but the newest 60 are missing",
}
