"""Each link between the documents leads to a file and to a heading that exist."""

import pytest

from tests.support.documents import PAGES, anchors, links


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
