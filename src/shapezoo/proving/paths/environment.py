"""Answer what PyTorch's symbolic sizes ask: by the sizes of a run, or by a choice.

PyTorch's `ShapeEnv` turns every question about a symbolic size (`x.shape[0] > 3` in an ``if``) into
a call of `evaluate_expr`, and its answer becomes a guard: a condition under which the run goes the
same way. Each symbol has a hint, the size that this run follows, so there is always an answer.

A question about the data of arguments (``if mask.any()``) has no hint, since fake tensors have no
data. It is answered by a choice: false at first, and further runs choose differently until all ways
are followed. The same question gets the same answer throughout a run, or the run would follow a way
that no call takes.

`ShapeEnv` and the modules around it are private to PyTorch: `torch.export` builds on them, but
offers no public way to run a model once for each path. tests/proving/test_internals.py pins what is
used here.
"""

import inspect
import itertools
from collections.abc import Sequence
from typing import Any

import sympy
import torch
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction
from torch.fx.experimental import symbolic_shapes

from shapezoo._frames import is_library
from shapezoo.proving.effort import QUESTION, note
from shapezoo.proving.rules.values.value_ranges import ValueRanges

MOST_CHOICES = 16
"""How many choices one run may make."""


def is_deferred(environment: Any) -> bool:
    """Whether torch has deferred a question about a size that the data decide."""
    deferred = itertools.chain.from_iterable(environment.deferred_runtime_asserts.values())
    assumed = set(map(canonical, environment.assumed))
    return any(canonical(assertion.expr) not in assumed for assertion in deferred)


def canonical(condition: Any) -> Any:
    """Return the same form for ``1 <= u`` and ``u >= 1``."""
    return condition.canonical if isinstance(condition, Relational) else condition


class Environment(symbolic_shapes.ShapeEnv):
    """A `ShapeEnv` that answers questions about data, and remembers which line asked each guard.

    Args:
        ranges: Told about questions that cannot be answered.
        choices: The first answers to questions about the data of arguments; the others are false.
            None makes such a question undecided.

    Attributes:
        guard_lines: For each guard, the line of the model that asked, as ``file:number``.
        assumed: Conditions on sizes that the data decide, which are taken to be true.
        taken: The choices that were made, in order.
    """

    def __init__(self, ranges: ValueRanges, choices: Sequence[bool] | None = None) -> None:
        super().__init__(specialize_zero_one=False, duck_shape=False)
        self.ranges = ranges
        ranges.choose = self.choose
        self.guard_lines: list[str] = []
        self.assumed: list[Any] = []
        self.choices = choices
        self.taken: list[bool] = []
        self._items: set[Any] = set()  # symbols of numbers that were read from tensors
        self._answers: dict[Any, bool] = {}

    def assume(self, condition: torch.SymBool) -> None:
        """Take a condition on sizes that the data decide to be true."""
        torch._check(condition)
        self.assumed.append(condition.node.expr)

    def item(self, dtype: torch.dtype) -> Any:
        """Return a symbol for a number in a tensor, or a choice for a boolean."""
        if dtype == torch.bool:
            return self.choose()
        make = self.create_unbacked_symfloat if dtype.is_floating_point else None
        item = (make or self.create_unbacked_symint)()
        self._items.add(item.node.expr)
        return item

    def is_of_items(self, number: Any) -> bool:
        """Whether a number is computed from numbers that were read from tensors."""
        is_symbol = isinstance(number, torch.SymInt | torch.SymFloat)
        return is_symbol and not self._items.isdisjoint(number.node.expr.free_symbols)

    def compare(self, name: str, left: Any, right: Any) -> bool:
        """Answer a comparison of floating-point numbers."""
        return self._answer((name, expression_of(left), expression_of(right)))

    def choose(self) -> bool:
        """Answer a question that the data of arguments decide."""
        count = len(self.taken)
        if self.choices is None:
            self.ranges.give_up(f"the values of an argument decide at {_models_line()}")
        if count == MOST_CHOICES:
            self.ranges.give_up(f"{_models_line()} asks for values of arguments over {count} times")
        self.taken.append(self.choices[count] if count < len(self.choices) else False)
        return self.taken[-1]

    def _answer(self, question: Any) -> bool:
        """Choose an answer, the same one for the same question."""
        if question not in self._answers:
            self._answers[question] = self.choose()
        return self._answers[question]

    def evaluate_expr(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a question, which may add a guard."""
        note(QUESTION)
        try:
            return super().evaluate_expr(*args, **kwargs)
        except symbolic_shapes.GuardOnDataDependentSymNode as error:
            question = args[0] if args else kwargs["orig_expr"]
            if not self._is_about_items(question):
                self.ranges.undecided = error
                raise
            return sympy.true if self._answer(question) else sympy.false
        finally:
            # most questions add no guard, and looking for the line is slow
            if len(self.guards) > len(self.guard_lines):
                line = _models_line()
                self.guard_lines += [line] * (len(self.guards) - len(self.guard_lines))

    def _is_about_items(self, question: Any) -> bool:
        """Whether a question is about numbers from tensors, and no other number that data decide.

        Sizes that the data decide (`nonzero`) are such others: nobody can choose them freely.
        """
        items = self._items & question.free_symbols
        is_condition = isinstance(question, Relational | BooleanFunction) and items
        return bool(is_condition) and not symbolic_shapes.free_unbacked_symbols(question) - items


def _models_line() -> str:
    """Return the innermost line of the model; empty if the check of a contract asks."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "run_symbolically":
        if not is_library(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def expression_of(number: Any) -> Any:
    """Return the sympy expression of a symbol or a number."""
    is_symbol = isinstance(number, torch.SymInt | torch.SymFloat)
    return number.node.expr if is_symbol else sympy.sympify(number)
