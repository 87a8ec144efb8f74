"""Models that are run to see what they do are left as they were, by several threads too."""

import contextlib

import torch
from torch import Tensor, nn

from shapezoo._modules import undisturbed


def is_compiled() -> bool:
    seen = []

    def noted(x: Tensor) -> Tensor:
        seen.append(torch.compiler.is_compiling())
        return x + 1

    torch.compiler.reset()
    torch.compile(noted, backend="eager")(torch.zeros(1))
    return not seen or seen[0]


def test_blocks_that_overlap_leave_compilation_on() -> None:
    assert is_compiled()
    model = nn.Linear(1, 1)
    first, second = contextlib.ExitStack(), contextlib.ExitStack()  # like two threads
    first.enter_context(undisturbed(model, is_grad=True))
    second.enter_context(undisturbed(model, is_grad=True))
    assert not is_compiled()
    first.close()
    assert not is_compiled()
    second.close()
    assert is_compiled()
