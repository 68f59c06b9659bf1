"""`closecast ledger verify`: the verdict first, exit code 1 for a ledger that was changed."""

import json

import pytest

from pipeline.serving import ledger
from tests.support import tampering
from tests.support.commands import say
from tests.support.tampering import DAYS, TICKER, five_rows, row


@pytest.fixture
def place(tiny):
    """Return the ledger of five rows of AAA and one of NFLX."""
    five_rows(tiny.ledger_place)
    ledger.write(tiny.ledger_place, row(DAYS[0], ticker="NFLX"))
    return tiny.ledger_place


def test_a_whole_ledger(place):
    """Verdict, newest hash, number of copies; as JSON too."""
    code, text = say("ledger", "verify")
    assert code == 0
    head = ledger.head(place, TICKER)
    assert text.splitlines() == [
        "The ledger is as it was written: 6 rows of 2 ticker(s).",
        f"AAA: 5 rows, newest hash {head.hash} (2025-11-21 v1), no copy outside",
        f"NFLX: 1 rows, newest hash {ledger.head(place, 'NFLX').hash} (2025-11-17 v1), no copy outside",
    ]
    code, text = say("ledger", "verify", "nflx", "--json")
    assert code == 0
    read = json.loads(text)
    assert (read["whole"], [one["ticker"] for one in read["tickers"]]) == (True, ["NFLX"])
    assert read["tickers"][0]["head"]["position"] == 1


def test_a_changed_row_ends_with_exit_code_1(place):
    """The ticker and the first row are named."""
    tampering.IN_FOLDER["change"][0](place)
    code, text = say("ledger", "verify")
    assert code == 1
    first, second, third = text.splitlines()
    assert first == "The ledger is NOT as it was written: 1 of 2 ticker(s)."
    assert second.startswith("AAA: row 3, 2025-11-19 v1, was changed: its content has hash ")
    assert third.startswith("NFLX: 1 rows")
    code, text = say("ledger", "verify", "AAA", "--json")
    assert code == 1
    assert json.loads(text)["tickers"][0]["broken"]["row"] == "2025-11-19 v1"
    assert say("ledger", "verify", "NFLX")[0] == 0


@pytest.mark.usefixtures("tiny")
def test_an_empty_ledger_and_a_wrong_ticker():
    """Nothing was changed where nothing was written; a name that is no ticker is wrong usage."""
    assert say("ledger", "verify") == (0, "The ledger is as it was written: 0 rows of 0 ticker(s).\n")
    assert say("ledger", "verify", "../etc")[0] == 2
