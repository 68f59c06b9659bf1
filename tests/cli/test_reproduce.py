"""`closecast reproduce`: the verdict first, one line per stage, exit code 1 for a difference."""

from pipeline.store.runs import run_folder
from tests.support.commands import say


def test_a_changed_setting_is_the_first_line(two_nights_copied):
    """With the file, and exit code 1."""
    folder = run_folder(two_nights_copied.store_url, "manual__2")
    folder.write("settings.json", folder.read("settings.json").replace(b"XNYS", b"XNYT"))
    code, text = say("reproduce", "AAA@2")
    first, second = text.splitlines()
    assert code == 1
    assert first.startswith("NOT reproduced: AAA@2, as of 2025-11-21. First difference of AAA, in settings: ")
    assert "settings.json" in first
    assert second.startswith("settings  DIFFERS; first: the record was changed: ")


def test_an_unknown_night_is_wrong_usage(tiny):
    """In three lines."""
    code, text = say("reproduce", "AAA@2025-11-24")
    assert code == 2
    assert len(text.strip().splitlines()) == 3
    assert list(tiny.var_dir.joinpath("store").iterdir()) == []
