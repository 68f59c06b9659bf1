"""The installed libraries beside a lock."""

import importlib.metadata

from pipeline.operations.installed import differences
from pipeline.settings import CHECKOUT

PANDAS = importlib.metadata.version("pandas")


def test_each_difference_is_named(tmp_path):
    """Another version, a missing library; not one for another machine, nor further libraries."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        f"pandas=={PANDAS} \\\n    --hash=sha256:00\n    # via closecast (pyproject.toml)\n"
        "pytest==0.1 \\\n    --hash=sha256:00\n"
        "typer[all]==0.1 ; python_full_version < '3.12' \\\n"
        "typer[all]==0.2 ; python_full_version >= '3.12' \\\n"
        "no-such-library==1.0 \\\n"
        "pywin32==312 ; sys_platform == 'win32' \\\n"
    )
    found = differences(lock)
    pytest, typer = importlib.metadata.version("pytest"), importlib.metadata.version("typer")
    assert found.other == (f"pytest {pytest} instead of 0.1", f"typer {typer} instead of 0.1 or 0.2")
    assert found.missing == ("no-such-library",)
    assert found.checked == 5


def test_every_entry_of_the_real_lock_is_read():
    """Otherwise a difference could hide."""
    lock = CHECKOUT / "requirements.lock"
    names = {line.partition("==")[0].partition("[")[0] for line in lock.read_text().splitlines() if line[:1].isalnum()}
    assert differences(lock).checked == len(names) > 200
