import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapezoo.contracts.checking.memo import with_parameters_of


def plain(x: int, y: int = 2) -> None: ...
def only(x: int, /, *, y: int, z: int = 3) -> None: ...
def rest(x: int, *args: int, y: int = 5, **kwargs: int) -> None: ...
def nothing() -> None: ...


FUNCTIONS: list[tuple[Callable[..., None], str]] = [
    (plain, "(x, y)"),
    (only, "(x, y, z)"),
    (rest, "(x, args, y, kwargs)"),
    (nothing, "()"),
]


@given(
    case=st.sampled_from(FUNCTIONS),
    args=st.lists(st.integers(), max_size=3),
    kwargs=st.dictionaries(st.sampled_from("xyzw"), st.integers()),
)
def test_it_binds_a_call_as_inspect_does(
    case: tuple[Callable[..., None], str], args: list[int], kwargs: dict[str, int]
) -> None:
    function, names = case
    bind = with_parameters_of(function, names)
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError, match=rf"^{function.__name__}\(\) "):
            bind(*args, **kwargs)
        return
    bound.apply_defaults()
    assert bind(*args, **kwargs) == tuple(bound.arguments.values())


def test_it_may_refer_to_more_and_keeps_what_defaults_are() -> None:
    default: list[int] = []

    def function(x: list[int] = default) -> None: ...

    bind: Any = with_parameters_of(function, "(twice(x), x)", twice=lambda x: 2 * x)
    assert bind([1])[0] == [1, 1]
    assert bind()[1] is default
