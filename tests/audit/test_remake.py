"""The code of a night makes its steps again; a request for other code, or an unknown champion, is refused."""

from types import SimpleNamespace

import pytest

from pipeline.audit import remake
from pipeline.errors import Damaged, PipelineError
from pipeline.outcome import Effects, Outcome, Release
from pipeline.steps import FLOW
from pipeline.tracking.champion_record import ChampionRecord
from pipeline.tracking.versions import Version


def test_other_code_than_that_of_the_night_is_refused(tiny, tmp_path):
    """Before a step runs."""
    request = remake.Request(run="manual__1", code="another", tickers={})
    (tmp_path / remake.REQUEST).write_text(request.model_dump_json())
    with pytest.raises(Damaged, match="recorded with another"):
        remake.main(tmp_path)
    assert not (tmp_path / remake.MADE).exists()
    assert not tiny.var_dir.joinpath("store").exists()


def test_the_forecast_is_made_by_the_version_of_the_night():
    """The champion before it, the new version, or one that the record does not know."""

    class _Folder:
        def read(self, name):
            return name.encode()

    class _Unit:
        folder = _Folder()
        ticker = "AAA"

    before = ChampionRecord(number=2, tags={"as_of": "2025-11-20"})
    release = Release(promoted=True, champion=2, reason="", tags={"as_of": "2025-11-21"}, description="")
    outcome = Outcome(effects=Effects(release=release))

    def served(by):
        asked = remake.Asked(until="forecast", champion=before, released=3, forecast_by=by)
        return remake._served(asked, _Unit(), outcome)

    assert served(None) is None
    assert served(2) == before.version
    assert served(3) == (Version(3, "", "", release.tags), b"served.keras", b"served.json")
    with pytest.raises(PipelineError, match="v4 of AAA"):
        served(4)


def test_a_ticker_that_joined_the_shared_training_comes_after_it():
    """As in the night: its rows did not shape the network."""

    def unit(ticker):
        return SimpleNamespace(ticker=ticker, plan=SimpleNamespace(shares_network=True))

    before = ChampionRecord(number=None)
    asked = {
        name: remake.Asked(until="forecast", champion=before, joined=name == "LATE") for name in ("A", "LATE", "B")
    }
    request = remake.Request(run="r", code="c", tickers=asked)
    units = [unit(name) for name in asked]
    steps = {step.name: step for step in FLOW}
    grouped = [[one.ticker for one in group] for group in remake._groups(steps["train"], units, request)]
    assert grouped == [["A", "B"], ["LATE"]]
    assert [len(group) for group in remake._groups(steps["evaluate"], units, request)] == [1, 1, 1]
