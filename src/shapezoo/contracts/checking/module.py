"""The base class of modules whose ``forward`` is always checked."""

import inspect
import typing
from typing import Any, ParamSpec, Protocol, TypeVar

from torch import nn

from shapezoo.contracts.checking.check import enforced, is_checked
from shapezoo.contracts.checking.introspection import method_of
from shapezoo.contracts.checking.jit import refuse_script

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class _HasForward(Protocol[P, R_co]):
    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class Module(nn.Module):
    """A `torch.nn.Module` whose subclasses have their ``forward`` checked.

    ``model(x)`` has the type that ``forward`` returns, in mypy and pyright.

    Raises:
        ContractError: A subclass defines a ``forward`` whose annotations are missing or cannot
            be used. Raised when the class is defined.

    Example:
        ```pycon
        >>> import torch
        >>> from jaxtyping import Float
        >>> from torch import Tensor, nn
        >>> import shapezoo
        >>> class Head(shapezoo.Module):
        ...     def __init__(self, num_classes: int) -> None:
        ...         super().__init__()
        ...         self.num_classes = num_classes
        ...         self.linear = nn.Linear(8, num_classes)
        ...
        ...     def forward(
        ...         self, x: Float[Tensor, "batch features=8"]
        ...     ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        ...         logits: Tensor = self.linear(x)
        ...         return logits
        >>> Head(3)(torch.zeros(5, 8)).shape
        torch.Size([5, 3])

        ```
    """

    if typing.TYPE_CHECKING:

        def __call__(  # noqa: D102  # the class has the docstring
            self: _HasForward[P, R_co], *args: P.args, **kwargs: P.kwargs
        ) -> R_co: ...

    __prepare_scriptable__ = refuse_script  # torch.jit.script calls it

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        forward = inspect.getattr_static(cls, "forward")
        if forward is nn.Module.forward or is_checked(forward):
            return
        cls.forward = enforced(forward, method_of(cls))
