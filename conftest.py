"""Runs every test on one thread from the same seed, and the code in the documentation."""

from collections.abc import Iterator
from doctest import ELLIPSIS, IGNORE_EXCEPTION_DETAIL

import pytest
import torch
from hypothesis import settings
from sybil import Document, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

FLAGS = ELLIPSIS | IGNORE_EXCEPTION_DETAIL

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")
torch.set_num_threads(1)


class PyconParser:
    """Runs ``pycon`` fences as doctests."""

    def __init__(self) -> None:
        self.lexer = FencedCodeBlockLexer("pycon")
        self.doctests = DocTestStringParser(DocTestEvaluator(FLAGS))

    def __call__(self, document: Document) -> Iterator[Region]:
        for block in self.lexer(document):
            source = block.lexemes["source"]
            for region in self.doctests(source, document.path):
                region.adjust(block, source)
                yield region


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=FLAGS), PyconParser()],
    patterns=["*.md", "*.py"],
    excludes=["test_*.py"],
    setup=lambda namespace: namespace.update(__name__="__main__"),
).pytest()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
