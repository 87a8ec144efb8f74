import json
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)
from unittest.mock import ANY

import pytest
import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

from shapezoo import ContractError, Module, checked, signature
from shapezoo.contracts import Axis, RecordType, TensorType, TupleType, UnionType


class Scores(NamedTuple):
    logits: Float[Tensor, "batch classes"]
    features: Float[Tensor, "batch hidden"]


@dataclass(frozen=True)
class Padded:
    tokens: Int64[Tensor, "batch seq"]
    name: str


class Attend(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden

    def forward(
        self,
        queries: Float[Tensor, "*batch seq hidden={self.hidden}"],
        mask: Bool[Tensor, "seq kv_seq"] | None = None,
        *,
        scale: float = 1.0,
    ) -> tuple[Float[Tensor, "*batch seq hidden={self.hidden}"], int]:
        return scale * queries, 1


def test_the_text_is_the_annotation() -> None:
    assert str(signature(Attend)) == (
        '(queries: Float[Tensor, "*batch seq hidden={self.hidden}"], '
        'mask: Bool[Tensor, "seq kv_seq"] | None = None, *, scale: float = 1.0) -> '
        'tuple[Float[Tensor, "*batch seq hidden={self.hidden}"], int]'
    )


def positional(x: int, /, y: str = "a", *, z: float) -> None: ...
def rest(x: int, /, *xs: int, z: float = 1.0, **ys: int) -> None: ...
def empty(x: tuple[()], y: list[int]) -> None: ...
def counts(x: Counter[str]) -> None: ...
def equal(x: Any = ANY) -> None: ...
def nested(x: dict[str, tuple[int, ...]] | tuple[int, None] | None = None) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (positional, "(x: int, /, y: str = 'a', *, z: float) -> None"),
        (rest, "(x: int, /, *xs: int, z: float = 1.0, **ys: int) -> None"),
        (empty, "(x: tuple[()], y: list[int]) -> None"),
        (counts, "(x: Counter[str, int]) -> None"),
        (equal, "(x: Any = <ANY>) -> None"),  # equal to all, the mark of no default too
        (nested, "(x: dict[str, tuple[int, ...]] | tuple[int, None] | None = None) -> None"),
    ],
)
def test_the_text_is_as_in_python(function: Callable[..., object], text: str) -> None:
    assert str(signature(function)) == text


def test_a_module_knows_its_sizes() -> None:
    assert 'hidden=7"' in str(signature(Attend(7)).output)
    assert signature(Attend(7).forward) == signature(Attend(7))


def test_a_module_whose_attribute_is_missing_says_so() -> None:
    module = Attend(7)
    del module.hidden
    with pytest.raises(ContractError, match=r"\{self\.hidden\}.*no attribute 'hidden'"):
        signature(module)


def test_parts_are_plain_data() -> None:
    contract = signature(Attend(7))
    mask = contract.inputs[1].type
    assert isinstance(mask, UnionType)
    assert isinstance(mask.parts[0], TensorType)
    assert mask.parts[0].axes == (Axis(name="seq"), Axis(name="kv_seq"))
    assert isinstance(contract.output, TupleType)
    assert contract.axes == ("batch", "seq", "hidden", "kv_seq")
    assert contract.dtypes == ("Float", "Bool")
    assert json.loads(json.dumps(contract.to_dict()))["inputs"][0] == {
        "name": "queries",
        "type": {
            "kind": "tensor",
            "array": "Tensor",
            "dtype": "Float",
            "axes": [
                {"name": "batch", "variadic": True},
                {"name": "seq"},
                {"fixed": 7, "label": "hidden"},
            ],
        },
        "kind": "positional_or_keyword",
        "default": None,
    }


def test_every_container_has_a_text_and_json() -> None:
    def function(
        batch: Padded,
        sizes: list[Float[Tensor, "batch"]],
        named: dict[str, Float[Tensor, "batch"]],
        pair: tuple[int, ...],
        *rest: Float[Tensor, "batch"],
        **more: Float[Tensor, "batch"],
    ) -> Scores:
        raise AssertionError

    contract = signature(function)
    assert str(contract) == (
        '(batch: Padded, sizes: list[Float[Tensor, "batch"]], '
        'named: dict[str, Float[Tensor, "batch"]], pair: tuple[int, ...], '
        '*rest: Float[Tensor, "batch"], **more: Float[Tensor, "batch"]) -> Scores'
    )
    kinds = [argument.to_dict()["type"] for argument in contract.inputs]
    assert [kind["kind"] for kind in json.loads(json.dumps(kinds))] == [
        *("record", "sequence", "dict", "sequence", "tensor", "tensor")
    ]
    assert json.loads(json.dumps(contract.output.to_dict()))["kind"] == "record"
    assert contract.axes == ("batch", "seq", "classes", "hidden")


FLOAT = {"kind": "tensor", "array": "Tensor", "dtype": "Float", "axes": [{"name": "batch"}]}
INT = {"kind": "plain", "type": "int"}


@pytest.mark.parametrize(
    ("annotation", "data"),
    [
        (int, INT),
        (Float[Any, "3"], {**FLOAT, "array": "Any", "axes": [{"fixed": 3}]}),
        (tuple[int, None], {"kind": "tuple", "items": [INT, {"kind": "plain", "type": "None"}]}),
        (list[int], {"kind": "sequence", "container": "list", "item": INT}),
        (tuple[int, ...], {"kind": "sequence", "container": "tuple", "item": INT}),
        (
            dict[int, Float[Tensor, "batch"]],
            {"kind": "dict", "container": "dict", "key": INT, "value": FLOAT},
        ),
        (int | Float[Tensor, "batch"], {"kind": "union", "options": [INT, FLOAT]}),
    ],
)
def test_a_type_as_data(annotation: Any, data: dict[str, object]) -> None:
    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    assert signature(function).inputs[0].type.to_dict() == data


def test_records_as_data() -> None:
    def function(padded: Padded, options: "Options") -> None: ...

    padded, options = (argument.type for argument in signature(function).inputs)
    assert padded.to_dict() == {
        "kind": "record",
        "class": "Padded",
        "fields": {
            "tokens": {
                **FLOAT,
                "dtype": "Int64",
                "axes": [{"name": "batch"}, {"name": "seq"}],
            },
            "name": {"kind": "plain", "type": "str"},
        },
    }
    assert options.to_dict() == {
        "kind": "typed_dict",
        "class": "Options",
        "items": {
            "images": FLOAT,
            "labels": {**FLOAT, "dtype": "Int64", "axes": [{"name": "labels"}]},
        },
        "required": ["images"],
    }


def test_contracts_are_values() -> None:
    def make(annotation: Any) -> Callable[..., object]:
        def function(
            padded: Padded,
            options: Options | None,
            named: dict[str, Any],
            *sizes: tuple[int, list[int]],
        ) -> Float[Tensor, "batch"]:
            raise AssertionError

        function.__annotations__["named"] = annotation
        return function

    first = signature(make(dict[str, Float[Tensor, "*batch 3"]]))
    second = signature(make(dict[str, Float[Tensor, " *batch  3 "]]))
    assert {first} == {second}
    assert "annotation" not in repr(first)  # it is what the rest was read from


def test_a_tensor_type_allows_the_dtypes_of_its_family() -> None:
    def function(x: Float[Tensor, ""], y: Int64[Tensor, ""], z: Shaped[Tensor, ""]) -> None: ...

    dtypes = (torch.float32, torch.bfloat16, torch.int64, torch.bool)
    assert [[kind.allows(dtype) for dtype in dtypes] for kind in signature(function).tensors] == [
        [True, True, False, False],
        [False, False, True, False],
        [True, True, True, True],
    ]


@dataclass
class Tree:
    children: list["Tree"]
    value: Float[Tensor, "batch"]


@dataclass
class Folder:
    inner: list["Folder"]


def test_a_record_that_contains_itself_is_looked_into_only_without_tensors() -> None:
    def count(folder: Folder) -> int:
        raise AssertionError

    def total(tree: Tree) -> Float[Tensor, ""]:
        raise AssertionError

    assert str(signature(count)) == "(folder: Folder) -> int"
    with pytest.raises(ContractError, match="Tree contains itself"):
        signature(total)


Row = NewType("Row", Float[Tensor, "width"])
Bounded = TypeVar("Bounded", bound=Float[Tensor, "width"])
Tag = TypeVar("Tag")


@dataclass
class Partial(Generic[Tag]):
    tag: Tag
    values: Float[Tensor, "batch"]
    kind: ClassVar[int] = 0
    start: InitVar[int] = 0


@dataclass
class Hidden:
    bag: "OrderedBag"  # type: ignore[name-defined]  # as behind TYPE_CHECKING


@dataclass
class HiddenTensors:
    values: Float[Tensor, "batch"]
    bag: "OrderedBag"  # type: ignore[name-defined]  # as behind TYPE_CHECKING


class Options(TypedDict):
    images: Float[Tensor, "batch"]
    labels: NotRequired[Int64[Tensor, "labels"]]


@pytest.mark.parametrize("kind", [Iterable[Float[Tensor, "batch"]], type[Options]])
def test_tensors_that_would_not_be_checked_are_refused(kind: object) -> None:
    def function(x: int) -> None: ...

    function.__annotations__["x"] = kind
    with pytest.raises(ContractError, match="contains a shape in a type that shapezoo"):
        signature(function)


def test_annotated_says_what_it_annotates() -> None:
    def function(x: Annotated[Float[Tensor, "batch"], "pixels"]) -> None: ...

    assert str(signature(function)) == '(x: Float[Tensor, "batch"]) -> None'


def test_a_checked_function_has_the_same_contract() -> None:
    def double(x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return 2 * x

    assert signature(checked(double)) == signature(double)


@pytest.mark.parametrize(
    ("shapes", "accepted"),
    [
        (((None, 1, 28, 28),), True),
        (((8, 1, 28, 28),), True),
        (((None, None, None, None),), True),
        (((None, 3, 28, 28),), False),
        (((None, 1, 28),), False),
        (((None, 1, 28, 28), (None,)), False),
        ((), False),
    ],
)
def test_accepts(shapes: tuple[tuple[int | None, ...], ...], accepted: bool) -> None:
    def classify(images: Float[Tensor, "batch 1 28 28"]) -> Float[Tensor, "batch 10"]:
        raise AssertionError

    assert signature(classify).accepts(*shapes) is accepted


def test_accepts_computes_expressions_and_compares_variadic_axes() -> None:
    def half(
        x: Float[Tensor, "*batch width"], y: Float[Tensor, "*batch width//2"]
    ) -> Float[Tensor, "*batch"]:
        raise AssertionError

    contract = signature(half)
    assert contract.accepts((2, 3, 8), (2, 3, 4))
    assert contract.accepts((2, 3, None), (2, 3, 4))
    assert not contract.accepts((2, 3, 8), (2, 3, 5))
    assert not contract.accepts((2, 3, 8), (3, 2, 4))


def test_accepts_needs_a_shape_for_what_has_no_default() -> None:
    def function(
        x: Float[Tensor, "batch"], *xs: Float[Tensor, "batch"], flag: bool = True, **ys: int
    ) -> None: ...

    assert signature(function).accepts((2,))
    assert signature(function).accepts((2,), (2,))
    assert not signature(function).accepts((2,), (3,))
    assert not signature(function).accepts()


def test_accepts_speaks_of_tensors_not_of_containers() -> None:
    def function(x: tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]) -> None: ...

    assert not signature(function).accepts((2,))


@pytest.mark.parametrize("width", [3, torch.tensor(3)])
def test_sizes_in_braces_are_numbers(width: object) -> None:
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.width = width

        def forward(self, x: Float[Tensor, "w={self.width} {self.width}/2 {2*2}"]) -> None: ...

    assert str(signature(Sized()).inputs[0]) == 'x: Float[Tensor, "w=3 3/2 4"]'


def test_a_module_does_not_know_sizes_that_another_argument_gives() -> None:
    class Sized(nn.Module):
        def forward(
            self, x: Float[Tensor, "batch {size} {size+len(self.names)}"], size: int
        ) -> None: ...

    assert "batch {size} {size+len(self.names)}" in str(signature(Sized()))


@pytest.mark.parametrize("width", [None, "3", (3,)])
def test_other_things_in_braces_are_refused(width: object) -> None:
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.width = width

        def forward(self, x: Float[Tensor, "w={self.width}"]) -> None: ...

    with pytest.raises(ContractError, match=r"cannot read \{self\.width\} as a size"):
        signature(Sized())


def test_accepts_tries_every_option_of_a_union() -> None:
    def embed(
        tokens: Int64[Tensor, "batch seq"] | Float[Tensor, "batch seq vocab"],
        weights: Float[Tensor, "batch"] | Float[Tensor, "seq"],
    ) -> None: ...

    contract = signature(embed)
    assert contract.accepts((2, 3), (3,))
    assert contract.accepts((2, 3, 5), (2,))
    assert not contract.accepts((2, 3), (5,))


def test_accepts_compares_named_and_variadic_axes_over_all_arguments() -> None:
    def attend(
        queries: Float[Tensor, "*batch seq hidden"],
        keys: Float[Tensor, "kv_seq hidden"],
        bias: Float[Tensor, "#hidden"] | None = None,
    ) -> Float[Tensor, "*batch seq kv_seq"]:
        raise AssertionError

    contract = signature(attend)
    assert contract.accepts((2, 3, 5, 8), (7, 8))
    assert contract.accepts((2, None, 5, None), (7, 8))
    assert contract.accepts((5, 8), (7, 8), (1,))
    assert not contract.accepts((8,), (7, 8))
    assert not contract.accepts((5, 8), (7, 9))
    assert not contract.accepts((5, 8), (7, 8), (2,))


def test_a_missing_annotation_is_named() -> None:
    def first(x: Float[Tensor, "batch"], y) -> Float[Tensor, "batch"]:  # type: ignore[no-untyped-def]  # the fault under test
        return x

    def second(x: Float[Tensor, "batch"]):  # type: ignore[no-untyped-def]  # the fault under test
        return x

    with pytest.raises(ContractError, match=r"first: missing annotation: 'y'; state the shape"):
        signature(first)
    with pytest.raises(ContractError, match=r"second: missing annotation: the return value; state"):
        signature(second)


def test_a_class_with_a_loose_result_cannot_be_defined() -> None:
    with pytest.raises(ContractError, match=r"Loose\.forward: no argument defines an axis"):

        class Loose(Module):
            def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch channels"]:
                return x


@pytest.mark.parametrize(
    ("good", "loose"),
    [
        (tuple[Float[Tensor, "batch"], int], tuple[Float[Tensor, "channels"], int]),
        (list[Float[Tensor, "batch"]], list[Float[Tensor, "channels"]]),
        (Float[Tensor, "batch"] | None, Float[Tensor, "channels"] | None),
    ],
)
def test_a_loose_axis_inside_a_result_is_refused(good: Any, loose: Any) -> None:
    def returning(annotation: Any) -> Callable[..., object]:
        def function(x: Float[Tensor, "batch 3"]) -> object:
            raise AssertionError

        function.__annotations__["return"] = annotation
        return function

    assert signature(returning(good)).axes == ("batch",)
    with pytest.raises(ContractError, match="no argument defines an axis 'channels'"):
        signature(returning(loose))


@pytest.mark.parametrize(
    ("argument", "result", "axis"),
    [
        ("batch channels=3", "batch channels", "channels"),
        ("*batch 3", "batch 3", "batch"),
        ("batch 3", "*batch 3", "*batch"),
    ],
)
def test_what_binds_nothing_cannot_stand_in_the_result(
    argument: str, result: str, axis: str
) -> None:
    def function(x: int) -> int:
        raise AssertionError

    function.__annotations__ = {"x": Float[Tensor, argument], "return": Float[Tensor, result]}
    with pytest.raises(ContractError, match=re.escape(f"no argument defines an axis {axis!r}")):
        signature(function)


def test_a_module_that_knows_the_size_is_suggested_to_methods_only() -> None:
    def function(x: Float[Tensor, "n"]) -> Float[Tensor, "total"]:
        raise AssertionError

    def method(self, x: Float[Tensor, "n"]) -> Float[Tensor, "total"]:  # type: ignore[no-untyped-def]
        raise AssertionError

    with pytest.raises(ContractError, match=r"such as past\+seq, or _ for any size$"):
        signature(function)
    with pytest.raises(ContractError, match=r'knows, "total={self.total}", or _ for any size$'):
        signature(method)


@pytest.mark.parametrize(
    ("axis", "ending"),
    [
        (
            "kv-seq",
            "'kv-seq' uses kv and seq, which no earlier argument defines; did you mean 'kv_seq'?",
        ),
        ("batch-seq", "'batch-seq' uses seq, which no earlier argument defines"),
        ("kv*seq", "'kv*seq' uses kv and seq, which no earlier argument defines"),
    ],
)
def test_names_with_hyphens_are_taken_for_subtractions(axis: str, ending: str) -> None:
    def function(x: Float[Tensor, "batch"], y: Any) -> None: ...

    function.__annotations__["y"] = Float[Tensor, axis]
    with pytest.raises(ContractError, match=f"{re.escape(ending)}$"):
        signature(function)


def test_an_option_of_a_union_cannot_use_the_names_of_another() -> None:
    def function(x: Float[Tensor, "n 3"] | Float[Tensor, "n//2 4"]) -> None: ...

    with pytest.raises(ContractError, match="'n//2' uses n, which no earlier argument"):
        signature(function)


def test_pythons_functions_may_stand_in_an_axis_but_are_no_axes() -> None:
    def good(x: Float[Tensor, "height"]) -> Float[Tensor, "min(height,4)"]:
        raise AssertionError

    def bad(x: Float[Tensor, "len*2"]) -> None: ...

    assert signature(good).axes == ("height",)
    with pytest.raises(ContractError, match=r"'len\*2' uses len"):
        signature(bad)


def test_new_types_and_bounded_variables_are_what_they_stand_for() -> None:
    def function(x: Row, y: Bounded) -> None: ...

    assert (
        str(signature(function)) == '(x: Float[Tensor, "width"], y: Float[Tensor, "width"]) -> None'
    )


def test_fields_of_a_dataclass_are_those_that_its_values_have() -> None:
    def function(x: Partial[int]) -> None: ...

    (argument,) = signature(function).inputs
    assert isinstance(argument.type, RecordType)
    assert argument.type.fields == ("tag", "values")


def test_a_record_with_names_for_type_checkers_only_is_plain() -> None:
    def plain(x: Hidden) -> None: ...
    def hides_tensors(x: HiddenTensors) -> None: ...

    assert str(signature(plain)) == "(x: Hidden) -> None"
    with pytest.raises(ContractError, match="name 'OrderedBag' is not defined"):
        signature(hides_tensors)


def test_a_leading_cls_with_an_annotation_is_an_argument() -> None:
    def prepend(cls: Float[Tensor, "hidden"]) -> Float[Tensor, "hidden"]:
        raise AssertionError

    assert [argument.name for argument in signature(prepend).inputs] == ["cls"]


def test_what_beartype_cannot_check_is_refused() -> None:
    def function(x: Float) -> None: ...  # type: ignore[valid-type]  # the fault under test

    with pytest.raises(ContractError, match=r"function: Float cannot be checked"):
        signature(function)


def test_callables_and_every_mapping_are_understood() -> None:
    def function(
        act: Callable[[Float[Tensor, "batch"]], Float[Tensor, "batch"]],
        named: OrderedDict[str, Float[Tensor, "batch"]],
    ) -> None: ...

    assert "OrderedDict[str, Float" in str(signature(function))


def test_fields_of_a_returned_record_may_name_axes_of_their_own() -> None:
    def score(x: Float[Tensor, "batch features"]) -> Scores:
        raise AssertionError

    assert signature(score).axes == ("batch", "features", "classes", "hidden")


@pytest.mark.parametrize("shape", ["{size}", "{self.size}", "{len(other)}"])
def test_braces_around_what_is_not_an_argument_are_refused(shape: str) -> None:
    def function(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        raise AssertionError

    function.__annotations__["x"] = Float[Tensor, shape]
    function.__annotations__["return"] = Float[Tensor, ""]
    with pytest.raises(ContractError, match="which is not an argument"):
        signature(function)


def test_an_expression_may_use_an_axis_that_is_named_twice() -> None:
    def function(
        x: tuple[Float[Tensor, "seq"], Float[Tensor, "seq"], Float[Tensor, "seq+1"]],
    ) -> Float[Tensor, "2*seq"]:
        raise AssertionError

    assert signature(function).axes == ("seq",)


def test_an_expression_over_a_later_axis_is_refused() -> None:
    def function(x: Float[Tensor, "2*seq"], y: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        raise AssertionError

    with pytest.raises(ContractError, match="uses seq, which no earlier argument defines"):
        signature(function)


def test_torchs_own_modules_have_the_contract_that_they_state() -> None:
    assert str(signature(nn.Linear(2, 3))) == "(input: Tensor) -> Tensor"
    with pytest.raises(ContractError, match=r"Sequential\.forward: missing annotations: 'input'"):
        signature(nn.Sequential())
