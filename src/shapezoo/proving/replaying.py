"""Running a model on real kernels, at given sizes."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from shapezoo._modules import undisturbed
from shapezoo.contracts.examples import LENGTHS
from shapezoo.contracts.types import tensors
from shapezoo.proving.enforcing import enforce, is_enforced
from shapezoo.proving.proofs import Outcome, Sizes, outcome_of
from shapezoo.proving.subjects import NoArgumentsError, Subject
from shapezoo.proving.values import code_of, shapes_of
from shapezoo.proving.variants import Variant

WORST: tuple[Outcome, ...] = ("void", "holds", "raises", "breaks")
"""The outcomes, the worst last."""

MOST_NUMBERS = 1 << 28
"""How large an argument may be, in numbers."""


class TooLargeError(Exception):
    """There is not the memory to run at some sizes."""


@dataclass(frozen=True)
class Replay:
    """What a run on real kernels has shown.

    Attributes:
        outcome: How it ended.
        error: What was raised.
        shapes: The shapes of the tensors in the result.
        is_other: Whether it was the other kind of lengths and masks that did it.
    """

    outcome: Outcome
    error: Exception | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    is_other: bool = False


def replay(subject: Subject, variant: Variant, sizes: Sizes) -> Replay:
    """Run on real kernels, with two kinds of lengths and masks; the worse one counts.

    Raises:
        TooLargeError: There is not the memory to do so.
    """
    others = [False, True] if _has_extremes(variant) else [False]
    runs = [_run(subject, variant, sizes, is_other) for is_other in others]
    return max(runs, key=lambda run: WORST.index(run.outcome))


def snippet(subject: Subject, variant: Variant, sizes: Sizes, run: Replay) -> str:
    """Python that does what a run has done."""
    model = subject.make(sizes)
    args, kwargs = subject.arguments(model, variant.contract, sizes, is_other=run.is_other)
    imports = {"import torch": None}
    parts = [code_of(arg, imports) for arg in args]
    parts += [f"{name}={code_of(value, imports)}" for name, value in kwargs.items()]
    call = f"{subject.call}({', '.join(parts)})"
    if isinstance(model, nn.Module) and not is_enforced(model):
        imports["from shapezoo.proving import enforced"] = None
        call = f"with enforced(model):\n    {call}"
    return "\n".join([*imports, subject.code(sizes), call])


def _has_extremes(variant: Variant) -> bool:
    dtypes = [kind.dtype for a in variant.contract.inputs for kind in tensors(a.type)]
    return "Bool" in dtypes or any(a.name == LENGTHS for a in variant.contract.inputs)


def _run(subject: Subject, variant: Variant, sizes: Sizes, is_other: bool) -> Replay:
    with contextlib.ExitStack() as stack:
        try:
            model = subject.make(sizes)
            _require_room(subject, model, variant, sizes)
            device = None
            if isinstance(model, nn.Module):
                stack.enter_context(undisturbed(model))
                enforce(model, lambda path, error: None)
                device = next((parameter.device for parameter in model.parameters()), None)
            args, kwargs = subject.arguments(
                model, variant.contract, sizes, device=device, is_other=is_other
            )
            result = model(*args, **kwargs)
        except NoArgumentsError as error:
            return Replay("void", error)
        except TooLargeError:
            raise
        except Exception as error:
            if isinstance(error, MemoryError) or "allocate" in str(error):
                raise TooLargeError(str(error)) from error
            return Replay(outcome_of(error), error, is_other=is_other)
        return Replay("holds", shapes=tuple(shapes_of(result)))


def _require_room(
    subject: Subject, model: Callable[..., Any], variant: Variant, sizes: Sizes
) -> None:
    args, kwargs = subject.arguments(model, variant.contract, sizes, device="meta")
    if any(math.prod(shape) > MOST_NUMBERS for shape in shapes_of([*args, kwargs])):
        raise TooLargeError(f"arguments of {dict(sizes)} are too large to be run")
