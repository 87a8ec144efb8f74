"""An old name keeps working, and says what the new one is."""

import types

import pytest

from shapezoo import ShapeError
from shapezoo._names import deprecated_names

OLD = types.ModuleType("old")
OLD.__getattr__ = deprecated_names("old", {"WrongShape": "shapezoo.ShapeError"})  # type: ignore[method-assign]  # of a module, which Python looks for there


def test_an_old_name_warns_and_works() -> None:
    message = r"old\.WrongShape is now shapezoo\.ShapeError"
    with pytest.warns(DeprecationWarning, match=message) as got:
        assert OLD.WrongShape is ShapeError
    assert got[0].filename == __file__


def test_other_names_are_missing_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'old' has no attribute 'Shape'"):
        OLD.Shape  # noqa: B018  # the access is the test
