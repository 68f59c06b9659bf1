"""A network that trains in a second. Tests that need a trained model use it, and define no other."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from pipeline.settings import Settings, load_settings
from pipeline.settings.foreign import foreign_variables

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NETWORK = {"LOOKBACK": "5", "UNITS": "[3, 2]", "EPOCHS": "3", "BATCH_SIZE": "64"}
# So small a network can miss the gate's limits. Tests that need a promotion set wide limits.
WIDE_GATE = json.dumps({"tolerance": 1000, "significance": 1e-9, "min_coverage_95": 0, "max_coverage_95": 1})


def network_variables(preset: str = "daily", **changed: object) -> dict[str, str]:
    """Return the environment variables that make a preset tiny. `changed` replaces fields, such as `epochs=60`."""
    fields = NETWORK | {name.upper(): str(value) for name, value in changed.items()}
    return {f"CLOSECAST_PRESETS__{preset.upper()}__{name}": value for name, value in fields.items()}


def set_network(patch: pytest.MonkeyPatch, preset: str = "daily", **changed: object) -> None:
    """Make a preset tiny in the environment."""
    for name, value in network_variables(preset, **changed).items():
        patch.setenv(name, value)


def tiny_settings(patch: pytest.MonkeyPatch, home: Path, **changed: object) -> Settings:
    """Set the environment to a tiny network, four years of sessions and state below `home`, and return the settings."""
    set_network(patch, **changed)
    for name in foreign_variables(os.environ):  # MLflow's client leaves some in this process
        patch.delenv(name)
    patch.setenv("CLOSECAST_VAR", str(home / "var"))
    patch.setenv("CLOSECAST_START", "2022-01-03")
    patch.setenv("CLOSECAST_AS_OF", "2025-11-21")
    return load_settings()
