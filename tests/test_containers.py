"""Values in containers of every type, and their paths."""

from collections import OrderedDict, UserDict, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import torch

from shapezoo._containers import leaves_of, shapes_of, tensors_of


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Record:
    first: Any
    late: Any = field(init=False)


@pytest.mark.parametrize(
    ("value", "leaves"),
    [
        (1, {"x": 1}),
        ([1, (2, [])], {"x[0]": 1, "x[1][0]": 2}),
        (deque([1]), {"x[0]": 1}),
        (Pair(1, [2]), {"x.left": 1, "x.right[0]": 2}),
        ({"a": 1, 2: {"b": 3}}, {"x['a']": 1, "x[2]['b']": 3}),
        (OrderedDict(a=1), {"x['a']": 1}),
        (UserDict({"a": 1}), {"x['a']": 1}),
        (Record((1,)), {"x.first[0]": 1, "x.late": None}),
        (Record, {"x": Record}),
        ("text", {"x": "text"}),
    ],
)
def test_leaves_have_the_paths_that_an_error_would_name(value: Any, leaves: dict[str, Any]) -> None:
    assert dict(leaves_of(value, "x")) == leaves


def test_tensors_come_in_order() -> None:
    tensors = [torch.zeros(size) for size in range(4)]
    value = {"a": (tensors[0], 3, None), "b": Pair(deque([tensors[1]]), Record(tensors[2]))}
    assert [id(tensor) for tensor in tensors_of([value, tensors[3]])] == list(map(id, tensors))
    assert list(shapes_of(value)) == [(0,), (1,), (2,)]
