"""Settings of Closecast: values from the environment and closecast.toml, presets, the gate's limits, run parameters.

The names below are imported on first use: pydantic takes about 0.6 s, and `closecast --help` needs only
`fault.py` and `parameters.py` of this folder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.settings.settings import CHECKOUT, Gpu, Settings, load_settings

__all__ = ["CHECKOUT", "Gpu", "Settings", "load_settings"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type depends on the name; type checkers read the imports above
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module("pipeline.settings.settings"), name)
