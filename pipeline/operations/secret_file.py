"""Files that hold a secret and that only their owner can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_secret(path: Path, text: str, *, replace: bool = False) -> None:
    """Write `text` to `path` atomically with mode 0600, and keep an existing file unless `replace` is set."""
    if path.exists() and not replace:
        return
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text(text)
    new.replace(path)
