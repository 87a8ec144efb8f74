"""Conditions on the sizes of axes, such as ``height >= 63``."""

import ast
import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import CodeType

from shapezoo.contracts.language.errors import ContractError, listed
from shapezoo.contracts.language.parsing import expression

_SUMS: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-"}
_PRODUCTS: dict[type[ast.AST], str] = {
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Div: "/",
}
_COMPARISONS: dict[type[ast.AST], str] = {
    ast.GtE: ">=",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.Lt: "<",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_WORDS = {
    ast.GtE: "at least {}",
    ast.LtE: "at most {}",
    ast.Gt: "above {}",
    ast.Lt: "below {}",
    ast.Eq: "{}",
    ast.NotEq: "other than {}",
}


@dataclass(frozen=True)
class Condition:
    """A condition on the sizes of axes.

    Attributes:
        text: Comparisons of the names of axes and whole numbers, with ``+``, ``-``, ``*``,
            ``//`` and ``%``, joined by ``and``, ``or`` and ``not``, in Python's notation. One
            side of ``in`` or ``not in`` is a tuple of whole numbers:
            ``height % 32 in (0, 29, 30, 31)``.

    Raises:
        ContractError: The text is not such an expression.
    """

    text: str

    def __post_init__(self) -> None:
        try:
            tree = expression(self.text)
            if not _is_condition(tree):
                raise ValueError("it does not compare sizes")
        except (SyntaxError, TypeError, ValueError) as error:
            raise ContractError(
                f"{self.text!r} is not a condition on sizes; write, for example, 'height >= 32', "
                f"'height % 16 == 0' or 'height == width'"
            ) from error
        # one spelling, so that equal conditions compare equal
        object.__setattr__(self, "text", unparse(tree))

    def __str__(self) -> str:
        return self.text

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes in it, in order of first use."""
        return _axes(self.text)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether these sizes satisfy it; they do not if evaluating it divides by zero.

        Raises:
            KeyError: One of its axes has no size.
        """
        names = {axis: sizes[axis] for axis in self.axes}
        try:
            return bool(eval(_code(self.text), {}, names))
        except ZeroDivisionError:
            return False

    def explain(self, sizes: Mapping[str, int]) -> str:
        """Describe why sizes do not satisfy it: ``height must be at least 63, got 62``."""
        got = ", ".join(f"{axis}={sizes[axis]}" for axis in self.axes)
        alone = str(sizes[self.axes[0]]) if len(self.axes) == 1 else got
        match expression(self.text):
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple(elts=numbers)]):
                got = alone if isinstance(left, ast.Name) else got
                allowed = listed(map(ast.unparse, numbers), "or")
                return f"{ast.unparse(left)} must be {allowed}, got {got}"
            case ast.Compare(left=ast.Name(id=axis), ops=[op], comparators=[term]) if (
                type(op) in _WORDS
            ):
                words = _WORDS[type(op)].format(ast.unparse(term))
                return f"{axis} must be {words}, got {alone}"
            case ast.Compare(
                left=ast.BinOp(left=ast.Name(id=axis), op=ast.Mod(), right=term),
                ops=[ast.Eq()],
                comparators=[ast.Constant(value=0)],
            ):
                return f"{axis} must be a multiple of {ast.unparse(term)}, got {alone}"
        return f"sizes must meet {self.text}, got {got}"


@functools.cache
def _code(text: str) -> CodeType:
    return compile(text, "<condition>", "eval")


@functools.cache
def _axes(text: str) -> tuple[str, ...]:
    nodes = ast.walk(expression(text))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    names.sort(key=lambda node: node.col_offset)
    return tuple(dict.fromkeys(node.id for node in names))


def _is_condition(node: ast.expr) -> bool:
    match node:
        case ast.BoolOp(values=values):
            return all(map(_is_condition, values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _is_condition(operand)
        case ast.Compare(
            left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.Tuple() as many]
        ):
            return _is_size(left) and bool(many.elts) and all(map(_is_number, many.elts))
        case ast.Compare(left=left, ops=ops, comparators=others):
            return all(type(op) in _WORDS for op in ops) and all(map(_is_size, [left, *others]))
    return False


def _is_number(node: ast.expr) -> bool:
    try:
        return type(ast.literal_eval(node)) is int
    except (TypeError, ValueError):
        return False


def _is_size(node: ast.expr) -> bool:
    match node:
        case ast.Name():
            return True
        case ast.Constant(value=value):
            return type(value) is int
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_size(operand)
        case ast.BinOp(op=ast.FloorDiv() | ast.Mod(), right=ast.Constant(value=0)):
            return False
        case ast.BinOp(op=ast.Div()):
            return False
        case ast.BinOp(left=left, op=op, right=right):
            return type(op) in _SUMS | _PRODUCTS and _is_size(left) and _is_size(right)
    return False


def unparse(tree: ast.expr) -> str:
    """Return the text of an expression, with the parentheses that a person would write.

    `ast.unparse` adds parentheses to long ``or`` chains, and none to a division in a product.
    """
    match tree:
        case ast.BoolOp(op=op, values=values):
            word = " and " if isinstance(op, ast.And) else " or "
            return word.join(_in_parentheses(value, ast.BoolOp) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"not {_in_parentheses(operand, ast.BoolOp)}"
        case ast.Compare(left=left, ops=ops, comparators=others):
            words = [_COMPARISONS[type(op)] for op in ops]
            pairs = zip(words, map(unparse, others), strict=True)
            return " ".join([unparse(left), *itertools.chain(*pairs)])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _SUMS:
            return f"{unparse(left)} {_SUMS[type(op)]} {_in_parentheses(right, _SUMS)}"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _PRODUCTS:
            loose = [*_SUMS, *((ast.FloorDiv, ast.Mod) if isinstance(op, ast.Mult) else ())]
            last = _in_parentheses(right, [*_SUMS, *_PRODUCTS])
            return f"{_in_parentheses(left, loose)} {_PRODUCTS[type(op)]} {last}"
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{_in_parentheses(operand, [*_SUMS, *_PRODUCTS])}"
    return ast.unparse(tree)


def _in_parentheses(node: ast.expr, loose: type[ast.AST] | Iterable[type[ast.AST]]) -> str:
    """Return the text of an operand, in parentheses if it binds no tighter than its operator.

    Args:
        node: The operand.
        loose: The classes of the operators, or of the operand itself, that need parentheses.
    """
    classes = (loose,) if isinstance(loose, type) else tuple(loose)
    operator = node.op if isinstance(node, ast.BinOp) else node
    needs_them = isinstance(node, classes) or isinstance(operator, classes)
    return f"({unparse(node)})" if needs_them else unparse(node)


def all_of(conditions: Iterable[Condition]) -> str:
    """Join conditions with ``and``."""
    texts = list(map(str, conditions))
    has_several = len(texts) > 1
    return " and ".join(f"({t})" if has_several and " or " in t else t for t in texts)
