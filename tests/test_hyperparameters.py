"""What a builder accepts is what its annotations say, for every builder and argument."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests.zoo.subjects import shell
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from shapezoo import create_model, list_models, model_info
from shapezoo._modules import without_values
from shapezoo.hyperparameters import Hyperparameters
from shapezoo.registry import entries, origin_of

ARGUMENTS = [
    (entry, parameter)
    for entry in entries()
    for parameter in inspect.signature(entry.builder).parameters.values()
]
WRONG: dict[Any, tuple[Any, ...]] = {
    int: (0, -1, True, False, 1.5, 10.0, math.nan, "10", "", None, (64, 96), [3], np.True_, b"1"),
    float: (math.nan, math.inf, -math.inf, True, "0.5", None, (0.1,), 1j, [0.1]),
    bool: (0, 1, "no", None, 0.0, (True,)),
    tuple[int, int, int, int]: (
        4,
        "4444",
        None,
        (4, 8, 16),
        (0, 8, 16, 32),
        [4.0, 8, 16, 32],
        True,
    ),
    Sequence[int]: (4, "44", None, (0,), (-1, 3), (True,), ("4",), (1.5,), {4}, ((4,),)),
}


def test_every_argument_of_every_builder_is_checked() -> None:
    for entry, parameter in ARGUMENTS:
        assert parameter.annotation in WRONG, f"{entry.name}: say how {parameter} is checked"
        for value in WRONG[parameter.annotation]:
            message = rf"^{entry.name}\(\): {parameter.name} must be .*, got "
            with pytest.raises((TypeError, ValueError), match=message):
                entry.builder(**{parameter.name: value})


@pytest.mark.parametrize("name", list_models())
def test_defaults_are_accepted_as_they_are(name: str) -> None:
    defaults = model_info(name).hyperparameters
    with without_values():
        origin = origin_of(create_model(name, **defaults))
    assert origin is not None
    assert origin.hyperparameters == defaults
    assert origin == origin_of(shell(name))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (-1, "an int of at least 1, got -1$"),
        ("10", "got '10'; pass num_classes=10$"),
        (10.0, r"got 10\.0; pass num_classes=10$"),
        (1.5, r"got 1\.5$"),
        ("ten", "got 'ten'$"),
        ("-1", "got '-1'$"),
        ("1e999", "got '1e999'$"),
        (True, "got True$"),
        (0, r"got 0; for a model without its last layer use shapezoo\.models\.Headless$"),
    ],
)
def test_a_hint_is_given_where_the_meaning_is_obvious(value: Any, hint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=hint) as error:
        create_model("lenet", num_classes=value)
    if "pass num_classes=" in str(error.value):
        assert create_model("lenet", num_classes=10)


def test_a_pair_for_the_size_of_images_gets_one_number() -> None:
    with pytest.raises(TypeError, match=r"got \(64, 96\); images are square.*image_size=64$"):
        create_model("vit_b_32", image_size=(64, 96))


def test_a_list_is_as_good_as_a_tuple() -> None:
    """A configuration in JSON has only lists."""
    with without_values():
        origin = origin_of(create_model("resnet_micro", strides=[4, 8, 16, 32]))
    assert origin == origin_of(shell("resnet_micro"))


def test_whole_numbers_of_numpy_and_torch_become_plain_ones() -> None:
    def build(
        *, size: int, share: float, flag: bool, widths: Sequence[int], other: str
    ) -> None: ...

    check = Hyperparameters(build).checked
    given = {"size": np.int64(3), "share": np.float32(0.5), "flag": np.True_, "other": object}
    for widths in ((2, np.int8(3)), [2, 3], np.array([2, 3]), torch.Size([2, 3])):
        result = check({**given, "widths": widths})
        assert result == {"size": 3, "share": 0.5, "flag": True, "widths": (2, 3), "other": object}
        types = [type(value) for value in result.values()]
        assert types == [int, float, bool, type, tuple]
        assert [type(width) for width in result["widths"]] == [int, int]
    assert check({"size": torch.tensor(4), "share": 1}) == {"size": 4, "share": 1.0}
    assert check({"unknown": -1}) == {"unknown": -1}
    with pytest.raises(TypeError, match=r"size must be an int of at least 1, got tensor\(1\.5"):
        check({"size": torch.tensor(1.5)})


def test_symbols_stay_symbols() -> None:
    """`int` of one would fix it, and with it the model that is traced."""

    def build(*, size: int) -> None: ...

    size = ShapeEnv().create_unbacked_symint()
    assert Hyperparameters(build).checked({"size": size})["size"] is size


def test_types_are_read_from_annotations_that_are_text() -> None:
    def build(*, size: "int") -> None: ...

    with pytest.raises(ValueError, match=r"build\(\): size must be an int of at least 1, got 0"):
        Hyperparameters(build).checked({"size": 0})
