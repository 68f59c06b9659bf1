"""An annotated closecast.toml: each setting with its meaning, and the presets and limits of the checkout's own file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from pipeline.errors import UsageError
from pipeline.settings.gate import Gate
from pipeline.settings.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FILE = "closecast.toml"
_SET = ("tickers", "source", "preset")  # as a first run needs them; all others keep their defaults
_ELSEWHERE = ("home", "presets", "gate")  # `home` is the folder of the file itself
_WIDTH = 100


def annotated(checkout: Path = CHECKOUT) -> str:
    """Return the content of a new closecast.toml.

    Raises:
        UsageError: when the checkout has no closecast.toml, which holds the presets.
    """
    head = (
        "# Settings of Closecast. A line that begins with `# name =` shows the default, or an example if the\n"
        "# default is empty. Remove the sign to set another value. CLOSECAST_<NAME> in the environment wins.\n"
        "# `closecast config` prints the effective values and where each one came from."
    )
    parts = [head, *_entries(Settings, _ELSEWHERE, _SET)]
    gate = ["# The limits that a version must meet before it is served.", "[gate]", *_entries(Gate, (), ())]
    return "\n\n".join(parts) + "\n\n" + _presets(checkout) + "\n" + "\n\n".join(gate) + "\n"


def write(folder: Path) -> Path:
    """Write a closecast.toml into a folder, and return its path.

    Raises:
        UsageError: when the file exists, or cannot be written.
    """
    path = folder / FILE
    text = annotated()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:  # fails if another process has just written one
            file.write(text)
    except FileExistsError:
        raise UsageError(
            "A closecast.toml is never overwritten.", f"{path} exists", "Edit it, or write to another folder."
        ) from None
    except OSError as error:
        raise UsageError(
            "The folder of closecast.toml must be writable.", f"{path}: {error.strerror}", "Name another folder."
        ) from None
    return path


def _entries(model: type[BaseModel], without: tuple[str, ...], given: tuple[str, ...]) -> Iterator[str]:
    """Yield each field as TOML, below its meaning. A field that is not `given` is a comment."""
    for name, field in model.model_fields.items():
        if name in without:
            continue
        sign = "" if name in given else "# "
        meaning = "\n".join(f"# {line}" for line in _wrapped(field.description or ""))
        yield f"{meaning}\n{sign}{name} = {_example(field)}"


def _example(field: FieldInfo) -> str:
    """Return the default as TOML, or an example where the default cannot be written."""
    default = field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        return '""'
    if default is None or default == ():
        default = field.examples[0] if field.examples else "prices"
    return json.dumps(_plain(default))


def _plain(value: Any) -> Any:  # noqa: ANN401 - of any setting
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, _WIDTH)


def _presets(checkout: Path) -> str:
    """Return the presets of the checkout's file, with their comments."""
    path = checkout / FILE
    try:
        text = path.read_text()
    except OSError as error:
        raise UsageError(
            "The presets of a new closecast.toml are those of the checkout.",
            f"{path}: {error.strerror}",
            f"Restore it: git -C {checkout} checkout {FILE}.",
        ) from None
    lines = text.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("[presets."))
    while first and lines[first - 1].startswith("#"):
        first -= 1
    ends = [at for at, line in enumerate(lines) if line.startswith("[") and not line.startswith("[presets.")]
    last = min([at for at in ends if at > first], default=len(lines))
    while last > first and lines[last - 1].startswith("#"):
        last -= 1
    return "\n".join(lines[first:last])
