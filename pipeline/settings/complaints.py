"""The complaints of pydantic as errors that name the variable, the option or the key, and give an example."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline.errors import UsageError
from pipeline.settings.parameters import BY_NAME
from pipeline.settings.variables import PREFIX

_FILE = "closecast.toml"
# By pydantic's kind of error: the end of a sentence that starts with "<name> must be".
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "date_from_datetime_inexact": "a date, YYYY-MM-DD",
    "date_from_datetime_parsing": "a date, YYYY-MM-DD",
    "date_parsing": "a date, YYYY-MM-DD",
    "date_type": "a date, YYYY-MM-DD",
    "dict_type": "an object in JSON",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "model_type": "an object in JSON",
    "tuple_type": "a list",
}


def broken_setting(error: ValidationError, settings: type[BaseModel], given: Collection[str]) -> UsageError:
    """Return pydantic's first complaint about the settings as a `UsageError`.

    Args:
        error: of pydantic.
        settings: the class of the settings.
        given: names of the settings that a command or a form has set.
    """
    # Without the position in a list: the list is one value.
    path = [part for part in error.errors()[0]["loc"] if isinstance(part, str)]
    value = _example(settings, path)
    if path and path[0] in given:
        text = _as_text(value)
        parameter = BY_NAME.get(path[0])
        example = f"{parameter.variable}={text} or {parameter.option} {text}" if parameter else f"{path[0]}={text}"
        return _broken_rule(error, "the command", path[0], example)
    if variable := variable_of(path):
        inner = path[len(variable.split("__")) :]  # such as tolerance in CLOSECAST_GATE='{"tolerance": -1}'
        example = json.dumps(_nested(inner, value)) if inner else _as_text(value)
        name = f"{'.'.join(inner)} in {variable}" if inner else variable
        return _broken_rule(error, "the environment", name, f"{variable}={example}")
    key = ".".join(path)
    return _broken_rule(error, _FILE, key, f"{key} = {json.dumps(value)}")


def broken_override(error: ValidationError, preset: type[BaseModel]) -> UsageError:
    """Return pydantic's first complaint about the changed fields of a preset as a `UsageError`."""
    path = [part for part in error.errors()[0]["loc"] if isinstance(part, str)]
    name = ".".join(path) or "preset"
    return _broken_rule(error, "the overrides of this run", name, f"{name}={json.dumps(_example(preset, path))}")


def _broken_rule(error: ValidationError, where: str, name: str, example: str) -> UsageError:
    """Return pydantic's first complaint as a `UsageError`; the others are named.

    Args:
        error: of pydantic.
        where: the place of the value: a file, the environment, a command.
        name: of the value in that place.
        example: a right value with its name, or "null" after its name.
    """
    complaints = error.errors()
    names = [".".join(str(part) for part in one["loc"]) or "settings" for one in complaints]
    first = complaints[0]
    # A URL holds passwords, and a misspelt name may stand for a URL.
    is_secret = names[0].endswith(("_url", "_urls", "_uri")) or first["type"] == "extra_forbidden"
    received = "a value that is not shown here" if is_secret else repr(first.get("input"))[:200]
    others = f" Also wrong: {', '.join(names[1:])}." if len(names) > 1 else ""
    if first["type"] == "extra_forbidden":
        return UsageError(f"{name}: Closecast has no such setting.", received, f"Correct {name} in {where}.{others}")
    such_as = f", such as {example}" if not example.endswith("null") else ""
    return UsageError(_rule(name, first), received, f"Correct {name} in {where}{such_as}.{others}")


def _rule(name: str, complaint: ErrorDetails) -> str:
    if expected := _EXPECTED.get(complaint["type"]):
        return f"{name} must be {expected}."
    before, should, rest = complaint["msg"].partition("Input should be ")
    return f"{name} must be {rest}." if should and not before else f"{name}: {complaint['msg']}."


def variable_of(path: Sequence[str]) -> str:
    """Return the variable that set the value at `path`: its own, or that of an object around it; empty if none did."""
    found = {name.upper(): name for name, value in os.environ.items() if value.strip()}
    for length in range(len(path), 0, -1):
        variable = PREFIX + "__".join(path[:length]).upper()
        if variable in found:
            return found[variable]
    return ""


def _example(model: type[BaseModel], path: Sequence[str]) -> Any:  # noqa: ANN401 - the type depends on the field
    """Return a right value of the field at `path`; None without one."""
    if not path or path[0] not in model.model_fields:
        return None
    field = model.model_fields[path[0]]
    for inner in _models(field.annotation):
        rest = path[1:] if field.annotation is inner else path[2:]  # after the key of a dict
        if rest and (value := _example(inner, rest)) is not None:
            return value
    return _value(field)


def _value(field: FieldInfo) -> Any:  # noqa: ANN401 - the type depends on the field
    if field.examples:
        return field.examples[0]
    default = field.get_default(call_default_factory=False)
    return default if isinstance(default, (bool, int, float, str)) and default != "" else None


def _models(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any type
    """Return the pydantic models in a type, such as Preset in dict[str, Preset]."""
    kinds = (annotation, *get_args(annotation))
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _nested(path: Sequence[str], value: object) -> object:
    """Return {"daily": {"epochs": 80}} for the path daily, epochs."""
    return {path[0]: _nested(path[1:], value)} if path else value


def _as_text(value: object) -> str:
    """Return a value as the environment has it; "null" for None."""
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value)
