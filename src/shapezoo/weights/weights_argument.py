"""What the argument `weights` stands for: published weights or, in `create_model`, a file."""

import enum
import functools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

from torch import Tensor, nn

from shapezoo.contracts.messages.describing import shown
from shapezoo.weights.published import PublishedWeights, find_published, model_of_enum
from shapezoo.weights.strict_loading import WeightsError

_MEMBER = re.compile(r"(\w+Weights)\.([A-Z]\w*)")
"""How torchvision writes a member of its enums, such as ``ResNet18_Weights.IMAGENET1K_V1``."""

Weights = str | os.PathLike[str] | PublishedWeights | enum.Enum
"""What the argument may be: a name, a path, `PublishedWeights`, or a member of an enum."""

_EXPECTED = (
    "the name of published weights, a member of torchvision's enum of them, PublishedWeights, or "
    "the path of a file"
)


def published_or_file(
    model: str, weights: Weights, *, is_published: bool
) -> PublishedWeights | str | os.PathLike[str]:
    """Return the published weights, or the path of the file, that an argument stands for.

    Args:
        model: The name of the model.
        weights: The argument.
        is_published: Whether anybody publishes weights for the model.

    Raises:
        TypeError: The argument has another type.
        WeightsError: There are no such weights, or they belong to another model.
    """
    if isinstance(weights, PublishedWeights):
        _require_own(model, weights.model, str(weights.name))
        return weights
    if member := _enum_and_name(weights):
        written = ".".join(member)
        if not is_published:
            raise WeightsError(f"nobody publishes weights for {model}, got {written}")
        _require_own(model, model_of_enum(member[0]), written)
        return find_published(model, member[1])
    if isinstance(weights, os.PathLike):
        return weights
    if not isinstance(weights, str):
        raise TypeError(f"weights must be {_EXPECTED}, got {_shown(weights)}{_hint(weights)}")
    if not weights.isidentifier():
        return weights
    # suggest the file only if it exists: a mistyped name is far more likely
    hint = f"; for the file of this name pass './{weights}'" if os.path.exists(weights) else ""
    if not is_published:
        advice = hint or "; pass the path of a file, or leave out weights for random ones"
        raise WeightsError(f"nobody publishes weights for {model}{advice}")
    return find_published(model, weights, hint=hint)


def require_published(weights: PublishedWeights | enum.Enum) -> PublishedWeights:
    """Return the published weights that an object stands for, whatever their model.

    Args:
        weights: Published weights, or a member of one of torchvision's enums.

    Raises:
        TypeError: The argument is something else.
        WeightsError: The enum is not one of torchvision's.
    """
    if isinstance(weights, PublishedWeights):
        return weights
    if isinstance(weights, enum.Enum):
        return _published_by_member(weights)
    raise TypeError(
        "weights must be PublishedWeights or a member of torchvision's enum of them, got "
        f"{_shown(weights)}{_hint_for_preprocessing(weights)}"
    )


@functools.cache  # a loop over images asks for the same weights again and again
def _published_by_member(member: enum.Enum) -> PublishedWeights:
    enum_ = type(member).__name__
    model = model_of_enum(enum_)
    if model is None:
        raise WeightsError(f"{enum_}.{member.name} are not weights that torchvision publishes")
    return find_published(model, member.name)


def _enum_and_name(weights: Weights) -> tuple[str, str] | None:
    """Return the names of an enum and of its member, given as an object or as text."""
    if isinstance(weights, enum.Enum):
        return type(weights).__name__, weights.name
    match = _MEMBER.fullmatch(weights) if isinstance(weights, str) else None
    return (match[1], match[2]) if match else None


def _require_own(model: str, owner: str | None, written: str) -> None:
    """Raise WeightsError unless the weights belong to the model."""
    if owner == model:
        return
    belongs = f"are weights of {owner}" if owner else "are not weights of a model of the zoo"
    raise WeightsError(f"{written} {belongs}; model_info({model!r}).weights lists those of {model}")


def _shown(weights: object) -> str:
    """Describe a wrong argument."""
    if isinstance(weights, tuple | list) and _are_published(weights):
        return f"a {type(weights).__name__} of {len(weights)} PublishedWeights"
    return shown(weights)


def _hint(weights: object) -> str:
    """Return what to pass to `create_model` instead, if the intention is clear."""
    if weights is True:
        return "; for the best published weights pass weights='DEFAULT'"
    if weights is False:
        return "; for random weights pass weights=None"
    if isinstance(weights, nn.Module):
        return "; use model.load_state_dict(weights.state_dict())"
    if isinstance(weights, Mapping) and weights and _are_tensors(weights.values()):
        return "; use model.load_state_dict(weights), or save it and pass the path"
    return _hint_for_several(weights)


def _hint_for_preprocessing(weights: object) -> str:
    """Return what to pass to `preprocess` instead, if the intention is clear."""
    if isinstance(weights, str) and (weights.isidentifier() or _MEMBER.fullmatch(weights)):
        return (
            "; a name does not say how images are preprocessed: pass one of "
            "model_info(name).weights, or a member such as ResNet18_Weights.DEFAULT of "
            "torchvision.models"
        )
    if isinstance(weights, str | os.PathLike):
        return (
            "; a file does not record how its images were preprocessed: pass the published weights "
            "that the training started from"
        )
    return _hint_for_several(weights)


def _hint_for_several(weights: object) -> str:
    """Return how to choose one of several weights."""
    if isinstance(weights, tuple | list) and _are_published(weights):
        defaults = [index for index, member in enumerate(weights) if member.is_default]
        return f"; pass one of them, such as weights[{defaults[0] if defaults else 0}]"
    if isinstance(weights, enum.EnumMeta):
        return f"; pass a member of it, such as {weights.__name__}.DEFAULT"
    return ""


def _are_tensors(values: Iterable[object]) -> bool:
    return all(isinstance(value, Tensor) for value in values)


def _are_published(weights: Sequence[object]) -> TypeGuard[Sequence[PublishedWeights]]:
    return len(weights) > 0 and all(isinstance(member, PublishedWeights) for member in weights)
