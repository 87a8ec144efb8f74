"""Every page has a description of its own, which search engines and link previews show.

The tests of the built site check those of the generated pages too.
"""

from collections import Counter
from pathlib import Path

from mkdocs.utils.meta import get_data

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def description(markdown: str) -> str:
    """Return the description in the front matter of a page, or an empty string."""
    _, front_matter = get_data(markdown)
    return str(front_matter.get("description", ""))


def test_every_page_has_a_description_of_its_own() -> None:
    found = {page.relative_to(DOCS): description(page.read_text("utf-8")) for page in PAGES}
    assert found
    lengths = {str(page): len(text) for page, text in found.items()}
    assert {page: length for page, length in lengths.items() if not 50 <= length <= 160} == {}
    assert [text for text, count in Counter(found.values()).items() if count > 1] == []


def test_a_page_without_a_description_is_noticed() -> None:
    assert description("# Title\n\ndescription: not in front matter\n") == ""
    assert description("---\nhide: [toc]\n---\n\n# Title\n") == ""
    assert description('---\ndescription: "a: b"\n---\n') == "a: b"
