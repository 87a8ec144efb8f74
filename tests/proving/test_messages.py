"""The text of a size in an error or a log decides nothing, unless the model reads it back."""

import io
import logging
import warnings
from collections.abc import Callable

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from shapezoo import Module, Proved, prove

log = logging.getLogger("shapezoo.tests")


class Told(Module):
    def __init__(self, tell: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self.tell = tell

    def forward(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return x[:0] if self.tell(x) else x


def read_from_the_error(x: Tensor) -> bool:
    try:
        raise ValueError(f"{x.shape[0]}")
    except ValueError as error:
        return int(str(error)) > 60


def read_after_the_error(x: Tensor) -> bool:
    try:
        text = str(x.shape[0])
        raise ValueError(text)
    except ValueError:
        pass
    return int(text) > 60


def looked_up_in_the_error(x: Tensor) -> bool:
    try:
        raise ValueError({str(n): "" for n in range(60)}[str(x.shape[0])])
    except KeyError:
        return True
    except ValueError:
        return False


def refuse(x: Tensor) -> None:
    raise ValueError(f"{x.shape[0]}")


def read_from_a_function(x: Tensor) -> bool:
    try:
        refuse(x)
    except ValueError as error:
        return int(str(error)) > 60
    return False


def info(text: str) -> int:
    return int(text)


def not_a_log(x: Tensor) -> bool:
    return info(f"{x.shape[0]}") > 60


def printed_to_a_file(x: Tensor) -> bool:
    file = io.StringIO()
    print(f"{x.shape[0]}", file=file)
    return int(file.getvalue()) > 60


READ = [
    *(read_from_the_error, read_after_the_error, looked_up_in_the_error, read_from_a_function),
    *(not_a_log, printed_to_a_file),
]


def raised(x: Tensor) -> bool:
    if x.shape[0] > 60:
        text = f"{x.shape[0]} positions"
        raise ValueError(text)
    return False


def checked(x: Tensor) -> bool:
    torch._assert(x.shape[0] <= 60, f"{x.shape[0]} positions")
    return False


def shown(x: Tensor) -> bool:
    if x.shape[0] > 60:
        print(f"{x.shape[0]} positions")
        log.info(f"{x.shape[0]} positions")
        refuse(x)
    return False


def warned(x: Tensor) -> bool:
    if x.shape[0] > 60:
        warnings.warn(f"{x.shape[0]} positions", stacklevel=2)
        refuse(x)
    return False


@pytest.mark.parametrize("tell", READ, ids=lambda tell: tell.__name__)
def test_a_text_that_is_read_back_decides(tell: Callable[[Tensor], bool]) -> None:
    assert tell(torch.zeros(61))
    assert not isinstance(prove(Told(tell), budget=5), Proved)


@pytest.mark.parametrize("tell", [raised, checked, shown, warned])
@pytest.mark.filterwarnings("ignore:.* positions")
def test_a_text_that_is_only_told_decides_nothing(tell: Callable[[Tensor], bool]) -> None:
    proof = prove(Told(tell))
    assert isinstance(proof, Proved), str(proof)
    assert [str(condition) for condition in proof.preconditions] == ["n <= 60"]
