"""Finding and describing the models of the zoo."""

import fnmatch
import functools
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shapezoo._modules import without_values
from shapezoo.contracts import Signature, signature
from shapezoo.contracts.language.axes import Extent, differences
from shapezoo.contracts.language.types import tensors
from shapezoo.creating import create_model, find_entry
from shapezoo.registry import Entry, Publisher, Task, entries
from shapezoo.verdicts import Mode, Verdict, verdicts
from shapezoo.weights import PublishedWeights
from shapezoo.weights.published import published_weights


@dataclass(frozen=True)
class ModelInfo:
    """The description of a model.

    Attributes:
        name: The name of the model.
        summary: What it is, in a sentence.
        task: Its task.
        paper: Where it was published.
        hyperparameters: The keywords of `create_model`, with their values.
        parameters: The number of trainable parameters, with these hyper-parameters.
        signature: The contract, with these hyper-parameters.
        verdicts: What was proved about it in eval and in train mode; empty if it was proved with
            other hyper-parameters.
        static_axes: The axes whose sizes are fixed in programs of `torch.export`.
        is_one_graph: Whether `torch.export`, and `torch.compile` with ``fullgraph=True`` (and
            ``torch._dynamo.config.allow_rnn`` for recurrent layers), accept it.
        published_by: Who publishes weights for it; None if nobody does.
    """

    name: str
    summary: str
    task: Task
    paper: str
    hyperparameters: dict[str, Any]
    parameters: int
    signature: Signature
    verdicts: dict[Mode, Verdict]
    static_axes: tuple[str, ...]
    is_one_graph: bool
    published_by: Publisher | None

    def __str__(self) -> str:
        keywords = ", ".join(f"{name}={value!r}" for name, value in self.hyperparameters.items())
        lines = [
            f"{self.name}: {self.summary}",
            f"  task        {self.task}",
            f"  paper       {self.paper}",
            f"  parameters  {self.parameters:,}",
            f"  options     {keywords}",
            f"  signature   {self.signature}",
            f"  export      {self.export}",
        ]
        same = len(set(self.verdicts.values())) == 1
        for mode, verdict in list(self.verdicts.items())[: 1 if same else None]:
            lines.append(f"  {'proof' if same else f'{mode} mode':12}{verdict}")
        for number, weights in enumerate(self.weights):
            lines.append(f"  {'' if number else 'weights':12}{weights}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON-ready data, without the published weights."""
        return {
            "name": self.name,
            "summary": self.summary,
            "task": self.task,
            "paper": self.paper,
            "parameters": self.parameters,
            "hyperparameters": self.hyperparameters,
            "signature": str(self.signature),
            "verdicts": {mode: verdict.to_dict() for mode, verdict in self.verdicts.items()},
            "export": self.export,
            "published_by": self.published_by,
        }

    def accepts(self, shape: tuple[int | None, ...]) -> bool:
        """Whether the model accepts a tensor of this shape as the only argument, in eval mode.

        The shape must match the contract, and meet the limits that were proved.

        Args:
            shape: The shape; None stands for any size.
        """
        if not self.signature.accepts(shape):
            return False
        sizes: dict[str, Any] = {}
        for tensor in tensors(self.signature.inputs[0].type):
            bound: dict[str, Extent] = {}
            if differences(tensor.axes, shape, bound) == []:
                sizes = {axis: size for axis, size in bound.items() if isinstance(size, int)}
        verdict = self.verdicts.get("eval")
        limits = verdict.preconditions if verdict else ()
        return all(limit.holds(sizes) for limit in limits if sizes.keys() >= set(limit.axes))

    @property
    def weights(self) -> tuple[PublishedWeights, ...]:
        """The published weights for it."""
        return published_weights(self.name) if self.published_by else ()

    @property
    def export(self) -> str:
        """Whether and how `torch.export` accepts it, in words."""
        if not self.is_one_graph:
            return "not possible"
        if self.static_axes:
            return f"one program for each {', '.join(self.static_axes)}"
        names = {axis.name for tensor in self.signature.tensors for axis in tensor.axes}
        small = ", except those that reduce a map to one row or column" if "height" in names else ""
        return f"one program for all sizes{small}"


def list_models(
    pattern: str | Iterable[str] = "*",
    *,
    task: Task | None = None,
    accepts: tuple[int | None, ...] | None = None,
    published: bool | None = None,
) -> list[str]:
    """Return the names of the models, in alphabetical order.

    Args:
        pattern: Only list names that match, with ``*`` and ``?`` as in a shell; if there are
            several patterns, names that match any of them.
        task: Only list models for this task.
        accepts: Only list models that accept a tensor of this shape as the only argument, by
            their contract and the limits that were proved in eval mode. None stands for any size.
        published: Only list models with published weights, or only those without.

    Example:
        ```pycon
        >>> from shapezoo import list_models
        >>> list_models("*lenet*", accepts=(None, 1, 28, 28))
        ['lenet', 'lenet_small']
        >>> list_models(["resnet?0", "gru"])
        ['gru', 'resnet50']

        ```
    """
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    return [
        entry.name
        for entry in entries()
        if any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in patterns)
        and task in (None, entry.task)
        and published in (None, entry.published_by is not None)
        and (accepts is None or model_info(entry.name).accepts(accepts))
    ]


def model_info(name: str, **hyperparameters: Any) -> ModelInfo:
    """Describe a model.

    Args:
        name: The name of the model, one of `list_models`.
        **hyperparameters: Keywords of the builder; missing ones have their defaults.

    Raises:
        UnknownModelError: There is no such model.
        TypeError: The builder has no such keyword.

    Example:
        ```pycon
        >>> from shapezoo import model_info
        >>> model_info("lenet").parameters
        8490

        ```
    """
    entry = find_entry(name)
    parameters, contract = _built(name, **hyperparameters) if hyperparameters else _default(entry)
    keywords = inspect.signature(entry.builder).parameters
    defaults = {name: keyword.default for name, keyword in keywords.items()}
    changed = [key for key, value in hyperparameters.items() if value != defaults[key]]
    return ModelInfo(
        name=name,
        summary=(inspect.getdoc(entry.builder) or "").partition("\n")[0],
        task=entry.task,
        paper=entry.paper,
        hyperparameters=defaults | hyperparameters,
        parameters=parameters,
        signature=contract,
        verdicts=verdicts(name, changed),
        static_axes=entry.static_axes,
        is_one_graph=entry.is_one_graph,
        published_by=entry.published_by,
    )


def _built(name: str, **hyperparameters: Any) -> tuple[int, Signature]:
    """Return the number of trainable parameters of a model, and its contract."""
    with without_values():
        model = create_model(name, **hyperparameters)
    return sum(p.numel() for p in model.parameters() if p.requires_grad), signature(model)


@functools.cache
def _default(entry: Entry) -> tuple[int, Signature]:
    """Return the same for the default hyper-parameters; a large model takes a while to build."""
    return _built(entry.name)
