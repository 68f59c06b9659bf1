"""HTML pages that need nothing else: no script, no font, no picture is fetched from anywhere."""

from __future__ import annotations

from pathlib import Path

_TEMPLATES = Path(__file__).parent


def render(name: str, **values: object) -> bytes:
    """Return the template `name` (beside this file) filled in; every value is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name).render(**values).encode()
