"""Proving a contract for all sizes, or finding the sizes for which it fails."""

import importlib.util
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from shapezoo.contracts.language.conditions import Condition
from shapezoo.proving.proofs import Proof


def prove(
    obj: nn.Module | type[nn.Module] | Callable[..., Any],
    /,
    *,
    init: Mapping[str, Any] | None = None,
    assume: str | Sequence[str] = (),
    budget: float = 60.0,
) -> Proof:
    """Prove the contract of a model for all sizes, or find sizes for which it fails.

    The model's own forward runs on symbols that stand for sizes. What the run asks of them says
    which sizes take the same path; z3 names sizes that no path has taken yet, until there are
    none. Each path is run on real kernels too, at its smallest sizes. Shapes are proved, not
    values; for this model, in this mode, and for sizes of 1 and more.

    Args:
        obj: A module; a method of one; a class of modules; or a function whose annotations are a
            contract. Contracts inside it are proved for all that it sends them, also those of
            modules that are not checked otherwise.
        init: Arguments for the class. Those that are given as ``...``, and those of type int
            that are missing, stand for any size.
        assume: Conditions that sizes meet, such as ``"height >= 32"``; then no size that meets
            them may raise.
        budget: How much work the proof may take, in units of about a second of one core. Work is
            counted, so that the verdict does not depend on how busy the machine is.

    Returns:
        `Proved`, `ProvedInPart`, `Refuted` or `Unknown`.

    Raises:
        ImportError: z3 is missing.
        ContractError: There is no contract, or an assumption cannot be read.
        SubjectError: This is nothing to prove, or init does not fit the class.
        TypeError: A part of the module cannot be looked into: one of TorchScript, a
            `nn.DataParallel`, one that makes its parameters when it is called first. Or the
            module of a method cannot be copied.
        RuntimeError: Checks are switched off.

    Example:
        ```pycon
        >>> from shapezoo import Proved, prove
        >>> from shapezoo.models import ResidualBlock
        >>> proof = prove(ResidualBlock)
        >>> isinstance(proof, Proved)
        True
        >>> proof.axes
        ('batch', 'height', 'width', 'channels')

        ```
    """
    if importlib.util.find_spec("z3") is None:
        raise ImportError("prove needs z3: pip install 'shapezoo[prove]'")
    from shapezoo.proving.judging import judge
    from shapezoo.proving.subjects import subject_of

    texts = [assume] if isinstance(assume, str) else assume
    state = random.getstate()
    try:
        with torch.random.fork_rng(devices=()):
            return judge(subject_of(obj, init), tuple(map(Condition, texts)), budget)
    finally:
        random.setstate(state)
