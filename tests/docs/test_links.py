"""Each link between the documents leads to a file and to a heading that exist."""

import re

import pytest

from tests.support.documents import CHECKOUT, PAGES, anchors, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_somewhere(page):
    """Files and folders of the checkout, pictures, headings."""
    for link in links(page):
        target = (page.parent / link.file).resolve() if link.file else page
        assert target.exists(), f"{link.place}: {link.file}"
        if link.anchor:
            assert link.anchor in anchors(target), f"{link.place}: #{link.anchor}"


def test_links_are_found():
    """Otherwise the test above could not fail."""
    found = [link for page in PAGES for link in links(page)]
    assert sum(bool(link.anchor) for link in found) > 5
    assert len(found) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_and_each_test_of_the_text_exists(page):
    """Such as `pipeline/tracking/routes.py`, and the tests that docs/security.md names."""
    text = page.read_text()
    files = re.findall(r"\b(?:pipeline|tests|docs|docker|bench|setup|dags|expectations)/[\w/]+\.(?:py|json|md)\b", text)
    assert [one for one in files if not (CHECKOUT / one).exists()] == []
    tests = "\n".join(file.read_text() for file in (CHECKOUT / "tests").rglob("test_*.py"))
    assert [one for one in re.findall(r"`(test_\w+)`", text) if f"def {one}(" not in tests] == []
