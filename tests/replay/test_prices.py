"""A night knows its snapshot, or the history cut at the night."""

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.replay.prices import Known, snapshots_of, validated
from pipeline.store.folder import Folder
from tests.support.nights import sample_prices
from tests.support.replays import plan_to

NIGHT = dt.date(2025, 11, 20)


def test_a_night_knows_its_snapshot_and_a_night_without_one_the_cut_history(two_nights):
    """The history here has other prices, which shows the source."""
    plan = plan_to(two_nights, "2025-11-21", "AAA")
    found = snapshots_of(two_nights.store_url, "AAA", plan, dt.date(2025, 11, 19), NIGHT)
    assert list(found) == [NIGHT]
    history = sample_prices("AAA") * 2
    known = Known(two_nights.store_url, "AAA", history, found, plan)
    taken, cut = known.at(NIGHT), known.at(dt.date(2025, 11, 19))
    assert (known.has_snapshot(NIGHT), known.has_snapshot(dt.date(2025, 11, 19))) == (True, False)
    assert str(cut.sessions[-1]) == "2025-11-19"
    assert str(taken.sessions[-1]) == "2025-11-20"
    assert taken.bars.close[-2] * 2 == cut.bars.close[-1]


def test_a_snapshot_of_another_source_or_of_a_failed_night_does_not_count(two_nights_copied):
    """`validate` of one night failed; the plan of the replay asks for files."""
    plan = plan_to(two_nights_copied, "2025-11-21", "AAA")
    first, last = NIGHT, dt.date(2025, 11, 21)
    other = plan.model_copy(update={"source": "yahoo"})
    assert snapshots_of(two_nights_copied.store_url, "AAA", other, first, last) == {}
    folder = Folder(f"{two_nights_copied.store_url}/AAA/2025-11-20/manual__1")
    folder.remove("validate.manifest.json")
    assert list(snapshots_of(two_nights_copied.store_url, "AAA", plan, first, last)) == [last]


def test_a_night_without_a_sound_price_is_left_out(tiny):
    """No row of the session, a close that is missing, a session twice, and too few sessions."""
    plan = plan_to(tiny, "2025-11-20", "AAA")
    raw = sample_prices("AAA")
    assert len(validated(raw, plan).frame) == len(raw) - 1
    night = raw.index.get_loc(pd.Timestamp(NIGHT))
    holed = raw.copy()
    holed.iloc[night - 5, holed.columns.get_loc("close")] = np.nan
    for broken in (
        raw.drop(raw.index[night]),
        holed,
        pd.concat([raw, raw[night : night + 1]]).sort_index(),
        raw[-200:],
    ):
        assert validated(broken, plan) is None
    assert validated(raw[:0], plan) is None
