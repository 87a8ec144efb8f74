"""Finding, building and describing the models of the zoo."""

import difflib
import fnmatch
import inspect
from dataclasses import dataclass
from typing import Any

import torch

import shapezoo.models  # noqa: F401  # its builders register themselves
from shapezoo.contracts import Module, Signature, signature
from shapezoo.registry import Entry, Publisher, Task, entries, without_values
from shapezoo.verdicts import Mode, Verdict, verdicts
from shapezoo.weights import PublishedWeights
from shapezoo.weights.building import build_with
from shapezoo.weights.choosing import Weights
from shapezoo.weights.published import published


class UnknownModelError(LookupError):
    """No model has this name; the message gives the nearest ones."""


@dataclass(frozen=True)
class ModelInfo:
    """What the zoo knows of a model.

    Attributes:
        name: The name of the model.
        summary: What it is, in a sentence.
        task: What it is for.
        paper: Where it was published.
        hyperparameters: The keywords of `create_model`, with their values.
        parameters: The number of trainable parameters, with these hyper-parameters.
        signature: The contract, with these hyper-parameters.
        verdicts: What was proved of it in eval and in train mode; empty where these
            hyper-parameters are others than those it was proved with.
        static_axes: The axes whose sizes are fixed in what `torch.export` makes of it.
        is_one_graph: Whether `torch.export`, and `torch.compile` with ``fullgraph=True`` (and
            ``torch._dynamo.config.allow_rnn`` for recurrent layers), take it.
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

    @property
    def weights(self) -> tuple[PublishedWeights, ...]:
        """The weights that are published for it."""
        return published(self.name) if self.published_by else ()

    @property
    def export(self) -> str:
        """What `torch.export` makes of it, in words."""
        if not self.is_one_graph:
            return "not possible"
        if self.static_axes:
            return f"one program for each {', '.join(self.static_axes)}"
        names = {axis.name for tensor in self.signature.tensors for axis in tensor.axes}
        small = ", but for those that leave a map of one row or column" if "height" in names else ""
        return f"one program for all sizes{small}"


def list_models(
    pattern: str = "*",
    *,
    task: Task | None = None,
    accepts: tuple[int | None, ...] | None = None,
    published: bool | None = None,
) -> list[str]:
    """The names of the models, in alphabetical order.

    Args:
        pattern: Keeps the names that match, with ``*`` and ``?`` as in a shell.
        task: Keeps the models for this task.
        accepts: Keeps the models whose contract takes one tensor of this shape. None stands
            for any size.
        published: Keeps the models for which weights are published, or those without.

    Example:
        ```pycon
        >>> from shapezoo import list_models
        >>> list_models("*lenet*", accepts=(None, 1, 28, 28))
        ['lenet', 'lenet_small']

        ```
    """
    return [
        entry.name
        for entry in entries()
        if fnmatch.fnmatchcase(entry.name, pattern)
        and task in (None, entry.task)
        and published in (None, entry.published_by is not None)
        and (accepts is None or model_info(entry.name).signature.accepts(accepts))
    ]


def create_model(
    name: str,
    *,
    weights: Weights | None = None,
    device: torch.device | str | None = None,
    **hyperparameters: Any,
) -> Module:
    """Build a model of the zoo.

    Args:
        name: The name of the model, one of `list_models`.
        weights: Published weights: their name, as ``model_info(name).weights`` lists them, or
            ``"DEFAULT"`` for the best of them; one of the `PublishedWeights` listed; or a member of
            torchvision's enum, such as ``ResNet18_Weights.DEFAULT``. Or the path of a file, as for
            `shapezoo.weights.load`; a string that could be a Python identifier is a name, so write
            ``"./name"`` for such a file. Without it the weights are random, drawn from torch's
            global generator.
        device: Where to put the model; its random weights do not depend on it. Without it the
            model is on torch's default device.
        **hyperparameters: Keywords of the builder, as `model_info` lists them.

    Published weights are downloaded once, into the cache of `torch.hub`. They can be used with
    other hyper-parameters than they were made for. So can files with the sizes of published
    weights:

    - With another ``num_classes`` the layers that score the classes are new, with random weights.
    - With another ``in_channels`` the first convolution is adapted: one or two channels share the
      sum of its weights for red, green and blue; of more, the first is taken as red, the next as
      green, then blue, then red again, and those of one colour share its weight.
    - ``image_size`` is that of published weights unless it is given; position embeddings are
      interpolated.

    Raises:
        UnknownModelError: There is no such model.
        TypeError: The builder has no such keyword, or a value is of the wrong type.
        ValueError: A size is less than 1, or a number is infinite or NaN.
        WeightsError: There are no such weights, they cannot be downloaded or read, or do not fit
            the model.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import create_model
        >>> model = create_model("lenet", num_classes=26)
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 26])

        ```
    """
    entry = _find(name)
    known = inspect.signature(entry.builder).parameters
    if unknown := [keyword for keyword in hyperparameters if keyword not in known]:
        nearest = difflib.get_close_matches(unknown[0], known)
        hint = f"; did you mean {_alternatives(nearest)}?" if nearest else ""
        if "pretrained" in unknown and entry.published_by is not None:
            hint = "; for published weights, pass weights='DEFAULT'"
        raise TypeError(
            f"unexpected argument {unknown[0]!r} for model {name!r} (accepts {', '.join(known)})"
            f"{hint}"
        )
    model = (
        entry.builder(**hyperparameters)
        if weights is None
        else build_with(entry, weights, hyperparameters)
    )
    return model if device is None else model.to(device)


def model_info(name: str, **hyperparameters: Any) -> ModelInfo:
    """What the zoo knows of a model.

    Args:
        name: The name of the model, one of `list_models`.
        **hyperparameters: Keywords of the builder; those that are missing have their defaults.

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
    entry = _find(name)
    with without_values():
        model = create_model(name, **hyperparameters)
    keywords = inspect.signature(entry.builder).parameters.values()
    defaults = {keyword.name: keyword.default for keyword in keywords}
    changed = [key for key, value in hyperparameters.items() if value != defaults[key]]
    return ModelInfo(
        name=name,
        summary=(inspect.getdoc(entry.builder) or "").partition("\n")[0],
        task=entry.task,
        paper=entry.paper,
        hyperparameters=defaults | hyperparameters,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        signature=signature(model),
        verdicts=verdicts(name, changed),
        static_axes=entry.static_axes,
        is_one_graph=entry.is_one_graph,
        published_by=entry.published_by,
    )


def _find(name: str) -> Entry:
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        nearest = difflib.get_close_matches(name, known)
        hint = f"did you mean {_alternatives(nearest)}?" if nearest else "see list_models()"
        raise UnknownModelError(f"unknown model {name!r}; {hint}")
    return known[name]


def _alternatives(names: list[str]) -> str:
    """Join quoted names with commas and ``or``."""
    quoted = list(map(repr, names))
    return " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))
