"""HTML pages."""

import jinja2
import pytest

from pipeline.outcome import Finding
from pipeline.pages import render

FINDING = Finding(rule="<script>alert(1)</script>", severity="warning", observed="a & b", limit="< 3")


def validation_page(**changed):
    """Return the page of the checks with one finding."""
    values = {
        "ticker": "AAA", "as_of": "2025-11-21", "findings": [FINDING], "rules": [], "sessions": 1234, "removed": "",
    }  # fmt: skip
    return render("validation.html.j2", **values | changed).decode()


def test_every_value_is_escaped():
    """A rule, a figure or a limit cannot add markup to the page."""
    page = validation_page()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a &amp; b (limit: &lt; 3)" in page


def test_a_page_fetches_nothing():
    """It holds its style, and no address."""
    page = validation_page()
    assert "<style>" in page
    for fetching in ("http", "src=", "@import", "url(", "<link"):
        assert fetching not in page


def test_a_value_that_is_missing_raises():
    """An empty place in the page would hide it."""
    with pytest.raises(jinja2.UndefinedError, match="'ticker' is undefined"):
        render("validation.html.j2", as_of="2025-11-21")
