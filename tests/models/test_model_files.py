"""Model files are short, and repeat little of each other."""

import ast
import io
import itertools
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torchvision.models

from shapezoo import models

OURS, THEIRS = (Path(package.__path__[0]) for package in (models, torchvision.models))
FILES = sorted((OURS / "vision").rglob("*.py"))
MOST = 10
"""Lines in a row that two files may share."""

ALIKE = {
    ("alexnet", "vgg"): "the methods of a row of convolutions with three linear layers",
    ("efficientnet_blocks", "mbconv"): "the contract of a block, and what it adds to the input",
    ("mnasnet", "maxvit_blocks"): "the contract of a block with a stride",
    ("swin", "swin_v2"): "a builder",
    ("swin_blocks", "swin_v2"): "the constructor of a block",
}
"""Pairs of files that share more, with what they share."""

FAMILIES = {
    "convnext": ["convnext"],
    "densenet": ["densenet"],
    "efficientnet": ["mbconv", "efficientnet_blocks", "efficientnet", "efficientnet_v2"],
    "googlenet": ["googlenet"],
    "inception": ["inception_modules", "inception_v3"],
    "maxvit": ["maxvit_blocks", "maxvit"],
    "mnasnet": ["mnasnet"],
    "mobilenetv2": ["mobilenet_v2"],
    "mobilenetv3": ["mbconv", "mobilenet_v3"],
    "regnet": ["regnet"],
    "resnet": ["resnet_blocks", "resnet", "resnext", "wide_resnet"],
    "shufflenetv2": ["shufflenet_v2"],
    "squeezenet": ["squeezenet"],
    "swin_transformer": ["shifted_windows", "swin_blocks", "swin", "swin_v2"],
    "vgg": ["vgg"],
    "vision_transformer": ["vit_encoder", "vit"],
}
"""The files of torchvision, and those of shapezoo with the same models.

AlexNet is longer: 64 lines for 55, since torchvision's has little but the layers.
"""

OURS_ALONE = ("pooled_features", "feature_maps", "intermediate_maps", "adapted", "*_micro")
"""What torchvision's files do not have."""


def lines_of_code(source: str, *, without: Sequence[str] = ()) -> list[str]:
    """Lines without comments, docstrings, blank lines, and some classes and functions.

    Args:
        source: The source.
        without: Patterns of the names of these classes and functions.
    """
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant()):
                skipped.update(range(node.lineno, (node.end_lineno or 0) + 1))
            case ast.ClassDef() | ast.FunctionDef() if any(fnmatch(node.name, p) for p in without):
                first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
                skipped.update(range(first, (node.end_lineno or 0) + 1))
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    used = {
        number
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in no_code
        for number in range(token.start[0], token.end[0] + 1)
    }
    lines = [*source.splitlines(), ""]  # the last token is on a line of its own
    return [lines[n - 1].strip() for n in sorted(used - skipped) if lines[n - 1]]


def shared(first: list[str], second: list[str]) -> list[str]:
    """The longest run of equal lines."""
    longest: list[str] = []
    lengths: dict[int, int] = {}
    places = defaultdict(list)
    for place, line in enumerate(second):
        places[line].append(place)
    for end, line in enumerate(first, 1):
        lengths = {place: lengths.get(place - 1, 0) + 1 for place in places[line]}
        if lengths and (length := max(lengths.values())) > len(longest):
            longest = first[end - length : end]
    return longest


def repeated(sources: dict[str, str]) -> Iterator[tuple[str, str, list[str]]]:
    """Pairs of files that share too many lines, with these lines."""
    code = {name: lines_of_code(source) for name, source in sources.items()}
    for first, second in itertools.combinations(code, 2):
        lines = shared(code[first], code[second])
        if len(lines) > MOST:
            yield first, second, lines


def test_no_two_model_files_share_many_lines() -> None:
    found = repeated({file.stem: file.read_text("utf-8") for file in FILES})
    assert {(first, second) for first, second, _ in found} == ALIKE.keys()


def test_what_is_shared_is_found() -> None:
    same = [f"x = {n}" for n in range(MOST + 1)]
    texts = {"a": "\n".join(["y = 1", *same]), "b": "\n".join(["z = 1", '"""A."""', *same])}
    assert list(repeated(texts)) == [("a", "b", same)]
    texts["b"] = texts["b"].replace("x = 5", "x = 6")
    assert list(repeated(texts)) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_has_more_code_than_torchvisions(family: str) -> None:
    files = [next(file for file in FILES if file.stem == stem) for stem in FAMILIES[family]]
    ours = [
        line
        for file in files
        for line in lines_of_code(file.read_text("utf-8"), without=OURS_ALONE)
    ]
    theirs = lines_of_code((THEIRS / f"{family}.py").read_text("utf-8"), without=["*_Weights"])
    assert len(ours) <= len(theirs)
