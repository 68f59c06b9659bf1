"""Files with secrets are written once, and only their owner can read them."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from pipeline.operations.secret_file import write_secret

if TYPE_CHECKING:
    from pathlib import Path


def test_secret_is_written_once_and_for_its_owner(tmp_path: Path) -> None:
    """A second call keeps the file, unless it is asked to replace it."""
    place = tmp_path / "secret"
    write_secret(place, "one")
    write_secret(place, "two")
    assert place.read_text() == "one"
    write_secret(place, "three", replace=True)
    assert place.read_text() == "three"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_a_file_of_a_killed_write_is_replaced(tmp_path: Path) -> None:
    """A leftover `.new` file with open rights does not pass its mode on."""
    (tmp_path / "secret.new").write_text("half")
    write_secret(tmp_path / "secret", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert (tmp_path / "secret").read_text() == "whole"
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
