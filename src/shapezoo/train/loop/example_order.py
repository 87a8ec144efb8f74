"""What determines the examples of each step: stored in checkpoints, compared when resuming.

A checkpoint holds the number of steps taken. The examples of these steps follow from the data, the
batch size and the seed. If one of them has changed, a resumed training would silently skip some
examples and repeat others, so `fit` raises instead.
"""

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from shapezoo._datasets import Batch, Selectable
from shapezoo.train.loop.seeded_batches import select
from shapezoo.train.steps.state import StateError

_MAX_SAMPLED = 256
_NUM_REPEATS = 5
_SAME_DATA = "the data that it began with"


@dataclass(frozen=True)
class ExampleOrder:
    """What determines the examples of each step of a training.

    Attributes:
        num_examples: The number of training examples.
        digest: A SHA-256 of the training examples, see `fit`.
        batch_size: The number of examples in a step.
        seed: The seed of the order.
    """

    num_examples: int
    digest: str
    batch_size: int
    seed: int


def order_of(
    train: Selectable[Batch], *, batch_size: int, seed: int, saved: ExampleOrder | None
) -> ExampleOrder:
    """Return the order of a training's examples, after comparing it with that of a checkpoint.

    Args:
        train: The training examples.
        batch_size: The number of examples in a step.
        seed: The seed of the order.
        saved: The order in the checkpoint, if there is one.

    Raises:
        StateError: The order has changed.
    """
    if saved is None:
        return ExampleOrder(len(train), examples_digest(train), batch_size, seed)
    for name, now in (("batch_size", batch_size), ("seed", seed)):
        if (then := getattr(saved, name)) != now:
            raise _changed(name, f"{name}={then}", f"{now}", f"{name}={then}")
    if len(train) != saved.num_examples:
        raise _changed("train", f"{saved.num_examples} examples", f"{len(train)}", _SAME_DATA)
    digest = examples_digest(train)
    # A dataset with a random generator of its own has another digest nearly each time. Only if the
    # digest does not vary now does a change mean that the examples are others.
    repeats = (examples_digest(train) for _ in range(_NUM_REPEATS))
    if digest != saved.digest and all(repeat == digest for repeat in repeats):
        then = f"examples with the digest {saved.digest[:12]}"
        raise _changed("train", then, digest[:12], _SAME_DATA)
    return saved


def _changed(argument: str, then: str, now: str, advice: str) -> StateError:
    return StateError(
        f"{argument}: the training that is resumed had {then}, got {now}; pass {advice}, or start "
        "a new training with its parameters from dataclasses.replace(checkpoint.state, step=0)"
    )


def examples_digest(dataset: Selectable[Batch]) -> str:
    """Return a SHA-256 of a sample of a dataset's examples, and of what it holds in memory.

    At most 256 examples are selected, evenly spaced, each on its own and with the same seeds. The
    fields of a dataclass are hashed too if they consist of tensors, numbers and strings. Both are
    needed: a sample misses most examples, and a field may be the name of a folder.
    """
    digest = hashlib.sha256()
    if is_dataclass(dataset) and _is_plain(dataset):
        _update(digest, dataset)
    for index in _sampled_indices(len(dataset)):
        batch = select(dataset, torch.tensor([index]), ("digest",), index)
        _update(digest, [index, *batch.inputs, batch.targets])
    return digest.hexdigest()


def _sampled_indices(count: int) -> list[int]:
    """Return indices from the first to the last, as evenly spaced as possible."""
    steps = min(count, _MAX_SAMPLED) - 1
    return [number * (count - 1) // max(steps, 1) for number in range(steps + 1)]


def _is_plain(value: object) -> bool:
    """Whether a value consists of tensors, numbers and strings only."""
    if isinstance(value, Tensor):
        return _is_dense(value)
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if is_dataclass(value) and not isinstance(value, type):
        return all(_is_plain(getattr(value, field.name)) for field in fields(value))
    return value is None or isinstance(value, bool | int | float | str)


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)


def _update(digest: Any, value: Any) -> None:
    """Add a value to a hash, each part after its type and size.

    Without these, different values could have the same bytes one after the other.
    """
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
