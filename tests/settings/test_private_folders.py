"""The folders below `var`: private, also those of older versions."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.settings.private_folders import NAMES, check_paths, make_private_folders


def mode(path: Path) -> int:
    """Return the rights of a path."""
    return stat.S_IMODE(path.stat().st_mode)


def test_new_folders_are_private_and_var_can_be_passed(tmp_path):
    """PostgreSQL's account goes through `var`, and cannot list it."""
    var = tmp_path / "a" / "var"
    make_private_folders(var)
    assert mode(var) == 0o711
    assert {name: mode(var / name) for name in NAMES} == dict.fromkeys(NAMES, 0o700)


def test_folders_of_older_versions_are_closed(tmp_path):
    """Their files stay, and so does the mode of a `var` that the user made."""
    tmp_path.chmod(0o750)
    (tmp_path / "mlflow").mkdir(mode=0o755)
    (tmp_path / "mlflow" / "mlflow.db").write_text("rows")
    (tmp_path / "mine").mkdir(mode=0o755)
    make_private_folders(tmp_path)
    assert mode(tmp_path) == 0o750
    assert mode(tmp_path / "mlflow") == 0o700
    assert mode(tmp_path / "mine") == 0o755
    assert (tmp_path / "mlflow" / "mlflow.db").read_text() == "rows"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder directly below /")
def test_a_var_directly_below_the_root_keeps_the_systems_folders_open():
    """With CLOSECAST_VAR=/var, /var/log stays readable for everyone."""
    var = Path(tempfile.mkdtemp(prefix="closecast-", dir="/"))
    try:
        (var / "log").mkdir(mode=0o755)
        make_private_folders(var)
        assert mode(var / "log") == 0o755
        assert mode(var / "mlflow") == 0o700
    finally:
        shutil.rmtree(var)


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path):
    """A read-only checkout has no place for `var`; here a file is in the way, because root may write anywhere."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="CLOSECAST_VAR") as error:
        make_private_folders(tmp_path / "file" / "var")
    assert str(tmp_path / "file") in error.value.received


def test_only_signs_that_a_library_misreads_are_refused():
    """Every other sign was tried, in both paths."""
    check_paths(Path("/home/me/100% {b} 'c' #1/var"), "/home/me/a {b} 'c' #1/.venv")
    with pytest.raises(UsageError, match="%"):
        check_paths(Path("/home/me/var"), "/home/me/50%off/.venv")
    with pytest.raises(UsageError, match=r"\?"):
        check_paths(Path("/home/me/why?/var"), "/home/me/.venv")
