"""Every kind of page loads, fits its window and is accessible."""

import pytest
from tests.browser.conftest import Visit, Window

pytestmark = pytest.mark.browser

KINDS = {
    "home": "",
    "first steps": "first-steps/",
    "console output": "contracts/",
    "zoo": "models/",
    "model": "models/resnet50/",
    "course": "course/activations/",
    "API": "api/contracts/",
    "internals": "internals/proofs/",
    "changelog": "changelog/",
    "not found": "a/b/c",
}
"""A page of each kind."""

EACH_KIND = pytest.mark.parametrize("path", KINDS.values(), ids=KINDS.keys())


def overflow(visit: Visit) -> int:
    """Return by how many pixels the page is wider than its window."""
    pixels: int = visit.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return pixels


def violations(visit: Visit) -> list[str]:
    """Return what axe-core finds that is serious or critical, with the elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(visit.page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {len(rule['nodes'])}: {node['html'][:200]}"
        f" {[check['message'] for check in node['any'] + node['all'] + node['none']]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"][:3]
    ]


@EACH_KIND
def test_a_page_loads_and_fits_its_window(window: Window, path: str) -> None:
    visit = window.open(path)
    is_missing = path == KINDS["not found"]
    assert visit.status == (404 if is_missing else 200)
    assert visit.foreign == []
    # Chromium reports the status of the document itself
    assert len(visit.errors) == is_missing, visit.errors
    assert overflow(visit) == 0


@EACH_KIND
def test_a_page_is_accessible(window: Window, path: str) -> None:
    assert violations(window.open(path)) == []
