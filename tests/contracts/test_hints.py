"""Names in annotations: of enclosing functions and classes, and for type checkers only."""

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, TypeVar

import pytest
import torch
from jaxtyping import Float  # noqa: F401  # in an annotation
from torch import Tensor, zeros  # noqa: F401  # in an annotation

from shapezoo import ContractError, ShapeError, checked, signature

Importer = Callable[..., ModuleType]


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Importer:
    """Imports modules with this source, after a common header."""
    monkeypatch.syspath_prepend(tmp_path)
    head = """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from jaxtyping import Float
        from torch import Tensor
        from shapezoo import Module, checked
    """

    def make(name: str = "strange", /, **sources: str) -> ModuleType:
        for module, source in sources.items():
            (tmp_path / f"{module}.py").write_text(dedent(head) + dedent(source))
            monkeypatch.delitem(sys.modules, module, raising=False)
        __import__(name)
        return sys.modules[name]

    return make


def refused(call: Callable[..., object], *args: Any) -> ShapeError:
    with pytest.raises(ShapeError) as error:
        call(*args)
    return error.value


def test_aliases_that_are_local_to_a_function_are_found(imported: Importer) -> None:
    module = imported(
        strange="""
        def make(size):
            Images = Float[Tensor, f"batch {size}"]
            class Net(Module):
                def forward(self, x: Images) -> Images:
                    return x
            @checked
            def double(x: Images | None) -> Images | None:
                return x
            return Net(), double
        """
    )
    net, double = module.make(3)
    assert str(signature(net)) == '(x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]'
    assert refused(net, zeros(2, 4)).axis == 1
    assert refused(double, zeros(2, 4)).axis == 1
    other, _ = module.make(4)
    assert other(zeros(2, 4)).shape == (2, 4)


def test_a_local_alias_hides_a_global_one(imported: Importer) -> None:
    module = imported(
        strange="""
        Images = Float[Tensor, "batch 3"]
        def make():
            Images = Float[Tensor, "batch 4"]
            @checked
            def f(x: Images) -> None: ...
            return f
        @checked
        def g(x: Images) -> None: ...
        """
    )
    module.make()(zeros(2, 4))
    module.g(zeros(2, 3))


def test_aliases_in_the_body_of_a_class_are_found(imported: Importer) -> None:
    module = imported(
        strange="""
        class Net(Module):
            Images = Float[Tensor, "batch 3"]
            def forward(self, x: Images) -> Images:
                return x
            @checked
            def other(self, x: Images) -> Images:
                return x
        """
    )
    for call in (module.Net(), module.Net().other):
        assert refused(call, zeros(2, 4)).axis == 1


def test_imports_for_type_checkers_are_made_at_the_first_call(imported: Importer) -> None:
    module = imported(
        others="""
        import strange  # in a circle, if it ran while strange is imported
        Images = Float[Tensor, "batch 3"]
        """,
        strange="""
        if TYPE_CHECKING:
            from others import Images as Pictures
            import collections.abc as abc
            from collections.abc import Sequence, NotThere
        @checked
        def f(x: Pictures, sizes: Sequence[int], more: abc.Sequence[int] = ()) -> None: ...
        """,
    )
    assert "others" not in sys.modules
    module.f(zeros(2, 3), [1])
    assert refused(module.f, zeros(2, 4), [1]).argument == "x"
    assert refused(module.f, zeros(2, 3), ["1"]).argument == "sizes[0]"
    assert refused(module.f, zeros(2, 3), [1], 2).argument == "more"


def test_a_class_that_does_not_exist_leaves_only_its_argument_unchecked(imported: Importer) -> None:
    module = imported(
        strange="""
        if TYPE_CHECKING:
            from not_installed import Config
            class Named: ...
        class Net(Module):
            def forward(
                self, x: Float[Tensor, "batch 3"], config: Config | None = None, n: Named = None
            ) -> Float[Tensor, "batch 3"]:
                return x
        """
    )
    net = module.Net()
    assert net(zeros(2, 3), "anything", 3).shape == (2, 3)
    assert refused(net, zeros(2, 4), "anything").argument == "x"
    assert [str(argument.type) for argument in signature(net).inputs][1:] == [
        "Config | None",
        "Named",
    ]
    compiled: Any = torch.compile(net, backend="eager", fullgraph=True)
    assert compiled(zeros(2, 3), "anything").shape == (2, 3)


@pytest.mark.parametrize(
    "source",
    [
        """
        if TYPE_CHECKING:
            Images = Elsewhere[Tensor, "batch 3"]
        @checked
        def f(x: Images) -> None: ...
        f(3)
        """,
        """
        if TYPE_CHECKING:
            from not_installed import Images
        @checked
        def f(x: Images[Tensor, "batch"]) -> None: ...
        f(3)
        """,
    ],
)
def test_a_shape_cannot_hide_behind_a_name_for_type_checkers(
    source: str, imported: Importer
) -> None:
    with pytest.raises(
        ContractError, match=r"'Images', which does not exist .* `if TYPE_CHECKING:`"
    ):
        imported(strange=source)


def test_aliases_for_type_checkers_are_evaluated(imported: Importer) -> None:
    module = imported(
        strange="""
        if TYPE_CHECKING:
            Images = Float[Tensor, "batch 3"]
            Number = int
        @checked
        def f(x: Images, n: Number) -> None: ...
        """
    )
    module.f(zeros(2, 3), 1)
    assert refused(module.f, zeros(2, 4), 1).axis == 1
    assert refused(module.f, zeros(2, 3), "1").argument == "n"
    assert not hasattr(module, "Images")


def test_checked_dataclasses_find_their_names_too(imported: Importer) -> None:
    module = imported(
        strange="""
        from dataclasses import dataclass
        if TYPE_CHECKING:
            from fractions import Fraction
            from not_installed import Config
        def make():
            Images = Float[Tensor, "batch 3"]
            @checked
            @dataclass
            class Batch:
                Pixels = Float[Tensor, "batch 4"]
                images: Images
                pixels: Pixels
                scale: Fraction | None = None
                config: Config = None
            return Batch
        Batch = make()
        """
    )
    module.Batch(zeros(2, 3), zeros(2, 4), config="anything")
    assert refused(module.Batch, zeros(2, 3), zeros(2, 3)).argument == "pixels"
    assert refused(module.Batch, zeros(2, 4), zeros(2, 4)).argument == "images"
    assert refused(module.Batch, zeros(2, 3), zeros(2, 4), 2).argument == "scale"


LATE = """
        if TYPE_CHECKING:
            from pathlib import Path
"""


def test_local_names_count_where_another_is_found_only_later(imported: Importer) -> None:
    module = imported(
        strange=LATE
        + """
        from dataclasses import dataclass
        Images = Float[Tensor, "batch"]
        def make(width):
            Images = Float[Tensor, f"batch {width}"]
            @checked
            def f(x: Images, path: Path | None = None) -> Images:
                return x
            @dataclass
            class Record:
                x: Images
            @checked
            def g(record: Record, path: Path | None = None) -> None: ...
            return f, g, Record
        def call_inside(width, inner):
            Images = Float[Tensor, "batch 9"]
            return inner()
        """
    )
    f, g, record = module.make(3)
    module.call_inside(9, lambda: f(zeros(2, 3)))
    assert refused(f, zeros(2)).argument == "x"
    g(record(zeros(2, 3)))
    assert refused(g, record(zeros(2))).argument == "record.x"


def test_imports_for_type_checkers_may_be_nested_and_name_one_another(imported: Importer) -> None:
    module = imported(
        strange="""
        import sys
        import typing
        if typing.TYPE_CHECKING:
            if sys.version_info >= (3, 11):
                from pathlib import Path
            try:
                from collections import deque
            except ImportError:
                pass
            Paths = list[Path]
        if not TYPE_CHECKING:
            pass
        else:
            from fractions import Fraction
        @checked
        def f(paths: Paths, queue: deque[int], fraction: Fraction) -> None: ...
        """
    )
    from collections import deque
    from fractions import Fraction

    module.f([Path()], deque([1]), Fraction(1))
    assert refused(module.f, ["text"], deque([1]), Fraction(1)).argument == "paths[0]"
    assert refused(module.f, [], deque(["text"]), Fraction(1)).argument == "queue[0]"
    assert refused(module.f, [], deque([1]), 1).argument == "fraction"


def test_a_field_may_be_called_like_its_class(imported: Importer) -> None:
    module = imported(
        strange="""
        from dataclasses import dataclass
        from datetime import date
        @checked
        @dataclass
        class Entry:
            x: Float[Tensor, "n"]
            date: date = None
        """.replace("date: date = None", "date: date | None = None")
    )
    module.Entry(zeros(2))
    assert refused(module.Entry, zeros(2), 3).argument == "date"


def test_no_variable_of_an_enclosing_function_is_kept_alive(imported: Importer) -> None:
    module = imported(
        strange=LATE
        + """
        import weakref
        import torch
        def train():
            batch = torch.ones(3)
            kept = weakref.ref(batch)
            @checked
            def loss(x: Float[Tensor, "batch"], path: Path | None = None) -> None: ...
            @checked
            def other(x: Float[Tensor, "batch"]) -> None: ...
            del batch
            return kept(), loss
        """
    )
    tensor, loss = module.train()
    assert tensor is None
    loss(zeros(3))


def test_a_name_that_is_nowhere_is_told_at_the_first_call(imported: Importer) -> None:
    module = imported(
        strange="""
        @checked
        def f(x: Float[Tensor, "batch"], y: Nowhere) -> None: ...
        """
    )
    with pytest.raises(ContractError, match=r"annotation of 'y': name 'Nowhere' is not defined"):
        module.f(zeros(2), 3)


def test_fields_of_records_are_read_one_by_one(imported: Importer) -> None:
    module = imported(
        strange="""
        from dataclasses import dataclass
        if TYPE_CHECKING:
            from not_installed import Config
        @dataclass
        class Batch:
            images: Float[Tensor, "batch 3"]
            config: Config | None = None
        @checked
        def f(x: Batch) -> None: ...
        """
    )
    module.f(module.Batch(zeros(2, 3), "anything"))
    assert refused(module.f, module.Batch(zeros(2, 4))).argument == "x.images"


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        ('Float[Tensor, "*a *b"]', "Cannot use variadic specifiers"),
        ("Float[Tensor", "SyntaxError|was never closed|Forward reference"),
        ("1 // 0", "division|by zero"),
    ],
)
def test_an_annotation_that_raises_is_told_where_it_stands(annotation: str, why: str) -> None:
    def f(x: int) -> None: ...

    f.__annotations__["x"] = annotation
    with pytest.raises(ContractError, match=rf"cannot evaluate the annotation of 'x': .*({why})"):
        checked(f)


def test_type_parameters_are_names_too() -> None:
    def f(x: int) -> None: ...

    f.__annotations__["x"] = "list[Item]"
    f.__type_params__ = (TypeVar("Item", bound=int),)  # type: ignore[attr-defined]  # as in f[Item: int]
    checked(f)([1])  # type: ignore[arg-type]  # a list is what it takes now
    assert refused(checked(f), ["text"]).argument == "x[0]"
