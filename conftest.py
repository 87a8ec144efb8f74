"""Runs every test on one thread from the same seed, and the code in the documentation."""

import gc
from doctest import ELLIPSIS

import pytest
import torch
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")
torch.set_num_threads(1)

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), DocTestParser(optionflags=ELLIPSIS)],
    patterns=["*.md", "*.py"],
    excludes=["test_*.py"],
    setup=lambda namespace: namespace.update(__name__="__main__"),
).pytest()


# a fifth of the time of the tests would go into collecting garbage: each full collection visits the
# millions of objects of torch, sympy and the tests themselves, which stay
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage from now on, but leave alone what is there already."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    # torch.manual_seed takes half a millisecond: it formats the stack, for accelerators that are
    # not there too
    accelerated = torch.accelerator.is_available()
    (torch.manual_seed if accelerated else torch.default_generator.manual_seed)(0)
