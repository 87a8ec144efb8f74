"""Which examples each step of a training sees: recorded in checkpoints, compared on resume.

A checkpoint says how many steps were taken. Which examples that were follows from the data, the
batch size and the seed. If one of these has changed, going on from the checkpoint would silently
skip examples or repeat them.
"""

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from shapezoo._datasets import Batch, Selectable
from shapezoo.train.loop.selecting import select
from shapezoo.train.steps.state import StateError

_SAMPLED = 256  # examples at most
_REPEATED = 5  # digests that are the same show that nothing is drawn at random


@dataclass(frozen=True)
class ExampleOrder:
    """What decides which examples each step of a training sees.

    Attributes:
        num_examples: The number of training examples.
        digest: A SHA-256 of the training examples, see `fit`.
        batch_size: The number of examples of a step.
        seed: The seed of the order.
    """

    num_examples: int
    digest: str
    batch_size: int
    seed: int


def order_of(
    train: Selectable[Batch], *, batch_size: int, seed: int, reached: ExampleOrder | None
) -> ExampleOrder:
    """The order of a training's examples.

    Args:
        train: The training examples.
        batch_size: The number of examples of a step.
        seed: The seed of the order.
        reached: The order that the training has followed so far, if it is known.

    Raises:
        StateError: It is another order.
    """
    if reached is None:
        return ExampleOrder(len(train), examples_digest(train), batch_size, seed)
    for name, now in (("batch_size", batch_size), ("seed", seed)):
        if (then := getattr(reached, name)) != now:
            raise StateError(
                f"{name}: the training that is resumed had {name}={then}, got {now}; pass "
                f"{name}={then}, or start a new training from what it has learned with "
                "dataclasses.replace(checkpoint.state, step=0)"
            )
    if len(train) != reached.num_examples:
        raise _changed(f"{reached.num_examples} examples", str(len(train)))
    digest = examples_digest(train)
    # a dataset with a random generator of its own has another digest each time, or nearly
    if digest != reached.digest and all(examples_digest(train) == digest for _ in range(_REPEATED)):
        raise _changed(f"examples with the digest {reached.digest[:12]}", digest[:12])
    return reached


def _changed(then: str, now: str) -> StateError:
    return StateError(
        f"train: the training that is resumed had {then}, got {now}; pass the data that it began "
        "with, or start a new training from what it has learned with "
        "dataclasses.replace(checkpoint.state, step=0)"
    )


def examples_digest(dataset: Selectable[Batch]) -> str:
    """A SHA-256 of a dataset: of a sample of its examples, and of all that it holds in memory.

    At most 256 examples are selected, evenly spread, each alone and under the same seeds. The
    fields of a dataclass are read too if they are made of tensors, numbers and strings. Both are
    needed: a sample misses most examples, and a field may be the name of a folder.
    """
    digest = hashlib.sha256()
    if is_dataclass(dataset) and _is_data(dataset):
        _update(digest, dataset)
    for index in _spread(len(dataset)):
        batch = select(dataset, torch.tensor([index]), ("digest",), index)
        _update(digest, [index, *batch.inputs, batch.targets])
    return digest.hexdigest()


def _spread(count: int) -> list[int]:
    """Some indices from the first to the last, as evenly spread as they can be."""
    steps = min(count, _SAMPLED) - 1
    return [number * (count - 1) // max(steps, 1) for number in range(steps + 1)]


def _is_data(value: object) -> bool:
    """Whether this is made of tensors, numbers and strings alone."""
    if isinstance(value, Tensor):
        return _is_dense(value)
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    if is_dataclass(value) and not isinstance(value, type):
        return all(_is_data(getattr(value, field.name)) for field in fields(value))
    return value is None or isinstance(value, bool | int | float | str)


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)


def _update(digest: Any, value: Any) -> None:
    """Feed a value to a hash, each part behind what tells its type and its size."""
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)};".encode())
        if _is_dense(value):
            plain = value.detach().as_subclass(Tensor).resolve_conj().resolve_neg().cpu()
            digest.update(plain.contiguous().flatten().view(torch.uint8).numpy().data)
    elif isinstance(value, list | tuple):
        digest.update(f"{len(value)} parts;".encode())
        for part in value:
            _update(digest, part)
    elif is_dataclass(value):
        for field in fields(value):
            digest.update(f"{field.name}=".encode())
            _update(digest, getattr(value, field.name))
    else:
        digest.update(f"{value!r};".encode())
