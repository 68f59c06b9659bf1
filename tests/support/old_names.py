"""Files as versions before December 2026 wrote them: each amount is called `..._usd`."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

AMOUNTS = {
    "rmse", "naive_rmse", "drift_rmse", "ar1_rmse", "network_rmse", "mae", "naive_mae", "width_80", "width_95",
    "walk_forward/rmse", "walk_forward/naive_rmse", "fold/rmse", "fold/naive_rmse", "champion_rmse",
    "last_close", "forecast", "low_80", "high_80", "low_95", "high_95", "anchor_close", "close", "error",
    "cutoff_close", "forecast_low_95", "forecast_high_95",
}  # fmt: skip


def old_name(name: str) -> str:
    """Return the name that a field or column had."""
    return f"{name}_usd" if name in AMOUNTS else name


def old_json(data: bytes) -> bytes:
    """Return JSON as earlier versions wrote it: old names at every depth, and no currency.

    The forecast of a night is the one field of a record that has the name of an amount.
    """

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            name if isinstance(one, dict) else old_name(name): renamed(one)
            for name, one in value.items()
            if name != "currency"
        }

    return json.dumps(renamed(json.loads(data))).encode()


def old_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with old names and without a currency."""
    return frame.drop(columns="currency", errors="ignore").rename(columns=old_name)
