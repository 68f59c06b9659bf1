"""The effective value of each setting, and the place that it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel
from pydantic_settings import TomlConfigSettingsSource

from pipeline.settings.complaints import variable_of
from pipeline.settings.settings import Environment, Settings, home_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = "closecast.toml"
# Settings with an effective value beside the written one: the property that gives it.
_PLACES = {
    "var": "var_dir",
    "store": "store_url",
    "tracking_uri": "mlflow_uri",
    "ledger": "ledger_place",
    "airflow_url": "airflow_page",
    "mlflow_url": "mlflow_page",
}
_LOGIN = re.compile(r"://\S*@")  # up to the last @: a password may hold / and @
_QUERY = re.compile(r"\?\S*")


class Effective(NamedTuple):
    """One setting."""

    name: str  # such as gate.tolerance
    value: str  # without secrets
    origin: (
        str  # "default", a variable, or "closecast.toml"; a preset's field may come from the preset that `like` names
    )


def effective(settings: Settings) -> list[Effective]:
    """Return every setting, field of `[gate]` and field of a preset, in the order of their definition."""
    environment = Environment(Settings)()
    file = TomlConfigSettingsSource(Settings, home_folder() / _FILE)()
    found = []
    for path, value in _leaves(settings):
        origin = _origin(path, environment, file)
        shown = getattr(settings, _PLACES[path[0]]) if path[0] in _PLACES else value
        found.append(Effective(".".join(path), _shown(path, shown, settings), origin))
    return found


def without_login(text: str) -> str:
    """Return a text without the login of its URLs, and without what follows a question mark."""
    return _QUERY.sub("?...", _LOGIN.sub("://***@", text)) if "://" in text else text


def _leaves(model: BaseModel, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each value that is no model, with its path."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*before, name))
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from _leaves(inner, (*before, name, key))
        else:
            yield (*before, name), value


def _origin(path: Sequence[str], environment: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    if tuple(path) == ("home",):
        return variable_of(path) or "default"
    if _holds(environment, path):
        return variable_of(path) or "environment"
    if _holds(file, path):
        return _FILE
    if path[0] == "presets":
        return _inherited(path, file)
    return "default"


def _inherited(path: Sequence[str], file: Mapping[str, Any]) -> str:
    """Return the origin of a preset's field that the preset itself does not set."""
    presets = file.get("presets", {})
    _, name, field = path
    while like := presets.get(name, {}).get("like"):
        name = like
        if variable := variable_of(("presets", name, field)):
            return f"{variable}, by like"
        if field in presets.get(name, {}):
            return f"{_FILE}, presets.{name}"
    return "default"


def _holds(values: Mapping[str, Any], path: Sequence[str]) -> bool:
    at: Any = values
    for name in path:
        if not isinstance(at, Mapping) or name not in at:
            return False
        at = at[name]
    return True


def _shown(path: Sequence[str], value: object, settings: Settings) -> str:
    if path[0] == "alert_urls":
        return f"{len(settings.alert_channels)} channel(s), not shown" if settings.alert_channels else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return without_login(text)
