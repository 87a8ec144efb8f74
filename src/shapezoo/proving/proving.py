"""Prove a contract for all sizes, or find the sizes for which it fails."""

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

    The model's own forward runs on symbolic sizes. The questions that the run asks about them
    determine which sizes take the same path through the code; z3 finds sizes that no path has
    taken yet, until there are none left. Each path is also run on real kernels.
    Shapes are proved, not values; for this model, in this mode, and for sizes of at least 1.

    Args:
        obj: A module; a method of one; a class of modules; or a function whose annotations are a
            contract. Contracts of modules inside it are proved for everything that it passes to
            them, even if those modules are not checked otherwise.
        init: Arguments for the class. An argument given as ``...``, and a missing one of type int,
            stands for any size.
        assume: Conditions such as ``"height >= 32"``. Only sizes that meet them are considered, and
            one that raises refutes the contract.
        budget: How much work the proof may take, in units of about a second on one core. Work is
            counted, so the verdict does not depend on how busy the machine is.

    Returns:
        `Proved`, `ProvedInPart`, `Refuted` or `Unknown`.

    Raises:
        ImportError: z3 is not installed.
        ContractError: There is no contract, or an assumption cannot be parsed.
        SubjectError: The object cannot be proved, or init does not fit the class.
        TypeError: A module inside cannot be inspected: a TorchScript module, `nn.DataParallel`, or
            a lazy module without parameters. Or the module of a method cannot be copied.
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
