"""`closecast diff` on two vintages of Netflix: real prices, with the steps that read them."""

import json
import shutil

import pandas as pd
import pytest

from pipeline.settings import load_settings
from pipeline.steps import FLOW
from tests.support.commands import say
from tests.support.nights import night


@pytest.fixture(scope="module")
def vintages(tmp_path_factory, test_data):
    """Run the first steps on two nights of Netflix; on the second, the source has another close of 2019-01-02."""
    from tests.support.tiny import tiny_settings

    home = tmp_path_factory.mktemp("vintages")
    (home / "prices").mkdir()
    prices = pd.read_csv(test_data / "NFLX.csv")
    with pytest.MonkeyPatch.context() as patch:
        tiny_settings(patch, home)
        for name, value in {"SOURCE": "files", "PRICES": str(home / "prices"), "START": "2017-01-03"}.items():
            patch.setenv(f"CLOSECAST_{name}", value)
        for name, as_of in (("1", "2022-04-22"), ("2", "2022-04-25")):
            prices.to_csv(home / "prices" / "NFLX.csv", index=False)
            night(name, as_of, steps=FLOW[:1], tickers=("NFLX",), accept_restated=name == "2")
            prices.loc[prices["Date"] == "2019-01-02", "Close"] += 1
    return home


@pytest.fixture(autouse=True)
def _store(request, monkeypatch):
    """Use the store of the vintages."""
    if "vintages" in request.fixturenames:
        monkeypatch.setenv("CLOSECAST_VAR", str(request.getfixturevalue("vintages") / "var"))


@pytest.mark.parametrize("sides", [("manual__1", "manual__2"), ("NFLX@2022-04-22", "NFLX@2022-04-25")])
def test_the_changed_row_is_named(vintages, sides):
    """With both prices, in the words of a restatement; the new session, too. The exit code is that of diff."""
    del vintages
    code, text = say("diff", *sides)
    assert code == 1
    assert text.startswith(f"{sides[0]} and {sides[1]} differ: data 4")
    for words in ("1 of 1,336 closes differs", "2019-01-02: 267.66 -> 268.66", "1 added: 2022-04-25"):
        assert words in text
    assert "currency" not in text  # equal on both sides


def test_json_and_markdown_have_the_same(vintages):
    """The rows of a change are in both."""
    del vintages
    code, text = say("diff", "manual__1", "manual__2", "--json")
    found = json.loads(text)
    assert (code, found["differs"]) == (1, True)
    assert [line["name"] for line in found["shared"]] == ["accept_restated"]
    assert any("2019-01-02: 267.66 -> 268.66" in line["rows"] for line in found["tickers"]["NFLX"]["lines"])
    code, text = say("diff", "manual__1", "manual__2", "--md")
    assert code == 1
    assert "| data | closes | 1 of 1,336 closes differs<br>2019-01-02: 267.66 -> 268.66 |  |  |" in text.splitlines()


def test_a_run_equals_itself(vintages):
    """Exit code 0."""
    del vintages
    code, text = say("diff", "manual__1", "manual__1", "--ticker", "NFLX")
    assert (code, "are equal in all" in text) == (0, True)


@pytest.mark.parametrize(
    "words",
    [
        ("manual__1", "manual__9"),
        ("manual__1", "NFLX@1"),  # no run has registered a version
        ("manual__1", "manual__2", "--ticker", "AAPL"),
        ("manual__1", "manual__2", "--json", "--md"),
        ("../../etc/passwd", "manual__2"),
    ],
)
def test_what_cannot_be_compared_is_exit_code_2(vintages, words):
    """1 means a difference."""
    del vintages
    code, text = say("diff", *words)
    assert (code, len(text.strip().splitlines())) == (2, 3)


def test_a_damaged_snapshot_is_no_difference(vintages, monkeypatch, tmp_path):
    """Exit code 2, as for every other error."""
    shutil.copytree(vintages / "var", tmp_path / "var")
    monkeypatch.setenv("CLOSECAST_VAR", str(tmp_path / "var"))
    for piece in tmp_path.glob("var/store/_snapshots/NFLX/2019-*.parquet"):
        piece.write_bytes(b"PAR1")
    assert load_settings().store_url.startswith(str(tmp_path))
    code, text = say("diff", "manual__1", "manual__2")
    assert (code, "snapshot" in text) == (2, True)
