"""What the README and the home page claim is true, and their pictures are up to date."""

import re
import runpy
from pathlib import Path

import pytest
from mkdocs.config import load_config

from shapezoo import list_models, model_info

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
HOME = (ROOT / "docs/index.md").read_text()
config = load_config(str(ROOT / "mkdocs.yml"))


def section(name: str) -> str:
    """Return the part of the README that the home page includes under this name."""
    start, end = (f"<!-- --8<-- [{mark}:{name}] -->\n" for mark in ("start", "end"))
    return README.split(start)[1].split(end)[0]


def test_the_mistake_is_the_first_common_mistake() -> None:
    hook = config["hooks"]["tools/mistakes.py"]
    mistake = hook.MISTAKES[0]
    assert section("mistake").endswith(f"{mistake.given}\n```\n")
    assert f"`{mistake.call}`" in README
    assert f"`{mistake.call}`" in HOME
    assert section("pytorch") == f"```text\n{hook.without_checks(mistake)[0]}\n```\n"
    assert section("shapezoo") == f"```text\n{hook.with_checks(mistake)}\n```\n"


def test_the_number_of_proved_models_is_right() -> None:
    infos = [model_info(name) for name in list_models()]
    verdicts = [str(verdict) for info in infos for verdict in info.verdicts.values()]
    assert all(verdict.startswith("proved for all") for verdict in verdicts)
    assert f"All {len(infos)} models of the zoo are proved" in " ".join(README.split())
    assert f"{len(infos)} of {len(infos)} models" in HOME


@pytest.mark.parametrize("text", [README, HOME], ids=["README", "home"])
def test_the_number_of_proved_networks_is_the_benchmarks(text: str) -> None:
    rows = (ROOT / "benchmarks/README.md").read_text()
    proved = re.search(r"\| proved \| (\d+) \|", rows)
    total = re.search(r"(\d+) networks; the packages", rows)
    assert proved
    assert total
    assert f"{proved[1]} of {total[1]} networks" in text


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", README) + re.findall(r'src="([^"]+)"', README)
    assert len(links) >= 10
    for link in links:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("name", ["train", "check"])
def test_a_command_is_marked_once(name: str) -> None:
    assert README.count(f"\n<!-- command: {name} -->\n```sh\n") == 1


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return dict(runpy.run_path(str(ROOT / "tools/pictures.py"))["pictures"]())


def test_the_pictures_show_what_the_commands_print_today(drawn: dict[str, str]) -> None:
    for name, svg in drawn.items():
        assert (ROOT / "docs/pictures" / name).read_text() == svg, "run tools/pictures.py"


def test_the_pictures_load_nothing(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        links = re.findall(r"https?://[^\"]+", svg)
        assert set(links) <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"url\((?!#)", svg)
