"""`closecast config` prints the effective settings, `closecast init` writes an annotated closecast.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.columns import columns
from pipeline.cli.messages import errors_for_people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.settings.origins import Effective

_WIDE = 60  # characters of a value that the table shows
_NAMED = 8  # settings that the verdict names


def config(
    *,
    every: Annotated[bool, typer.Option("--all", help="Also print the presets that are not in use.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all settings as JSON.")] = False,
) -> None:
    """Print the effective settings, and where each one came from. Secrets are not shown."""
    with errors_for_people():
        from pipeline.settings import load_settings
        from pipeline.settings.origins import effective

        settings = load_settings()
        found = effective(settings)
        if as_json:
            objects = {one.name: {"value": one.value, "origin": one.origin} for one in found}
            typer.echo(json.dumps(objects, indent=1))
            return
        used = f"presets.{settings.preset}."
        shown = [one for one in found if every or not one.name.startswith("presets.") or one.name.startswith(used)]
        typer.echo(_verdict(found, settings.home))
        typer.echo("\n".join(columns([("setting", "value", "from"), *((_cells(one)) for one in shown)])))
        hidden = len(found) - len(shown)
        if hidden:
            typer.echo(f"{hidden} field(s) of other presets: --all.")


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new file.")] = Path(),
) -> None:
    """Write a closecast.toml that explains each setting. An existing file is not overwritten."""
    with errors_for_people():
        from pipeline.settings.annotated import write

        path = write(folder.expanduser().absolute())
        typer.echo(f"Written: {path}")
        typer.echo("Closecast reads it as closecast.toml of the checkout, or of the folder that CLOSECAST_HOME names.")
        typer.echo("That folder also needs dags/ and expectations/.")


def _verdict(found: Sequence[Effective], home: Path) -> str:
    in_file = sum(one.origin.startswith("closecast.toml") for one in found)
    changed = [one.name for one in found if one.origin != "default" and not one.origin.startswith("closecast.toml")]
    text = f"All settings are valid: {in_file} from {home / 'closecast.toml'}, {len(changed)} from the environment"
    changed.sort(key=lambda name: name.startswith("presets."))  # those last: they are many
    named = ", ".join(changed[:_NAMED]) + (", ..." if len(changed) > _NAMED else "")
    return f"{text} ({named})." if changed else f"{text}."


def _cells(one: Effective) -> tuple[str, str, str]:
    value = one.value if len(one.value) <= _WIDE else f"{one.value[: _WIDE - 3]}..."
    return one.name, value or "-", one.origin
