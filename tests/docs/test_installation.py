"""The page about installation agrees with pyproject.toml."""

import re
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/installation.md").read_text("utf-8")


def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        content: dict[str, Any] = tomllib.load(file)["project"]
    return content


def table(page: str, heading: str) -> dict[str, str]:
    """Return the first two columns of the first table below a heading."""
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", section, re.MULTILINE)
    return {name.strip("`"): value for name, value in rows[1:]}


def wrong_versions(page: str) -> list[str]:
    """Return the packages whose versions on a page are not those of pyproject.toml."""
    settings = project()
    required = {
        requirement.name: str(requirement.specifier)
        for requirement in map(Requirement, settings["dependencies"])
    }
    required["Python"] = settings["requires-python"]
    stated = table(page, "Versions")
    assert {"Python", "torch", "torchvision"} <= stated.keys()
    return [name for name, version in stated.items() if required.get(name) != version]


def test_versions_are_those_of_the_package() -> None:
    assert wrong_versions(PAGE) == []
    assert wrong_versions(PAGE.replace("| torch | >=2", "| torch | >=1")) == ["torch"]


def test_every_extra_is_listed_with_its_packages() -> None:
    extras, listed = project()["optional-dependencies"], table(PAGE, "Extras")
    assert listed.keys() == extras.keys()
    for name in extras.keys() - {"docs", "dev"}:  # which bring many
        assert listed[name] == ", ".join(Requirement(text).name for text in extras[name])


def test_the_oldest_python_is_named_in_words() -> None:
    oldest = project()["requires-python"].removeprefix(">=")
    assert f"needs Python {oldest} or newer" in PAGE
