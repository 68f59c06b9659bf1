"""Closecast: nightly retraining of next-session closing-price forecasters that can be audited."""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

# Models that were logged before the modules moved into folders carry code that imports these names from `pipeline`.
_MOVED = {"forecaster": "pipeline.forecasting.old_forecaster", "model": "pipeline.forecasting.model"}


def __getattr__(name: str) -> ModuleType:
    if name in _MOVED:
        return importlib.import_module(_MOVED[name])
    message = f"module 'pipeline' has no attribute {name!r}"
    raise AttributeError(message)
