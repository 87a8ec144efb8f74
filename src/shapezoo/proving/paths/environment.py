"""What PyTorch's symbols ask, and who answers: the sizes of a run, or a choice.

A question about sizes is answered by the sizes that a run follows, and becomes a guard. One about
the data of arguments has no such answer: it is chosen, and another run chooses otherwise.
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


def is_deferred(environment: Any) -> bool:
    """Whether torch has put off a question about a size that the data decide."""
    deferred = itertools.chain.from_iterable(environment.deferred_runtime_asserts.values())
    assumed = set(map(canonical, environment.assumed))
    return any(canonical(put_off.expr) not in assumed for put_off in deferred)


def canonical(condition: Any) -> Any:
    """``1 <= u`` and ``u >= 1`` alike."""
    return condition.canonical if isinstance(condition, Relational) else condition


class Environment(symbolic_shapes.ShapeEnv):
    """Remembers for each guard the line of the model that has asked, and what was assumed.

    Args:
        ranges: Is told of questions that cannot be answered.
        choices: The first answers where the data of arguments decide; None gives up there.
        **options: Those of `ShapeEnv`.
    """

    def __init__(
        self, ranges: ValueRanges, choices: Sequence[bool] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.ranges = ranges
        ranges.choose = self.choose
        self.places: list[str] = []
        self.assumed: list[Any] = []
        self.choices = choices
        self.taken: list[bool] = []
        self._items: dict[Any, dict[Any, bool]] = {}  # by symbol, what was answered of it
        self._comparisons: dict[Any, bool] = {}

    def assume(self, condition: torch.SymBool) -> None:
        """Take a condition on sizes that the data decide to be true."""
        torch._check(condition)
        self.assumed.append(condition.node.expr)

    def item(self, dtype: torch.dtype) -> Any:
        """Give a number that the data of arguments decide, or an answer."""
        if dtype == torch.bool:
            return self.choose()
        make = self.create_unbacked_symfloat if dtype.is_floating_point else None
        item = (make or self.create_unbacked_symint)()
        self._items[item.node.expr] = {}
        return item

    def is_of_items(self, number: Any) -> bool:
        """Whether a number is made of numbers that the data of arguments decide."""
        is_symbol = isinstance(number, torch.SymInt | torch.SymFloat)
        return is_symbol and not self._items.keys().isdisjoint(number.node.expr.free_symbols)

    def compare(self, name: str, left: Any, right: Any) -> bool:
        """Answer a comparison of floating-point numbers: the same one to the same question."""
        question = name, expression_of(left), expression_of(right)
        if question not in self._comparisons:
            self._comparisons[question] = self.choose()
        return self._comparisons[question]

    def choose(self) -> bool:
        """Answer a question that the data of arguments decide."""
        at = len(self.taken)
        if self.choices is None:
            self.ranges.give_up(f"the data of an argument decide at {_place()}")
        if at == MOST_CHOICES:
            self.ranges.give_up(f"{_place()} asks more than {at} times for values of arguments")
        self.taken.append(self.choices[at] if at < len(self.choices) else False)
        return self.taken[-1]

    def evaluate_expr(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a question, which may be a guard from then on."""
        note(QUESTION)
        try:
            return super().evaluate_expr(*args, **kwargs)
        except symbolic_shapes.GuardOnDataDependentSymNode as error:
            answer = self._of_items(args[0] if args else kwargs["orig_expr"])
            if answer is None:
                self.ranges.undecided = error
                raise
            return sympy.true if answer else sympy.false
        finally:
            if len(self.guards) > len(self.places):
                place = _place()
                self.places += [place] * (len(self.guards) - len(self.places))

    def _of_items(self, question: Any) -> bool | None:
        """The answer to a question about items alone: the same one to the same question."""
        asked = [s for s in question.free_symbols if s in self._items]
        is_about_items = isinstance(question, Relational | BooleanFunction) and asked
        if not is_about_items or symbolic_shapes.free_unbacked_symbols(question) - {*asked}:
            return None
        known = self._items[asked[0]]
        if question not in known:
            known[question] = self.choose()
        return known[question]


MOST_CHOICES = 16
"""So many answers that the data decide are taken in one run."""


def _place() -> str:
    """The innermost line of the model; empty if the contract has asked, and no line of it."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "run_symbolically":
        if not is_library(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def expression_of(number: Any) -> Any:
    """The expression of a symbol, or a number in sympy's terms."""
    is_symbol = isinstance(number, torch.SymInt | torch.SymFloat)
    return number.node.expr if is_symbol else sympy.sympify(number)
