"""The pages about the code name files that exist, and list every private name that is used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/shapezoo"
PAGES = sorted((ROOT / "docs/internals").glob("*.md"))
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES}

PUBLIC = {"_replace", "_fields", "_asdict", "_field_defaults", "_make"}  # of NamedTuples
PUBLIC |= {"_getframe", "_check"}  # documented by Python and by PyTorch


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith(("__", "_shapezoo")) and name not in PUBLIC


def private_names(code: str) -> Iterator[str]:
    """Private names of other packages in some code: imported, read as an attribute, or patched."""
    tree = ast.parse(code)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                own.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                own.add(name)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if "shapezoo" not in module:
                is_hidden = any(map(is_private, module.split(".")))
                yield from (n.name for n in names if is_hidden or is_private(n.name))
            case ast.Attribute(value=value, attr=name) if is_private(name):
                if name not in own or ast.unparse(value).startswith("torch"):
                    yield name
            case ast.Call(
                func=ast.Name(id="getattr") | ast.Attribute(attr="object"),
                args=[_, ast.Constant(value=str(name)), *_],
            ) if is_private(name):
                yield name


def used() -> set[tuple[str, str]]:
    """Each file with the private names that it uses."""
    return {
        (str(file.relative_to(SOURCE)), name)
        for file in SOURCE.rglob("*.py")
        for name in private_names(file.read_text("utf-8"))
    }


def listed() -> set[tuple[str, str]]:
    """The same by the table of private names, whose rows end with a test."""
    table = TEXTS["private-names.md"]
    rows = re.findall(r"^\| (`.+?`) \| (`.+?`) \| .+ \| `tests/.+` \|$", table, re.MULTILINE)
    return {
        (file, name.rpartition(".")[2])
        for names, files in rows
        for name in re.findall(r"`(.+?)`", names)
        for file in re.findall(r"`(.+?)`", files)
    }


def test_private_names_are_found() -> None:
    code = """
from torch._subclasses.fake_tensor import FakeTensor
from jaxtyping import _storage
def f(self, module, pair):
    self._own, module._modules, pair._replace(a=1), getattr(module, "_flat"), torch._C._get()
"""
    found = {"FakeTensor", "_storage", "_modules", "_flat", "_C", "_get"}
    assert set(private_names(code)) == found


def test_every_private_name_is_in_the_table() -> None:
    assert used() - listed() == set()
    assert listed() - used() == set()


@pytest.mark.parametrize("page", TEXTS)
def test_a_page_names_files_that_exist(page: str) -> None:
    named = re.findall(r"`((?:src|tests|tools|examples)/[\w./]+)`", TEXTS[page])
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", TEXTS)
def test_the_code_leads_to_each_page(page: str) -> None:
    sources = (file.read_text("utf-8") for file in SOURCE.rglob("*.py"))
    assert any(f"docs/internals/{page}" in source for source in sources)


def test_tests_in_the_table_exist() -> None:
    rows = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXTS["private-names.md"])
    assert rows
    for path, name in rows:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8")
