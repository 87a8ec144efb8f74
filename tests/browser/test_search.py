"""The search finds the page that a reader looks for, and opens from the 404 page."""

import re

import pytest
from tests.browser.conftest import Window
from tests.browser.test_pages import violations

pytestmark = pytest.mark.browser

FIRST = {
    "pretrained": "weights/",
    "timm": "from-timm/",
    "install": "installation/",
    "fine-tune": "transfer-learning/",
    "channels last": "shape-errors/#channels-last-nhwc-or-memory_format",
    "batch_first": "course/recurrence/#layouts-batch_first",
}
"""Queries, and the address of what is found first: a page, or the section of one."""


@pytest.mark.parametrize(("query", "first"), FIRST.items(), ids=FIRST.keys())
def test_the_right_page_is_found_first(desktop: Window, query: str, first: str) -> None:
    page = desktop.open("", search=True).page
    page.keyboard.press("/")  # the theme's shortcut
    page.keyboard.type(query)
    results = page.locator(".md-search-result__item")
    results.first.wait_for()
    # a page, and below it its sections, of which only the first are shown
    links = [link.get_attribute("href") or "" for link in results.first.get_by_role("link").all()]
    found = [re.sub(r"\?.*?(?=#|$)", "", link).removeprefix(desktop.home) for link in links]
    assert first in found[:2]


def test_the_search_of_the_404_page_opens_the_results(window: Window) -> None:
    visit = window.open("a/b/c", search=True)
    visit.page.get_by_role("searchbox", name="Search the documentation").fill("lenet")
    visit.page.keyboard.press("Enter")
    visit.page.locator(".md-search-result__link").first.wait_for()
    assert violations(visit, window.look) == []
