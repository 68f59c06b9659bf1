"""Names of earlier versions: until November 2026 amounts were called `..._usd`, in every currency.

Each reader of an older file or table passes its names through here. No version writes these names any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

_OLD = "_usd"
Value = TypeVar("Value")


def present_name(name: str) -> str:
    """Return the name that a column, metric or field has today: `rmse` for `rmse_usd`, `rmse_20` for `rmse_usd_20`."""
    return name.replace(_OLD, "")


def old_name(name: str) -> str:
    """Return the name that an amount had."""
    return f"{name}{_OLD}"


def present_names(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by their names of today."""
    return {present_name(name): value for name, value in values.items()}


class Renamed(BaseModel):
    """A frozen record that is also read under its old names."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, values: Any) -> Any:  # noqa: ANN401 - not validated yet
        return present_names(values) if isinstance(values, Mapping) else values
