"""Model names and their builders, with what cannot be computed from the builder alone."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from shapezoo.contracts import Module
from shapezoo.contracts.checking.known_limits import set_limits
from shapezoo.hyperparameters import Hyperparameters
from shapezoo.verdicts import verdicts

P = ParamSpec("P")
M = TypeVar("M", bound=Module)

Task = Literal[
    "image-classification",
    "tabular-classification",
    "tabular-regression",
    "text-classification",
    "token-classification",
    "sequence-encoding",
    "forecasting",
]
"""What a model is for."""

Publisher = Literal["torchvision"]
"""Who publishes weights."""


@dataclass(frozen=True)
class Entry:
    """A registered model.

    Attributes:
        name: The name of the model, which is that of its builder.
        builder: The function that builds it; all its arguments have defaults.
        task: What the model is for.
        paper: Where it was published.
        static_axes: The axes whose sizes are fixed in a graph of the model.
        is_one_graph: Whether a graph can hold the whole model.
        published_by: Who publishes weights for it, under its name; None if nobody does.
    """

    name: str
    builder: Callable[..., Module]
    task: Task
    paper: str
    static_axes: tuple[str, ...] = ()
    is_one_graph: bool = True
    published_by: Publisher | None = None


@dataclass(frozen=True)
class Origin:
    """How a model was built.

    Attributes:
        name: The name of the model.
        hyperparameters: All its hyper-parameters.
    """

    name: str
    hyperparameters: dict[str, Any]


class _Undrawn(TorchFunctionMode):
    """Leaves out what draws the first weights, which takes long on the meta device."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs.get("tensor", *args[:1])
        return func(*args, **kwargs)


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """A block in which models are built on the meta device, for what is known without values."""
    with torch.device("meta"), _Undrawn():
        yield


def is_as_built(model: nn.Module) -> bool:
    """Whether a model still has the layers that its builder gave it."""
    origin = origin_of(model)
    if origin is None:
        return False
    with without_values():
        return str(_entries[origin.name].builder(**origin.hyperparameters)) == str(model)


def origin_of(model: nn.Module) -> Origin | None:
    """How a model was built, if a registered builder has built it."""
    return vars(model).get(_ORIGIN)


_WEIGHTS = {"pretrained", "weights"}
_ORIGIN = "_shapezoo_origin"
_entries: dict[str, Entry] = {}


def register(
    *,
    task: Task,
    paper: str,
    static_axes: tuple[str, ...] = (),
    is_one_graph: bool = True,
    published_by: Publisher | None = None,
) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Put a builder into the zoo, under its own name.

    The arguments of each call are checked against the annotations of the builder. What it builds
    remembers how it was built, and the limits that were proved of it.

    Args:
        task: What the model is for.
        paper: Where it was published: authors, title, where, year.
        static_axes: The axes whose sizes are fixed in what `torch.export` makes of the model, as
            those that a loop goes over.
        is_one_graph: Whether `torch.export`, and `torch.compile` with ``fullgraph=True`` (and
            ``torch._dynamo.config.allow_rnn`` for recurrent layers), take the model.
        published_by: Who publishes weights for it, under its name.

    Raises:
        ValueError: The name is taken.
    """

    def add(builder: Callable[P, M]) -> Callable[P, M]:
        name = builder.__name__
        if name in _entries:
            taken = _entries[name].builder
            raise ValueError(f"model {name!r} is registered already, by {taken.__module__}")
        keywords, hyperparameters = inspect.signature(builder), Hyperparameters(builder)
        defaults = {key: keyword.default for key, keyword in keywords.parameters.items()}

        @functools.wraps(builder)
        def build(*args: P.args, **kwargs: P.kwargs) -> M:
            if published_by and _WEIGHTS & (kwargs.keys() - keywords.parameters.keys()):
                raise TypeError(
                    f"{name}() draws random weights; for published ones use "
                    f"shapezoo.create_model({name!r}, weights='DEFAULT')"
                )
            checked: dict[str, Any] = hyperparameters.checked(kwargs)
            model = cast(Callable[..., M], builder)(*args, **checked)
            given = keywords.bind(*args, **checked).arguments
            setattr(model, _ORIGIN, Origin(name, defaults | given))
            changed = [key for key, value in given.items() if value != defaults[key]]
            found = verdicts(name, changed)
            set_limits(model, {mode: found[mode].preconditions for mode in found})
            return model

        _entries[name] = Entry(name, build, task, paper, static_axes, is_one_graph, published_by)
        return cast(Callable[P, M], build)

    return add


def entries() -> tuple[Entry, ...]:
    """Every registered model, by name."""
    return tuple(_entries[name] for name in sorted(_entries))
