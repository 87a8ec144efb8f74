"""Fixtures for the tests of training."""

import hashlib
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

Fingerprint = Callable[..., str]


@pytest.fixture(scope="session")
def fingerprint() -> Fingerprint:
    """A digest of every bit of nested records, dicts, lists and tensors."""

    def text(thing: Any) -> str:
        if isinstance(thing, Tensor):
            bits = thing.detach().contiguous().flatten().view(torch.uint8)
            return f"{thing.dtype} {tuple(thing.shape)} {bytes(bits.tolist()).hex()}"
        if isinstance(thing, dict):
            return f"{{{', '.join(f'{key!r}: {text(part)}' for key, part in thing.items())}}}"
        if isinstance(thing, list | tuple):
            return f"{type(thing).__name__}[{', '.join(map(text, thing))}]"
        if is_dataclass(thing):
            return type(thing).__name__ + text(vars(thing))
        return repr(thing)

    return lambda *things: hashlib.sha256(text(things).encode()).hexdigest()
