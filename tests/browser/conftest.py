"""Fixtures that open the documentation in Chromium.

The tests need `pip install '.[browser]'` and a Chromium on the PATH; without either they are
skipped. playwright is imported by a fixture, so that the tests can be collected without it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.browser.serving import SUB_PATH, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parents[2]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")

NO_INDEX = {"config": {"lang": ["en"], "separator": " ", "pipeline": [], "fields": {}}, "docs": []}
"""What the theme reads in place of the index of the search."""


class Look(NamedTuple):
    """A width of the window in pixels, and a colour scheme."""

    width: int
    scheme: str


LOOKS = [Look(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]


class Visit(NamedTuple):
    """A page that was opened.

    Attributes:
        page: The page, when it has been loaded.
        status: The HTTP status of the document.
        errors: What the page has written to the console as an error, and its uncaught exceptions.
        foreign: The addresses on other hosts that the page has requested.
    """

    page: "Page"
    status: int
    errors: list[str]
    foreign: list[str]


class Window:
    """A browser window of one look, which opens pages of the site."""

    def __init__(self, context: "BrowserContext", home: str, look: Look) -> None:
        self.home = home
        self.look = look
        self._context = context

    def open(self, path: str, *, search: bool = False) -> Visit:
        """Open a page, by its path from the home page; its search finds nothing by default.

        The theme indexes the whole site whenever a page is opened, which takes seconds.
        """
        for page in self._context.pages:
            page.close()
        page = self._context.new_page()
        if not search:
            page.route("**/search_index.json", lambda route: route.fulfill(json=NO_INDEX))
        errors: list[str] = []
        foreign: list[str] = []
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: self._note(request.url, foreign))
        response = page.goto(self.home + path)
        assert response
        return Visit(page, response.status, errors, foreign)

    def _note(self, url: str, foreign: list[str]) -> None:
        """Add an address to the foreign ones if it is not below that of the home page."""
        if not url.startswith((self.home, "data:", "blob:")):
            foreign.append(url)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built documentation: `SHAPEZOO_SITE`, or else it is built."""
    if built := os.environ.get("SHAPEZOO_SITE"):
        return Path(built).resolve()
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "SITE_URL": f"http://127.0.0.1{SUB_PATH}"},
        check=True,
    )
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """A headless Chromium, or a skipped test where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install '.[browser]'")
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if executable is None:
        pytest.skip(f"none of {', '.join(CHROMIUMS)} is on the PATH")
    # Chromium refuses to run its sandbox as root
    arguments = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def home(chromium: "Browser", site: Path) -> Iterator[str]:
    """The address of the home page; the site is not built where there is no Chromium."""
    with serve(site) as address:
        yield address


@pytest.fixture(scope="session", params=LOOKS, ids=lambda look: f"{look.width}-{look.scheme}")
def window(chromium: "Browser", home: str, request: pytest.FixtureRequest) -> Iterator[Window]:
    """A window of each look."""
    with _window(chromium, home, request.param) as window:
        yield window


@pytest.fixture(scope="session")
def desktop(chromium: "Browser", home: str) -> Iterator[Window]:
    """A wide window in the light scheme, for tests that do not depend on the look."""
    with _window(chromium, home, LOOKS[0]) as window:
        yield window


@contextmanager
def _window(chromium: "Browser", home: str, look: Look) -> Iterator[Window]:
    context = chromium.new_context(
        viewport={"width": look.width, "height": 900},
        color_scheme="dark" if look.scheme == "dark" else "light",
    )
    yield Window(context, home, look)
    context.close()
