"""Proving contracts for all sizes.

docs/internals/proofs.md explains how a proof is made and audited.
"""

from shapezoo.proving.enforcing import enforced
from shapezoo.proving.findings import Case, Counterexample, ModuleProof, Region, SubjectError
from shapezoo.proving.proofs import Proof, Proved, ProvedInPart, Refuted, Result, Unknown
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
