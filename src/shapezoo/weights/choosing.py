"""What the argument `weights` of `create_model` stands for: published weights or a file."""

import enum
import os
import re

from shapezoo.weights.published import PublishedWeights, find, owner
from shapezoo.weights.taking import WeightsError

_MEMBER = re.compile(r"(\w+_Weights)\.([A-Z]\w*)")
"""How torchvision writes a member of its enums, such as ``ResNet18_Weights.IMAGENET1K_V1``."""

Weights = str | os.PathLike[str] | PublishedWeights | enum.Enum
"""What the argument may be: a name, a path, `PublishedWeights`, or a member of an enum."""


def choose(
    model: str, weights: Weights, *, is_published: bool
) -> PublishedWeights | str | os.PathLike[str]:
    """Return the published weights, or the path of the file, that an argument stands for.

    Args:
        model: The name of the model.
        weights: The argument.
        is_published: Whether anybody publishes weights for the model.

    Raises:
        TypeError: The argument is of another type.
        WeightsError: There are no such weights, or they are those of another model.
    """
    if isinstance(weights, PublishedWeights):
        _require_own(model, weights.model, str(weights.name))
        return weights
    if isinstance(weights, enum.Enum):
        member = f"{type(weights).__name__}.{weights.name}"
        return _of_torchvision(model, type(weights).__name__, weights.name, member, is_published)
    if isinstance(weights, os.PathLike):
        return weights
    if not isinstance(weights, str):
        raise TypeError(f"weights must be {_EXPECTED}, got {weights!r}{_hint(weights)}")
    if written := _MEMBER.fullmatch(weights):
        return _of_torchvision(model, written[1], written[2], weights, is_published)
    if not weights.isidentifier():
        return weights
    if not is_published:
        raise WeightsError(
            f"nobody publishes weights for {model}; for a file of this name pass './{weights}'"
        )
    return find(model, weights)


_EXPECTED = (
    "the name of published weights, a member of torchvision's enum of them, PublishedWeights, or "
    "the path of a file"
)


def _hint(weights: object) -> str:
    if weights is True:
        return "; for the best published weights pass weights='DEFAULT'"
    return "; for random weights pass weights=None" if weights is False else ""


def _of_torchvision(
    model: str, enum_: str, name: str, written: str, is_published: bool
) -> PublishedWeights:
    """Published weights by the enum of torchvision and the name in it."""
    if not is_published:
        raise WeightsError(f"nobody publishes weights for {model}, got {written}")
    _require_own(model, owner(enum_), written)
    return find(model, name)


def _require_own(model: str, other: str | None, written: str) -> None:
    if other == model:
        return
    belongs = f"are weights of {other}" if other else "are not weights that torchvision publishes"
    raise WeightsError(f"{written} {belongs}; model_info({model!r}).weights lists those of {model}")
