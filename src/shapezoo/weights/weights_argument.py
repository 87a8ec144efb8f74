"""What the argument `weights` stands for: published weights or, in `create_model`, a file."""

import enum
import functools
import os
import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from torch import Tensor, nn

from shapezoo.contracts.messages.describing import shown
from shapezoo.weights.published import PublishedWeights, find, owner
from shapezoo.weights.strict_loading import WeightsError

_MEMBER = re.compile(r"(\w+Weights)\.([A-Z]\w*)")
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
        raise TypeError(f"weights must be {_EXPECTED}, got {_shown(weights)}{_hint(weights)}")
    if written := _MEMBER.fullmatch(weights):
        return _of_torchvision(model, written[1], written[2], weights, is_published)
    if not weights.isidentifier():
        return weights
    # a file that does not exist can hardly be meant
    file = f"; for the file of this name pass './{weights}'" if os.path.exists(weights) else ""
    if not is_published:
        advice = file or "; pass the path of a file, or leave out weights for random ones"
        raise WeightsError(f"nobody publishes weights for {model}{advice}")
    return find(model, weights, hint=file)


def resolve(weights: PublishedWeights | enum.Enum) -> PublishedWeights:
    """Return the published weights that an object stands for, of whatever model.

    Args:
        weights: Published weights, or a member of one of torchvision's enums.

    Raises:
        TypeError: The argument is something else.
        WeightsError: The enum is not one of torchvision's.
    """
    if isinstance(weights, PublishedWeights):
        return weights
    if isinstance(weights, enum.Enum):
        return _of_member(weights)
    raise TypeError(
        "weights must be PublishedWeights or a member of torchvision's enum of them, got "
        f"{_shown(weights)}{_hint_for_one(weights)}"
    )


@functools.cache  # a loop over images asks for the same weights again and again
def _of_member(member: enum.Enum) -> PublishedWeights:
    enum_ = type(member).__name__
    model = owner(enum_)
    if model is None:
        raise WeightsError(f"{enum_}.{member.name} are not weights that torchvision publishes")
    return find(model, member.name)


_EXPECTED = (
    "the name of published weights, a member of torchvision's enum of them, PublishedWeights, or "
    "the path of a file"
)


def _shown(weights: object) -> str:
    """Describe an argument that is wrong."""
    if isinstance(weights, tuple | list) and _are_published(weights):
        return f"a {type(weights).__name__} of {len(weights)} PublishedWeights"
    return shown(weights)


def _hint(weights: object) -> str:
    """How to repair an argument of `create_model`, if that is known."""
    if weights is True:
        return "; for the best published weights pass weights='DEFAULT'"
    if weights is False:
        return "; for random weights pass weights=None"
    if _is_state(weights):
        return "; use model.load_state_dict(weights), or save it and pass the path"
    if isinstance(weights, nn.Module):
        return "; use model.load_state_dict(weights.state_dict())"
    return _hint_to_choose(weights)


def _hint_for_one(weights: object) -> str:
    """How to repair an argument of `resolve`, if that is known."""
    if isinstance(weights, os.PathLike) or (
        isinstance(weights, str) and not weights.isidentifier() and not _MEMBER.fullmatch(weights)
    ):
        return (
            "; a file does not record how its images were preprocessed: pass the published weights "
            "that the training started from"
        )
    if isinstance(weights, str):
        return (
            "; a name does not say how images are preprocessed: pass one of "
            "model_info(name).weights, or a member such as ResNet18_Weights.DEFAULT of "
            "torchvision.models"
        )
    return _hint_to_choose(weights)


def _hint_to_choose(weights: object) -> str:
    """How to choose one of several weights, if they are given instead of one."""
    if isinstance(weights, tuple | list) and _are_published(weights):
        default = [number for number, one in enumerate(weights) if one.is_default]
        return f"; pass one of them, such as weights[{default[0] if default else 0}]"
    if isinstance(weights, enum.EnumMeta):
        return f"; pass a member of it, such as {weights.__name__}.DEFAULT"
    return ""


def _is_state(weights: object) -> bool:
    return (
        isinstance(weights, Mapping)
        and len(weights) > 0
        and all(isinstance(tensor, Tensor) for tensor in weights.values())
    )


def _are_published(weights: Sequence[object]) -> TypeGuard[Sequence[PublishedWeights]]:
    return len(weights) > 0 and all(isinstance(one, PublishedWeights) for one in weights)


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
    belongs = f"are weights of {other}" if other else "are not weights of a model of the zoo"
    raise WeightsError(f"{written} {belongs}; model_info({model!r}).weights lists those of {model}")
