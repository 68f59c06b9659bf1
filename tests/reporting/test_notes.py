"""A finished run in few words."""

from pipeline.reporting import notes, results


def row(ticker, **fields):
    """Return a row without figures."""
    return results.result(ticker, [], f"run-of-{ticker}")._replace(**{"reason": "", "step": "forecast"} | fields)


PROMOTED = row("AAA", decision="promoted", skill=0.0123, coverage_95=0.951, interval_skill_95=0.05, forecast=1234.5)
KEPT = row("BBB", decision="refused")
FAILED = row("CCC", reason="no price", step="ingest", decision="promoted")


def test_counts_name_only_what_there_is():
    """A failed ticker counts once, whatever was decided in an earlier try."""
    assert notes.counts([PROMOTED, PROMOTED, KEPT]) == "2 promoted, 1 kept"
    assert notes.counts([PROMOTED, KEPT, FAILED]) == "1 promoted, 1 kept, 1 failed"
    assert notes.counts([row("AAA")]) == "1 not judged"


def test_a_note_names_the_failed_tickers_and_fits_into_airflows_field():
    """The counts come first; many failures are cut, not the counts."""
    assert notes.run_note([PROMOTED, FAILED], ("[MLflow](http://x)",)) == (
        "1 promoted, 1 failed\n\nCCC failed in ingest\n\n[MLflow](http://x)"
    )
    many = notes.run_note([FAILED._replace(ticker="X" * 32)] * 500, ("y" * 300,))
    assert many.startswith("500 failed\n\n")
    assert "and 490 more" in many
    assert len(many) <= notes.MAX_NOTE


def test_the_table_has_failed_tickers_first_and_links():
    """A long table is cut, with the place of the rest."""
    table = notes.table([PROMOTED, FAILED], "http://x/{}".format)
    assert table.splitlines()[2:] == [
        "| [CCC](http://x/run-of-CCC) | failed in ingest | - | - | - | - |",
        "| [AAA](http://x/run-of-AAA) | promoted | +0.0123 | +0.050 | 95.1% | 1,234.50 |",
    ]
    assert notes.table([KEPT] * 100, str).endswith("80 more are in `results.json` and in the view of the night.")


def test_a_ticker_that_waits_has_a_word_of_its_own():
    """It is neither failed nor kept."""
    waiting = row("DDD", waiting="2 closes differ")
    assert notes.counts([PROMOTED, waiting, FAILED]) == "1 promoted, 1 waiting, 1 failed"
    assert notes.run_note([PROMOTED, waiting]) == "1 promoted, 1 waiting\n\nDDD waits for a decision"
    assert "| waiting |" in notes.table([waiting], str)
