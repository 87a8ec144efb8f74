"""Proving contracts for all sizes."""

from shapezoo.proving.proofs import (
    Case,
    Counterexample,
    ModuleProof,
    Proof,
    Proved,
    ProvedInPart,
    Refuted,
    Region,
    Unknown,
)
from shapezoo.proving.proving import prove

__all__ = [
    "Case",
    "Counterexample",
    "ModuleProof",
    "Proof",
    "Proved",
    "ProvedInPart",
    "Refuted",
    "Region",
    "Unknown",
    "prove",
]
