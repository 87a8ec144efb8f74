"""The API reference is complete, and shows shapes as they are written."""

import importlib
import inspect
import re
import typing
from pathlib import Path

import griffe
import pytest
from mkdocs.config import load_config
from tests.zoo.subjects import shell

import shapezoo
from shapezoo import list_models
from shapezoo.models import Backbone

ROOT = Path(__file__).parent.parent.parent
PACKAGES = (
    *("contracts", "data", "layers", "models", "proving", "recipes", "registry", "testing"),
    *("tracing", "train", "verdicts", "weights"),
)
HOOK = load_config(str(ROOT / "mkdocs.yml"))["hooks"]["tools/model_reference.py"]
PAGES = [HOOK.on_page_markdown(page.read_text()) for page in (ROOT / "docs/api").glob("*.md")]
DOCUMENTED = [name for page in PAGES for name in re.findall(r"(?m)^::: (\S+)$", page)]


def public() -> dict[str, object]:
    """Every public object, by the shortest name under which it can be imported."""
    found = {f"shapezoo.{name}": getattr(shapezoo, name) for name in shapezoo.__all__}
    top = {id(thing) for thing in found.values()}
    for package in PACKAGES:
        module = importlib.import_module(f"shapezoo.{package}")
        members = {name: getattr(module, name) for name in module.__all__}
        found |= {
            f"shapezoo.{package}.{name}": thing
            for name, thing in members.items()
            if id(thing) not in top
        }
    return {name: thing for name, thing in found.items() if not inspect.ismodule(thing)}


@pytest.mark.parametrize("name", public())
def test_every_public_name_has_a_place_in_the_reference(name: str) -> None:
    assert name in DOCUMENTED


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_every_name_in_the_reference_is_public(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert module.removeprefix("shapezoo").removeprefix(".") in ("", *PACKAGES)
    assert attribute in importlib.import_module(module).__all__


def test_the_reference_shows_every_name_once_and_builders_before_their_class() -> None:
    assert len(set(DOCUMENTED)) == len(DOCUMENTED)
    places = [DOCUMENTED.index(f"shapezoo.models.{name}") for name in ("vit_b_16", "vit_h_14")]
    assert places[0] < places[1] < DOCUMENTED.index("shapezoo.models.VisionTransformer")


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_every_name_in_the_reference_exists_and_is_documented(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    thing = getattr(importlib.import_module(module), attribute)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert thing.__doc__


def test_a_function_with_many_overloads_is_shown_with_one_signature() -> None:
    pages = "\n".join(PAGES)
    many = [
        name
        for name, thing in public().items()
        if inspect.isfunction(thing) and len(typing.get_overloads(thing)) > 3
    ]
    assert "shapezoo.create_model" in many
    for name in many:
        assert f"::: {name}\n    options:\n      show_overloads: false\n" in pages


def taught() -> list[str]:
    """The models of the course: those that are of no family with published weights."""
    return [name for name in list_models() if not isinstance(shell(name), Backbone)]


@pytest.mark.parametrize("name", taught())
def test_every_model_of_the_course_has_a_page_to_read(name: str) -> None:
    (row,) = [
        line
        for line in (ROOT / "docs/models.md").read_text().splitlines()
        if line.startswith("| ") and f"`{name}`" in line
    ]
    (page,) = re.findall(r"\((course/\w+\.md)\)", row)
    assert re.search(rf"\b{name}\b", (ROOT / "docs" / page).read_text())


def test_shapes_keep_their_quotes() -> None:
    extension = f"{ROOT}/tools/shape_strings.py:ShapeStrings"
    package = griffe.load(
        "shapezoo",
        search_paths=[str(ROOT / "src")],
        extensions=griffe.load_extensions(extension),
    )

    def written(annotation: object) -> str:
        return str(annotation).replace("'", '"')

    forward = package["models.course.recurrent.gru.GRU.forward"]
    assert written(forward.parameters["inputs"].annotation) == (
        'Float[Tensor, "seq batch features={self.input_size}"]'
    )
    assert '"layers={self.num_states} batch hidden=' in written(forward.returns)
    assert '"batch"' in written(package["data.images.ImageBatch.labels"].annotation)


def test_builders_show_the_arguments_that_their_class_documents() -> None:
    extension = f"{ROOT}/tools/builder_arguments.py:BuilderArguments"
    package = griffe.load(
        "shapezoo",
        search_paths=[str(ROOT / "src")],
        extensions=griffe.load_extensions(extension),
    )
    docstring = package["models.vision.resnets.resnet.resnet18"].docstring
    assert docstring.value == inspect.getdoc(shapezoo.models.resnet18)
    assert "strides: Stride of each stage" in docstring.value


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## {shapezoo.__version__}" in (ROOT / "CHANGELOG.md").read_text()
