"""Symbols as keys of dictionaries and as members of sets.

A look-up asks for a hash first, and compares only keys of that hash. Whichever hash a symbol gives,
keys that it might equal at other sizes are passed over in silence. So the container is found in the
line that asks, and the symbol is compared with each of its keys, which makes guards; where it is
not found, the symbol is fixed to its number.
"""

import ast
import collections
import contextlib
import functools
import itertools
import linecache
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch

from shapezoo._frames import is_library
from shapezoo.contracts.matching.proof_mode import hint_of

_CONTAINERS = (dict, set, frozenset, collections.OrderedDict, collections.defaultdict)
_METHODS = ("get", "pop", "setdefault", "__getitem__", "__contains__", "discard")

MOST = 64
"""So many keys are compared at most."""

_hash_of_torch = torch.SymInt.__hash__


def hash_of(size: torch.SymInt) -> int:
    """Give the hash of the key that a symbol equals, if any; asks which one."""
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
    """Let einops compute what it keeps in a cache, where sizes are the keys.

    Its cache is written in C and has no keys that could be compared. einops does the same for
    symbols that cannot be hashed.
    """
    module: Any = sys.modules.get("einops.einops")
    plain = getattr(getattr(module, _CACHED, None), "__wrapped__", None)
    with patch.object(module, _CACHED, plain) if plain else contextlib.nullcontext():
        yield


_CACHED = "_reconstruct_from_shape"


def _keys(frame: FrameType) -> list[Any] | None:
    """The keys of the container that a line looks into, if it can be told and has plain ones."""
    code = _container(frame)
    if code is None:
        return None
    container = eval(code, frame.f_globals, dict(frame.f_locals))
    if type(container) not in _CONTAINERS or len(container) > MOST:
        return None
    is_plain = all(type(key) in (int, bool, str, type(None), torch.SymInt) for key in container)
    return list(container) if is_plain else None


def _container(frame: FrameType) -> Any:
    """An expression for the container, which can be evaluated again."""
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    start, end, first, last = next(positions)
    place = (start, first, end, last)
    return _look_ups(frame.f_code.co_filename).get(place)


@functools.cache
def _look_ups(filename: str) -> dict[tuple[int | None, ...], Any]:
    """The containers of all look-ups in a file, by the places of these."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return {}
    found: dict[tuple[int | None, ...], Any] = {}
    for node in ast.walk(tree):
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
            place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
            found[place] = compile(ast.Expression(container), filename, "eval")
    return found


_PURE = (ast.Name, ast.Attribute, ast.Constant, ast.Set, ast.Dict, ast.Tuple, ast.expr_context)
"""Expressions that give the same when they are evaluated again."""
