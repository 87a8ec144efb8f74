"""A page of every kind loads, fits its window and is accessible."""

from typing import Any

import pytest
from tests.browser.conftest import Look, Visit, Window

pytestmark = pytest.mark.browser

KINDS = {
    "home": "",
    "installation": "installation/",
    "console output": "contracts/",
    "zoo": "models/",
    "model": "models/lenet/",
    "course": "course/activations/",
    "API": "api/weights/",
    "internals": "internals/proofs/",
    "changelog": "changelog/",
    "not found": "a/b/c",
}
"""A page of each kind. The checks take long on long pages, and find no more there."""

EACH_KIND = pytest.mark.parametrize("path", KINDS.values(), ids=KINDS.keys())


def overflow(visit: Visit) -> int:
    """Return by how many pixels the page is wider than its window."""
    pixels: int = visit.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return pixels


def violations(visit: Visit, look: Look) -> list[str]:
    """Return what axe-core finds, except for what it calls minor, with the first element of each.

    https://dequeuniversity.com/rules/axe explains the rules.
    """
    from axe_playwright_python.sync_playwright import Axe

    # rows of a table are alike, and so are blocks of code; the contrast of each word takes long
    context = {"exclude": [["tbody tr:nth-child(n+5)"], [".highlight ~ .highlight ~ .highlight"]]}
    options: dict[str, Any] = {"resultTypes": ["violations"], "selectors": False, "preload": False}
    if look.scheme == "dark":  # a dark page differs from a light one by its colours only
        options["runOnly"] = ["color-contrast", "link-in-text-block"]
    found = Axe().run(visit.page, context, options).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html']}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] != "minor"
        for node in rule["nodes"][:1]
    ]


@EACH_KIND
def test_a_page_loads_fits_and_is_accessible(window: Window, path: str) -> None:
    visit = window.open(path)
    is_missing = path == KINDS["not found"]
    assert visit.status == (404 if is_missing else 200)
    assert visit.foreign == []
    # Chromium writes the status of a missing document to the console
    assert len(visit.errors) == is_missing, visit.errors
    assert overflow(visit) == 0
    assert violations(visit, window.look) == []


def test_faults_are_found(desktop: Window) -> None:
    visit = desktop.open("api/weights/")
    visit.page.evaluate(
        """() => {
            const article = document.querySelector("article");
            article.innerHTML += `<p style="width: 200vw; color: #999">grey</p>
                <img src="http://127.0.0.1:1/x.png"><button></button>`;
            console.error("an error");
            setTimeout(() => missing());
        }"""
    )
    visit.page.wait_for_function("document.querySelector('article img').complete")
    assert overflow(visit) > 0
    assert [line.partition(" ")[0] for line in violations(visit, desktop.look)] == [
        "button-name",
        "color-contrast",
        "image-alt",
    ]
    assert "an error" in visit.errors
    assert any("missing is not defined" in error for error in visit.errors)
    assert "http://127.0.0.1:1/x.png" in visit.foreign
