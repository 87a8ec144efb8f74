"""Model names and their builders, with what cannot be computed from the builder alone."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, cast

from torch import nn

from shapezoo._modules import layers_of, without_values
from shapezoo.contracts import Module
from shapezoo.contracts.checking.known_limits import set_limits
from shapezoo.hyperparameters import Hyperparameters
from shapezoo.verdicts import stored_limits

__all__ = ["Task", "register"]

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


def is_as_built(model: nn.Module) -> bool:
    """Whether a model still has the layers that its builder gave it."""
    origin = origin_of(model)
    if origin is None:
        return False
    with without_values():
        built = _entries[origin.name].builder(**origin.hyperparameters)
    return layers_of(built) == layers_of(model)


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
            raise ValueError(f"{taken.__module__} has already registered a model {name!r}")
        build = _remembering(builder)
        if published_by:
            build = _without_weights(build)
        _entries[name] = Entry(name, build, task, paper, static_axes, is_one_graph, published_by)
        return build

    return add


def _without_weights(builder: Callable[P, M]) -> Callable[P, M]:
    """Raise TypeError for ``weights=``, which torchvision's builders have and ours do not."""

    @functools.wraps(builder)
    def build(*args: P.args, **kwargs: P.kwargs) -> M:
        if _WEIGHTS & kwargs.keys():
            name = builder.__name__
            raise TypeError(
                f"{name}() draws random weights; for published ones use "
                f"shapezoo.create_model({name!r}, weights='DEFAULT')"
            )
        return builder(*args, **kwargs)

    return build


def _remembering(builder: Callable[P, M]) -> Callable[P, M]:
    """Check the arguments of a builder; let its models know their origin and their limits."""
    signature, hyperparameters = inspect.signature(builder), Hyperparameters(builder)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}

    @functools.wraps(builder)
    def build(*args: P.args, **kwargs: P.kwargs) -> M:
        checked: dict[str, Any] = hyperparameters.checked(kwargs)
        model = cast(Callable[..., M], builder)(*args, **checked)
        given = signature.bind(*args, **checked).arguments
        setattr(model, _ORIGIN, Origin(builder.__name__, defaults | given))
        changed = [name for name, value in given.items() if value != defaults[name]]
        set_limits(model, stored_limits(builder.__name__, changed))
        return model

    return build


def entries() -> tuple[Entry, ...]:
    """Every registered model, by name."""
    return tuple(_entries[name] for name in sorted(_entries))
