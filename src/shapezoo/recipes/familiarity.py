"""Telling that an example is unlike the training examples, so that a prediction is unreliable.

The probabilities of a classifier do not tell: it chooses between the classes that it knows, and may
be sure of one for random letters or for a picture of noise. So an example is compared with the
training examples themselves. The thresholds were measured on test examples and on nonsense; see
the section on predictions in ``docs/training.md``.
"""

import functools
import re
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from shapezoo.data import ImageDataset, NameDataset
from shapezoo.data.surnames import decode_names

_MOST_NEW_TRIGRAMS = 0.2  # 1.7 % of the test names have more, 94 % of random letters
_LARGEST_DISTANCE = 5.0  # 1.4 % of the test digits are further away, 91 % of letters, all noise


def unlike_digits(inputs: tuple[Tensor, ...], train: ImageDataset) -> str | None:
    """Return why an image is unlike all training digits; None if it is not.

    Args:
        inputs: One image, as a model takes it.
        train: The training digits.
    """
    known = train.select(torch.arange(len(train))).images
    distance = float(torch.cdist(inputs[0].flatten(1), known.flatten(1)).min())
    if distance <= _LARGEST_DISTANCE:
        return None
    return (
        f"the picture is unlike every training digit; its distance to the nearest is {distance:.1f}"
        f", which is hardly ever above {_LARGEST_DISTANCE:g} for digits"
    )


def unlike_names(inputs: tuple[Tensor, ...], train: NameDataset) -> str | None:
    """Return why a name is unlike the training names; None if it is not.

    Args:
        inputs: The characters and the length of one name, as a model takes them.
        train: The training names.
    """
    (name,) = decode_names(*inputs)
    known = _known_trigrams(train)
    own = list(_trigrams([name]))
    new = sum(trigram not in known for trigram in own)
    if new <= _MOST_NEW_TRIGRAMS * len(own):
        return None
    return (
        f"{name!r} is unlike the training names: {new} of its {len(own)} sequences of three "
        "letters occur in none of them"
    )


@functools.lru_cache(maxsize=1)
def _known_trigrams(train: NameDataset) -> frozenset[str]:
    return frozenset(_trigrams(decode_names(train.names.tokens, train.names.lengths)))


def _trigrams(names: Iterable[str]) -> Iterator[str]:
    """Yield all sequences of three letters, with a marker at both ends of each part of a name."""
    for name in names:
        for part in re.findall("[a-z]+", name.lower()):
            marked = f"^{part}$"
            yield from (marked[start : start + 3] for start in range(len(marked) - 2))
