"""Contracts in tests: strategies of right and wrong calls, and assertions that use them."""

import importlib.util

if importlib.util.find_spec("hypothesis") is None:
    raise ImportError("shapezoo.testing needs hypothesis: pip install 'shapezoo[testing]'")

from shapezoo.testing.calls import Call
from shapezoo.testing.compilation import assert_compiles, assert_exports
from shapezoo.testing.enforcement import assert_contract, assert_proved
from shapezoo.testing.inputs import inputs
from shapezoo.testing.laws import (
    assert_batch_first_equivalent,
    assert_batch_independent,
    assert_gradients,
    assert_padding_invariant,
)
from shapezoo.testing.places import Place
from shapezoo.testing.violations import Violation, violations

__all__ = [
    "Call",
    "Place",
    "Violation",
    "assert_batch_first_equivalent",
    "assert_batch_independent",
    "assert_compiles",
    "assert_contract",
    "assert_exports",
    "assert_gradients",
    "assert_padding_invariant",
    "assert_proved",
    "inputs",
    "violations",
]
