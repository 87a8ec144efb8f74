"""Calls are typed: mypy and pyright refuse the bad ones, and only those."""

import inspect
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import pytest
from tests.zoo.subjects import shell

from shapezoo import list_models, model_info, models
from shapezoo.contracts import (
    Argument,
    ArgumentKind,
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    Type,
    TypedDictType,
)
from shapezoo.models import Backbone

CALLS = Path(__file__).with_name("calls.py").read_text()
MARK = "  # refused"
WRONG_MARKS = f"""\
from typing import assert_type
from torch import Tensor
from shapezoo import create_model
from shapezoo.models import lenet
lenet(num_classes=26){MARK}
lenet(num_classes="26")
lenet(num_classes="27"){MARK}
def untyped(images: Tensor, name: str) -> None:
    assert_type(create_model(name)(images), Tensor)
"""

Report = Mapping[str, Mapping[int, str]]
"""The errors that a tool finds: by file, by line."""


def mismatches(source: str, errors: Mapping[int, str]) -> dict[str, str]:
    """The lines whose mark is not what the tool says, with what it says."""
    return {
        f"{number}: {line.strip()}": errors.get(number, "accepted")
        for number, line in enumerate(source.splitlines(), start=1)
        if line.endswith(MARK) != (number in errors)
    }


def calls_of(name: str) -> str:
    """A file of good and bad calls of a model of the zoo, written from its contract."""
    contract = model_info(name).signature
    starred = (ArgumentKind.VAR_POSITIONAL, ArgumentKind.VAR_KEYWORD)
    inputs = [argument for argument in contract.inputs if argument.kind not in starred]
    named = {argument.name: by_name(argument, argument.name) for argument in inputs}
    required = [named[argument.name] for argument in inputs if argument.is_required]
    good = [", ".join(required), ", ".join(named.values()), ", ".join(map(by_place, inputs))]
    bad = [
        ", ".join({**named, argument.name: by_name(argument, "object()")}.values())
        for argument in inputs
    ]
    bad += [", ".join(required[:-1])] if required else []
    kinds = [argument.type for argument in inputs] + [contract.output]
    classes = {(cls.__module__, cls.__name__) for kind in kinds for cls in classes_in(kind)}
    parameters = ", ".join(f"{argument.name}: {argument.type}" for argument in inputs)
    lines = [
        "import collections.abc, typing",
        f"from jaxtyping import {', '.join(contract.dtypes)}",
        *(f"from {module} import {cls}" for module, cls in sorted(classes) if module != "builtins"),
        "from shapezoo import create_model, models",
        f"from shapezoo.models import Backbone, {name}",
        f"typing.assert_type(create_model({name!r}), {result_of(name)})",
        f"{name}(no_such_option=1){MARK}",
        f"backbone: Backbone = {name}(){'' if isinstance(shell(name), Backbone) else MARK}",
        f"def calls({parameters}) -> None:",
        *(f"    typing.assert_type({name}()({call}), {contract.output})" for call in good),
        *(f"    {name}()({call}){MARK}" for call in bad),
        f"    {name}()({good[0]}).no_such_attribute(){MARK}",
    ]
    return "\n".join(lines)


def result_of(name: str) -> str:
    """What a builder returns, as its annotation says it."""
    annotation = inspect.signature(getattr(models, name)).return_annotation
    return " | ".join(f"models.{cls.__name__}" for cls in get_args(annotation) or [annotation])


def by_name(argument: Argument, value: str) -> str:
    is_nameless = argument.kind is ArgumentKind.POSITIONAL_ONLY
    return value if is_nameless else f"{argument.name}={value}"


def by_place(argument: Argument) -> str:
    is_placeless = argument.kind is ArgumentKind.KEYWORD_ONLY
    return f"{argument.name}={argument.name}" if is_placeless else argument.name


def classes_in(kind: Type) -> Iterator[type]:
    """The classes that the text of a type names."""
    match kind:
        case TensorType():
            yield kind.annotation.array_type
        case PlainType(annotation=type() as cls):
            yield cls
        case RecordType(record=cls) | TypedDictType(record=cls):
            yield cls
            return
        case SequenceType(container=cls) | DictType(container=cls):
            yield cls
    for part in kind.parts:
        yield from classes_in(part)


def run(*command: str | Path, folder: Path) -> str:
    """What a tool prints that finds errors, with no settings but those given here."""
    mine = ("MYPY", "PYRIGHT")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(mine)}
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=clean, capture_output=True, text=True
    )
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout


def mypy(folder: Path) -> Report:
    """The errors of ``mypy --strict``."""
    cache = Path(__file__).parents[2] / ".mypy_cache/typing"
    options = ("--strict", "--config-file=", f"--cache-dir={cache}", "--output=json", ".")
    report: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for text in run("mypy", *options, folder=folder).splitlines():
        found = json.loads(text)
        if found["severity"] == "error":
            report[found["file"]][found["line"]] = found["message"]
    return report


def pyright(folder: Path) -> Report:
    """The errors of pyright in its standard mode."""
    settings = {"typeCheckingMode": "standard"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    options = ("--outputjson", "--pythonpath", sys.executable)
    report: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for found in json.loads(run("pyright", *options, folder=folder))["generalDiagnostics"]:
        if found["severity"] == "error":
            line = found["range"]["start"]["line"] + 1
            report[Path(found["file"]).name][line] = found["message"]
    return report


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What each tool says of all the files, in one run."""
    folder = tmp_path_factory.mktemp("project")
    sources = {f"zoo_{name}.py": calls_of(name) for name in list_models()}
    sources |= {"calls.py": CALLS, "wrong_marks.py": WRONG_MARKS}
    for name, source in sources.items():
        (folder / name).write_text(source)
    result: Report = request.param(folder)
    return result


@pytest.mark.slow
def test_just_the_marked_calls_are_refused(report: Report) -> None:
    assert mismatches(CALLS, report["calls.py"]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_the_calls_of_a_model_are_typed(name: str, report: Report) -> None:
    assert mismatches(calls_of(name), report[f"zoo_{name}.py"]) == {}


@pytest.mark.slow
def test_a_wrong_mark_is_found(report: Report) -> None:
    found = mismatches(WRONG_MARKS, report["wrong_marks.py"])
    assert [key.partition(":")[0] for key in found] == ["5", "6", "9"]
    assert next(iter(found.values())) == "accepted"
