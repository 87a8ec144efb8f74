"""Model names and their builders, with what cannot be computed from the builder alone.

`register` adds a builder to the registry and returns a wrapper of it, which checks the arguments of
each call and attaches two things to the model: its `Origin`, from which it can be built again, and
the limits on its sizes that were proved for these arguments.
"""

import functools
import inspect
import re
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
"""The task of a model."""

Publisher = Literal["torchvision"]
"""A publisher of weights."""


@dataclass(frozen=True)
class Entry:
    """A registered model.

    Attributes:
        name: The name of the model, which is that of its builder.
        builder: The function that builds it; all its arguments have defaults.
        task: Its task.
        paper: Where it was published.
        static_axes: The axes whose sizes are fixed in a graph of the model.
        is_one_graph: Whether one graph can hold the whole model.
        published_by: Who publishes weights under its name; None if nobody does.
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

    def rebuild(self, **changes: Any) -> Module:
        """Build the model again, with some hyper-parameters changed."""
        return _entries[self.name].builder(**self.hyperparameters | changes)


_ORIGIN = "_shapezoo_origin"
_entries: dict[str, Entry] = {}


def entries() -> tuple[Entry, ...]:
    """Return every registered model, by name."""
    return tuple(_entries[name] for name in sorted(_entries))


def origin_of(model: nn.Module) -> Origin | None:
    """Return how a model was built; None unless a registered builder has built it."""
    return vars(model).get(_ORIGIN)


def is_as_built(model: nn.Module) -> bool:
    """Whether a model still has the layers that its builder gave it."""
    origin = origin_of(model)
    if origin is None:
        return False
    with without_values():
        return layers_of(origin.rebuild()) == layers_of(model)


def register(
    *,
    task: Task,
    paper: str,
    static_axes: tuple[str, ...] = (),
    is_one_graph: bool = True,
    published_by: Publisher | None = None,
) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Add a builder to the zoo, under its own name.

    The arguments of each call are checked against the annotations of the builder. The model
    remembers how it was built, and the limits on its sizes that were proved.

    A builder whose docstring has no ``Args`` section gets that of the class that it builds, for the
    arguments that it has.

    Args:
        task: The task of the model.
        paper: Where it was published: authors, title, where, year.
        static_axes: The axes whose sizes are fixed in programs of `torch.export`, such as those
            that a loop goes over.
        is_one_graph: Whether `torch.export`, and `torch.compile` with ``fullgraph=True`` (and
            ``torch._dynamo.config.allow_rnn`` for recurrent layers), accept the model.
        published_by: Who publishes weights under its name.

    Raises:
        ValueError: The name is taken.
    """

    def add(builder: Callable[P, M]) -> Callable[P, M]:
        name = builder.__name__
        if name in _entries:
            taken = _entries[name].builder
            raise ValueError(f"{taken.__module__} has already registered a model {name!r}")
        builder.__doc__ = _documentation(builder)
        build = _recording(builder)
        if published_by:
            build = _refusing_weights(build)
        _entries[name] = Entry(name, build, task, paper, static_axes, is_one_graph, published_by)
        return build

    return add


def _recording(builder: Callable[P, M]) -> Callable[P, M]:
    """Wrap a builder: check its arguments, and attach their origin and limits to its models."""
    signature, hyperparameters = inspect.signature(builder), Hyperparameters(builder)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}

    @functools.wraps(builder)
    def build(*args: P.args, **kwargs: P.kwargs) -> M:
        checked: dict[str, Any] = hyperparameters.checked(kwargs)
        model = cast(Callable[..., M], builder)(*args, **checked)
        arguments = signature.bind(*args, **checked).arguments
        setattr(model, _ORIGIN, Origin(builder.__name__, defaults | arguments))
        changed = [name for name, value in arguments.items() if value != defaults[name]]
        set_limits(model, stored_limits(builder.__name__, changed))
        return model

    return build


def _refusing_weights(builder: Callable[P, M]) -> Callable[P, M]:
    """Wrap a builder: raise TypeError for ``weights=``, which torchvision's builders accept."""

    @functools.wraps(builder)
    def build(*args: P.args, **kwargs: P.kwargs) -> M:
        if {"pretrained", "weights"} & kwargs.keys():
            name = builder.__name__
            raise TypeError(
                f"{name}() draws random weights; for published ones use "
                f"shapezoo.create_model({name!r}, weights='DEFAULT')"
            )
        return builder(*args, **kwargs)

    return build


def _documentation(builder: Callable[..., Module]) -> str | None:
    """Return the docstring of a builder, completed with arguments that its class documents."""
    signature, documentation = inspect.signature(builder, eval_str=True), inspect.getdoc(builder)
    class_documentation = inspect.getdoc(signature.return_annotation) or ""
    section = class_documentation.partition("\nArgs:\n")[2].partition("\n\n")[0]
    # an argument is indented by four spaces, the lines that continue it by more
    arguments = {
        text.strip().partition(":")[0]: text for text in re.split(r"\n(?=    \w)", section)
    }
    lines = [arguments[name] for name in signature.parameters if name in arguments]
    if documentation is None or "\nArgs:\n" in documentation or not lines:
        return documentation
    return "\n".join([documentation, "", "Args:", *lines])
