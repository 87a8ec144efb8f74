"""Proving contracts for all sizes."""

from shapezoo.proving.enforcing import enforced
from shapezoo.proving.proofs import (
    Case,
    Counterexample,
    ModuleProof,
    Proof,
    Proved,
    ProvedInPart,
    Refuted,
    Region,
    Result,
    SubjectError,
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
    "Result",
    "SubjectError",
    "Unknown",
    "enforced",
    "prove",
]
