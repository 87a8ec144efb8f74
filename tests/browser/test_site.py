"""The built site is complete below its sub-path: pages, links, sitemap and descriptions."""

import re
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import urlopen

import pytest
from tests.browser.serving import SUB_PATH, serve

pytestmark = pytest.mark.browser


class Document(HTMLParser):
    """The links, the ids and the description in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.description = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag == "meta" and found.get("name") == "description":
            self.description = found["content"]


def pages(site: Path) -> list[Path]:
    """Return the files of all pages but the 404 page."""
    return sorted(site.rglob("index.html"))


@cache
def document(file: Path) -> Document:
    """Parse a page once."""
    return Document(file.read_text(encoding="utf-8"))


def path_of(site: Path, file: Path) -> str:
    """Return the path at which a page is served."""
    return SUB_PATH + file.relative_to(site).as_posix().removesuffix("index.html")


def broken_links(site: Path, file: Path, path: str) -> list[str]:
    """Return the links of a page, served at a path, that lead to nothing on the site."""
    broken = []
    for link in document(file).links:
        url = urlsplit(urljoin(f"http://site{path}", link))
        if url.netloc != "site":
            continue
        target = site / unquote(url.path).removeprefix(SUB_PATH)
        target = target / "index.html" if url.path.endswith("/") else target
        is_found = url.path.startswith(SUB_PATH) and target.is_file()
        if is_found and url.fragment and target.suffix == ".html":
            is_found = unquote(url.fragment) in document(target).ids
        if not is_found:
            broken.append(link)
    return broken


def status(address: str) -> int:
    """Return the HTTP status of a page."""
    try:
        with urlopen(address) as response:
            found: int = response.status
            return found
    except HTTPError as error:
        with error:
            return error.code


def test_every_page_of_the_sitemap_is_there(site: Path) -> None:
    sitemap = (site / "sitemap.xml").read_text(encoding="utf-8")
    paths = [urlsplit(url).path for url in re.findall(r"<loc>(.+)</loc>", sitemap)]
    assert sorted(paths) == sorted(path_of(site, file) for file in pages(site))
    with serve(site) as home:
        assert {status(urljoin(home, path)) for path in paths} == {200}
        assert status(home + "a/b/c") == 404
        assert status(urljoin(home, "/outside")) == 404


def test_no_link_is_broken_below_the_sub_path(site: Path) -> None:
    for file in pages(site):
        assert broken_links(site, file, path_of(site, file)) == [], file


@pytest.mark.parametrize("path", ["a", "a/b/c", "models/no_such_model/"])
def test_the_links_of_the_404_page_work_at_any_depth(site: Path, path: str) -> None:
    assert broken_links(site, site / "404.html", SUB_PATH + path) == []


def test_every_page_has_a_description_of_its_own(site: Path) -> None:
    found = {path_of(site, file): document(file).description for file in pages(site)}
    lengths = {path: len(text) for path, text in found.items()}
    assert {path: length for path, length in lengths.items() if not 50 <= length <= 160} == {}
    assert [text for text, count in Counter(found.values()).items() if count > 1] == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    links = ["b/", "/b/", "missing/", "b/#there", "b/#missing", "https://example.org", "../"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b/index.html").write_text('<h1 id="there">b</h1>', encoding="utf-8")
    page = tmp_path / "index.html"
    page.write_text("".join(f'<a href="{link}">' for link in links), encoding="utf-8")
    broken = ["/b/", "missing/", "b/#missing", "../"]
    assert broken_links(tmp_path, page, SUB_PATH) == broken
