"""Contracts in tests."""

from shapezoo.testing.proofs import assert_proved

__all__ = ["assert_proved"]
