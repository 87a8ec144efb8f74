"""Symbols as keys of dictionaries and as members of sets.

``layers[n]`` asks for a hash first, and compares only keys of that hash. Whichever hash a symbol
returns, keys that it equals at other sizes are silently skipped: a dictionary of layers for 32 and
64 would be proved to raise for all sizes but one. So the container is found in the line that asks,
and the symbol is compared with each of its keys, which adds guards; where the container cannot be
found, the symbol is fixed to its number.

Python does not tell `__hash__` who asks. The line is found by the position in the bytecode of the
calling frame, and the container by evaluating its expression once more, if that has no effect.
"""

import ast
import collections
import contextlib
import functools
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any
from unittest.mock import patch

import torch

from shapezoo._frames import is_library
from shapezoo.contracts.matching.proof_mode import hint_of
from shapezoo.proving.rules.source_code import Positions, positions_of, tree_of

_CONTAINERS = (dict, set, frozenset, collections.OrderedDict, collections.defaultdict)
_METHODS = ("get", "pop", "setdefault", "__getitem__", "__contains__", "discard")

MOST_KEYS = 64
"""Containers with more keys are not compared."""

_hash_of_torch = torch.SymInt.__hash__


def hash_of(size: torch.SymInt) -> int:
    """Return the hash of the key that a symbol equals, if any; asks which one."""
    frame = sys._getframe(1)
    if is_library(frame.f_code.co_filename):
        return _hash_of_torch(size)
    keys = _keys(frame)
    if keys is None:
        return hash(int(size))
    for key in keys:
        if isinstance(key, int | torch.SymInt) and size == key:
            return hash(hint_of(key) if isinstance(key, torch.SymInt) else key)
    return hash(hint_of(size))


@contextlib.contextmanager
def without_cache_of_einops() -> Iterator[None]:
    """Let einops compute anew what it keeps in a cache, where sizes are the keys.

    Its cache is written in C and has no keys that could be compared. einops itself does without
    where symbols cannot be hashed. The cached function is private, and there is no switch.
    """
    name = "_reconstruct_from_shape"
    module: Any = sys.modules.get("einops.einops")
    uncached = getattr(getattr(module, name, None), "__wrapped__", None)
    with patch.object(module, name, uncached) if uncached else contextlib.nullcontext():
        yield


def _keys(frame: FrameType) -> list[Any] | None:
    """Return the keys of the container that a frame looks into, if it is found and has plain ones.

    The expression of the container is evaluated again. It is made of names and attributes only, so
    that this has no effect.
    """
    code = _containers(frame.f_code.co_filename).get(positions_of(frame))
    if code is None:
        return None
    container = eval(code, frame.f_globals, dict(frame.f_locals))
    if type(container) not in _CONTAINERS or len(container) > MOST_KEYS:
        return None
    is_plain = all(type(key) in (int, bool, str, type(None), torch.SymInt) for key in container)
    return list(container) if is_plain else None


@functools.cache
def _containers(filename: str) -> dict[Positions, CodeType]:
    """Return expressions for the containers of all look-ups in a file, by positions of these."""
    containers: dict[Positions, CodeType] = {}
    for node in ast.walk(tree_of(filename)):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[container]):
                pass
            case ast.Subscript(value=container):
                pass
            case ast.Call(func=ast.Attribute(attr=name, value=container)) if name in _METHODS:
                pass
            case _:
                continue
        if all(isinstance(part, _PURE) for part in ast.walk(container)):
            positions = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            containers[positions] = compile(ast.Expression(container), filename, "eval")
    return containers


_PURE = (ast.Name, ast.Attribute, ast.Constant, ast.Set, ast.Dict, ast.Tuple, ast.expr_context)
"""Expressions that give the same when they are evaluated again."""
