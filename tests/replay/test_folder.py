"""The folder of a replay: a request is compared field by field, and parts are read in order."""

import datetime as dt

import pytest

from pipeline.errors import Damaged, PipelineError
from pipeline.replay.folder import Part, Request, alone, begun, folder_of, parts, read_request, write_part
from pipeline.replay.replay import contenders_of
from tests.support.replays import NIGHTS, plan_to

FIRST = dt.date(2025, 11, 12)


def request(tiny, **changed):
    """Return the request of a replay of two nights."""
    plan = plan_to(tiny, NIGHTS[-1], "AAA").model_copy(update={"created": dt.datetime(1970, 1, 1, tzinfo=dt.UTC)})
    fields = {
        "nights": (FIRST, dt.date(2025, 11, 13)), "every": 1, "contenders": contenders_of(["unless_worse"], plan),
        "plan": plan, "trainings": {"AAA": (FIRST,)}, "currencies": {"AAA": "USD"}, "prices": {"AAA": "0" * 64},
        "snapshots": {"AAA": {}}, "code": "1", "backend": "tensorflow",
    }  # fmt: skip
    return Request(**(fields | changed))


def part(stop):
    """Return a part without contenders."""
    return Part(stop=stop, skipped=0, from_snapshots=0, records={}, decisions={}, states={}, checked=0)


def test_a_request_begins_continues_or_begins_anew(tiny, tmp_path):
    """The names of the differing fields are the reason, and the parts of before are deleted."""
    home = folder_of(tmp_path, FIRST, FIRST, 1)
    assert home == tmp_path / "replay" / "2025-11-12_2025-11-12_every-1"
    first = request(tiny)
    assert begun(home, first) is None
    write_part(home, "AAA", 0, part(1))
    assert begun(home, first) == ""
    assert len(parts(home, "AAA", 2)) == 1
    preset = first.plan.preset.model_copy(update={"epochs": 9})
    changed = request(tiny, code="2", plan=first.plan.model_copy(update={"preset": preset}))
    assert begun(home, changed) == "epochs, code"
    assert parts(home, "AAA", 2) == []
    assert read_request(home) == changed
    (home / "replay.json").write_text("{}")
    assert begun(home, changed) == "its request is of another version"


def test_only_its_owner_may_enter_the_folder(tiny, tmp_path):
    """As the folders of all state."""
    home = folder_of(tmp_path, FIRST, FIRST, 1)
    with alone(home):
        begun(home, request(tiny))
    assert home.stat().st_mode & 0o077 == 0


def test_two_replays_at_once_in_one_folder_are_refused(tmp_path):
    """The second with another request would delete the parts of the first; afterwards it may begin."""
    with alone(tmp_path), pytest.raises(PipelineError, match="another one is in progress"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_a_damaged_part_is_named(tmp_path):
    """With the next step."""
    write_part(tmp_path, "AAA", 0, part(2))
    (tmp_path / "nights" / "AAA" / "0.json").write_text('{"stop": 2}')
    with pytest.raises(Damaged, match=r"nights/AAA/0\.json: 6 problem"):
        parts(tmp_path, "AAA", 2)


def test_parts_are_read_up_to_the_first_gap(tmp_path):
    """A part that lost the one before it counts for nothing."""
    for first, stop in ((0, 2), (2, 4), (6, 7)):
        write_part(tmp_path, "AAA", first, part(stop))
    assert [one.stop for one in parts(tmp_path, "AAA", 7)] == [2, 4]
