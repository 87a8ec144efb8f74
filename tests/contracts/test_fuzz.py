"""Random signatures, called at random, against a naive reading of the same annotations.

A disagreement prints the source of the function, the call, and what becomes of the call without
those before it: all that a test of the mistake takes.
"""

import dataclasses
import functools
import inspect
import itertools
import math
import re
import sys
import typing
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace, UnionType
from typing import Any, Union

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import AnnotationError, Float, TypeCheckError, jaxtyped
from tests.contracts.reference import (
    BRACES,
    DTYPES,
    FAILURE,
    UNCLEAR,
    Names,
    UncomputableError,
    Verdict,
    is_plain,
    is_shape,
    is_star,
    read,
    reading,
)
from torch import Tensor, nn
from torch._dynamo.exc import TorchRuntimeError

from shapezoo import ContractError, ShapeError, checked, signature, unchecked
from shapezoo.contracts.checking import contract, memo
from shapezoo.contracts.checking.contract import Contract
from shapezoo.contracts.language import types
from shapezoo.contracts.matching import matching
from shapezoo.contracts.messages import explain

FEW, CASES = 600, 100_000
"""How many calls are made in the ordinary checks, and how many in all."""

FEW_COMPILED, COMPILED = 10, 320
"""Likewise in graphs."""

FEW_IN_THREADS, IN_THREADS = 50, 2000
"""Likewise in each of four threads."""

SEEDS = 8
"""How many tests share all calls."""

CALLS, CALLS_IN_A_GRAPH = 50, 5
"""How many calls a function gets."""

SHARE_WITH_JAXTYPING = 0.15
"""How many calls are made to jaxtyping with beartype too; their refusals take long."""

NAMES, STARS = ["batch", "seq", "height", "width"], ["*batch", "*rest"]
FORMULAS = ["{}+1", "2*{}", "{}//2+1", "{}-1", "({}-1)//2+1", "min({},2)", "max({}-1,1)", "{}/2"]
PAIRS = ["{}+{}", "{}*{}", "{}//{}"]
READ_FROM_SELF = ["{self.width}", "{self.depth+1}", "{self.width//2}", "{max(self.width,2)}"]
READ_FROM_SIZE = ["{size}", "{size-1}", "{2*size}"]
STRANGER = "stranger"
"""An axis that nothing binds: an expression over it must be refused when a function is checked."""


class Author:
    """Writes the source of a function, and of the records that it takes."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.records: list[str] = []
        self.is_method = rng.random() < 0.5
        self.has_size = rng.random() < 0.4
        self.read = READ_FROM_SELF * self.is_method + READ_FROM_SIZE * self.has_size
        self.bound: set[str] = set()
        self.perhaps: set[str] = set()

    def source(self) -> str:
        rng = self.rng
        names = ["first", "second", "third", "fourth"][: rng.choice([1, 2, 2, 3, 3, 4])]
        if self.has_size:
            names.insert(rng.randint(0, len(names)), "size")
        cut = max(0, len(names) - rng.choice([0, 0, 0, 1, 2]))
        positional, named = names[:cut], names[cut:]
        more = ["more"] if rng.random() < 0.12 else []
        # in the order in which they are checked: expressions stand after what they refer to
        hints = {name: self.parameter(name) for name in [*positional, *more, *named]}
        texts = {name: f"{name}: {hint}" for name, hint in hints.items()}
        for name in reversed(positional):
            if not hints[name].endswith("| None"):
                break
            texts[name] += " = None"
        for name in named:
            default = {"size": " = 2"}.get(name, " = None" * hints[name].endswith("| None"))
            texts[name] += default * (rng.random() < 0.7)
        parameters = ["self"] * self.is_method + [texts[name] for name in positional]
        parameters += [f"*{texts[name]}" for name in more] or ["*"]
        parameters += [*(texts[name] for name in named), "answer: Any"]
        result = self.hint(2, is_result=True)
        function = f"def forward({', '.join(parameters)}) -> {result}:\n{BODY}\n"
        return "\n".join([*self.records, function])

    def pair(self) -> str:
        """An option of a union that may bind a name before it fails."""
        name = self.rng.choice(NAMES)
        self.bound.add(name)
        return f'tuple[Float[Tensor, "{name}"], {self.tensor(is_result=False)}]'

    def parameter(self, name: str) -> str:
        if name == "more":
            return self.passing(functools.partial(self.hint, 0))
        return "int" if name == "size" else self.hint(2)

    def passing(self, draw: Callable[[], str]) -> str:
        """An annotation whose names may or may not be bound by a call."""
        before = set(self.bound)
        text = draw()
        self.perhaps |= self.bound - before
        self.bound = before
        return text

    def hint(self, depth: int, *, is_result: bool = False) -> str:
        rng, before = self.rng, set(self.bound)
        kind = rng.choices(list(HINTS), list(HINTS.values()))[0] if depth else "tensor"
        one = functools.partial(self.hint, depth - 1, is_result=is_result)
        if kind == "tuple":
            return f"tuple[{', '.join(one() for _ in range(rng.randint(1, 3)))}]"
        if kind == "record" and depth == 2:
            return self.record(is_result)
        if kind == "union":
            options, bound, perhaps = [], [], [set(self.perhaps)]
            for _ in range(rng.randint(2, 3)):
                self.bound, self.perhaps = set(before), set(perhaps[0])
                is_pair = not is_result and rng.random() < 0.6
                options.append(self.pair() if is_pair else self.tensor(is_result))
                bound.append(self.bound)
                perhaps.append(self.perhaps)
            self.bound = set.intersection(*bound)
            self.perhaps = set.union(*perhaps, *bound) - self.bound
            return " | ".join(dict.fromkeys(options))
        if kind == "optional":
            return f"{self.passing(one)} | None"
        if kind in CONTAINERS:
            return CONTAINERS[kind].format(self.passing(one))
        return self.tensor(is_result)

    def record(self, is_result: bool) -> str:
        before, perhaps = set(self.bound), set(self.perhaps)
        base, mark = self.rng.choice(
            [("(NamedTuple)", ""), ("", "@dataclass(frozen=True)\n"), ("(TypedDict)", "")]
        )
        fields: Names = {}
        for field_name in ("left", "right")[: self.rng.choice([1, 2, 2])]:
            draw = functools.partial(self.hint, 1)
            if base == "(TypedDict)" and self.rng.random() < 0.3:
                fields[field_name] = f"NotRequired[{self.passing(draw)}]"
            else:
                fields[field_name] = draw()
        if is_result:
            self.bound, self.perhaps = before, perhaps
        name = f"Record{len(self.records)}"
        lines = "\n".join(f"    {field_name}: {hint}" for field_name, hint in fields.items())
        self.records.append(f"{mark}class {name}{base}:\n{lines}\n")
        return name

    def tensor(self, is_result: bool) -> str:
        tokens: list[str] = []
        for _ in range(self.rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4])):
            tokens.append(self.axis(is_result, any(map(is_star, tokens))))
        dtype = self.rng.choice(["Float"] * 5 + list(DTYPES))
        return f'{dtype}[Tensor, "{" ".join(tokens)}"]'

    def axis(self, is_result: bool, has_star: bool) -> str:
        rng = self.rng
        kinds = ["number", "name", "name", "name", "name", "formula", "read", "any"]
        kind = rng.choice(kinds if has_star else [*kinds, "star", "star"])
        label = rng.choice(["", "", "", "channels="])
        known = sorted(name for name in self.bound if name.isidentifier())
        may_be = NAMES
        if is_result:
            unsure = 3 * sorted(self.perhaps - self.bound)  # these are told in a way of their own
            may_be = [name for name in (*sorted(self.bound), *unsure) if name.isidentifier()]
        if kind == "star":
            stars = sorted({*STARS} & (self.bound | self.perhaps) if is_result else STARS)
            star = rng.choice(["...", *stars])
            if star == "...":
                return star
            self.bound.add(star)
            return star.replace("*", rng.choice(["*", "*", "#*", "*#"]))
        if kind == "read" and self.read:
            text = rng.choice(self.read)
            if known and rng.random() < 0.2:
                text += f"*{rng.choice(known)}"
            return rng.choice(["", "", "", "#"]) + label + text
        if kind == "formula" and known:
            known += [STRANGER] * (rng.random() < 0.02) + sorted(self.perhaps & {*NAMES})
            pair = rng.choice(known), rng.choice(known)
            text = rng.choice(FORMULAS * 2 + PAIRS).format(*pair)
            return rng.choice(["", "", "", "#"]) + label + text
        if kind == "name" and may_be:
            name = rng.choice(may_be)
            is_open = rng.random() < 0.12
            if is_open:
                self.perhaps.add(name)
            else:
                self.bound.add(name)
            return "#" * is_open + rng.choice(["", "", "", "", "label="]) + name
        if kind == "any":
            return rng.choice(["_", "_ignored"])
        return rng.choice(["", "", "", "#"]) + label + str(rng.randint(0, 4))


HINTS = {
    "tensor": 12,
    "optional": 3,
    "union": 2,
    "tuple": 2,
    "record": 2,
    "list": 2,
    "many": 1,
    "dict": 1,
}
"""The kinds of annotations, and how often each is drawn."""

CONTAINERS = {"list": "list[{}]", "many": "tuple[{}, ...]", "dict": "dict[str, {}]"}
BODY = "    return answer() if callable(answer) else answer"

SIZES = [0, 1, 1, 2, 2, 3, 3, 4, 5]
CHANGES = [0, 0, 1, 1, 3]
FOREIGN = [None, 3, "text", 2.5]


@functools.lru_cache(maxsize=4096)
def tensor(shape: tuple[int, ...], dtype: str) -> Tensor:
    return torch.empty(shape, dtype=getattr(torch, dtype))


@dataclass
class Case:
    """One call: the arguments and the answer of the body."""

    args: tuple[Any, ...]
    kwargs: Names
    answer: Any

    def changed(self, rng: Random) -> "Case":
        """A call of which one thing differs."""
        what = rng.choice(["answer", *range(len(self.args)), *self.kwargs])
        if what == "answer":
            return Case(self.args, self.kwargs, changed(rng, self.answer))
        if isinstance(what, str):
            other = {what: changed(rng, self.kwargs[what])}
            return Case(self.args, self.kwargs | other, self.answer)
        args = list(self.args)
        args[what] = changed(rng, args[what])
        return Case(tuple(args), self.kwargs, self.answer)


@dataclass
class Caller:
    """Draws the values of a call that keeps the contract, as far as any can."""

    rng: Random
    arguments: Names
    sizes: Names = field(default_factory=dict)

    def value(self, hint: Any) -> Any:
        rng = self.rng
        origin, hints = typing.get_origin(hint), typing.get_args(hint)
        if is_shape(hint):
            shape = [size for token in hint.dim_str.split() for size in self.sizes_of(token)]
            return tensor(tuple(shape), rng.choice(sorted(DTYPES[hint.dtype.__name__])))
        if origin in (Union, UnionType):
            return self.value(rng.choice(hints))
        if is_plain(hint):
            return self.arguments["size"] if hint is int else None
        length = rng.choice([0, 0, 1, 2, 2, 3])
        if origin is list:
            return [self.value(hints[0]) for _ in range(length)]
        if origin is dict:
            return {key: self.value(hints[1]) for key in "abc"[:length]}
        if origin is tuple:
            hints = (hints[0],) * length if hints[-1] is ... else hints
            return tuple(self.value(part) for part in hints)
        return hint(
            **{name: self.value(part) for name, part in typing.get_type_hints(hint).items()}
        )

    def sizes_of(self, token: str) -> list[int]:
        rng = self.rng
        name = token.lstrip("#*").split("=")[-1]
        is_open = token.startswith(("#", "*#"))
        if is_star(token):
            some = tuple(rng.choice(SIZES) for _ in range(rng.choice([0, 1, 1, 2])))
            shape = some if token == "..." else self.sizes.setdefault(f"*{name}", some)
            return [1 if is_open and rng.random() < 0.3 else size for size in shape]
        if is_open and rng.random() < 0.4:
            return [1]
        if name.startswith("_"):
            return [rng.choice(SIZES)]
        if name.isidentifier():
            return [self.sizes.setdefault(name, rng.choice(SIZES))]
        for other in NAMES:  # those in options that were not drawn
            self.sizes.setdefault(other, rng.choice(SIZES))
        try:
            text = BRACES.sub(lambda part: read(part[0][1:-1], self.arguments), name)
            return [max(0, math.floor(eval(text, {}, dict(self.sizes))))]
        except (ArithmeticError, UncomputableError):
            return [1]


def spoilt(rng: Random, value: Any) -> Any:
    """A value that differs in one thing."""
    if isinstance(value, Tensor):
        shape, dtype = list(value.shape), str(value.dtype).removeprefix("torch.")
        place, change = rng.randint(0, len(shape)), rng.random()
        if change < 0.6 and place < len(shape):
            shape[place] = rng.choice([shape[place] + 1, abs(shape[place] - 1), *SIZES])
        elif change < 0.7:
            shape.insert(place, rng.choice(SIZES))
        elif change < 0.8:
            del shape[place : place + 1]
        elif change < 0.95:
            dtype = rng.choice(sorted(DTYPES["Shaped"]))
        else:
            return rng.choice([*FOREIGN, [value], (value,)])
        return tensor(tuple(shape), dtype)
    if isinstance(value, int):
        return rng.choice([value + 1, value + 1, float(value), str(value), True, None])
    if isinstance(value, tuple | list) and rng.random() < 0.6:
        items = value[: rng.randint(0, len(value))]
        return [*value, *items] if isinstance(value, list) else (*value, *items)
    if isinstance(value, tuple | list):
        return tuple(value) if isinstance(value, list) else list(value)
    if isinstance(value, dict) and value:
        lost = rng.choice(list(value))
        return {key: part for key, part in value.items() if key != lost}
    return rng.choice(FOREIGN)


def changed(rng: Random, value: Any) -> Any:
    """A value of which one part differs."""
    if not isinstance(value, Tensor | int) and rng.random() < 0.8:
        change = functools.partial(changed, rng)
        if isinstance(value, dict) and value:
            key = rng.choice(list(value))
            return value | {key: change(value[key])}
        if hasattr(value, "_asdict"):
            return value._replace(**change(value._asdict()))
        if dataclasses.is_dataclass(value):
            return dataclasses.replace(value, **change(vars(value)))  # type: ignore[type-var]  # no class
        if isinstance(value, list | tuple) and value:
            place = rng.randrange(len(value))
            items = [change(item) if i == place else item for i, item in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
    return spoilt(rng, value)


def nothing() -> None:
    """What a body does besides."""


class BodyError(Exception):
    """What a body raises that fails."""


class Answer:
    """What the body calls: it says whether the body ran."""

    def __init__(self, value: Any, inside: Callable[[], None] = nothing) -> None:
        self.value, self.inside, self.ran = value, inside, False

    def __call__(self) -> Any:
        self.ran = True
        self.inside()
        if self.value is FAILURE:
            raise BodyError
        return self.value


class Owner(nn.Module):
    width, depth = 2, 1

    def change(self, rng: Random) -> None:
        self.width, self.depth = rng.choice(SIZES), rng.choice(SIZES)


class Function:
    """A function that is drawn, with all the forms in which it is called."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.scope: dict[str, Any] = {**vars(typing), **vars(jaxtyping), "Tensor": Tensor}
        self.scope |= {"dataclass": dataclass, "__name__": __name__}
        exec(source, self.scope)
        self.plain = self.scope["forward"]
        self.signature = inspect.signature(self.plain)
        self.parameters = self.signature.parameters
        self.is_method = "self" in self.parameters
        self.hints = {
            name: tuple[hint, ...] if name == "more" else hint  # type: ignore[valid-type]  # as Python
            for name, hint in typing.get_type_hints(self.plain).items()
        }
        del self.hints["answer"]
        self.checked = checked(self.plain)

    @functools.cached_property
    def owner_class(self) -> type[Owner]:
        return type("Network", (Owner,), {"forward": self.checked})

    def caller(self, owner: Owner) -> Callable[..., Any]:
        return owner if self.is_method else self.checked

    def without_past(self, owner: Owner) -> Callable[..., Any]:
        """The same, checked anew, so that it remembers no calls."""
        exec("def forward" + self.source.partition("def forward")[2], self.scope)
        anew = checked(self.scope["forward"])
        return functools.partial(anew, owner) if self.is_method else anew

    @functools.cached_property
    def with_jaxtyping(self) -> Callable[..., Any]:
        made: Callable[..., Any] = jaxtyped(self.plain, typechecker=beartype)
        return made

    def case(self, rng: Random, owner: Owner) -> Case:
        """A call for this owner that keeps the contract, as far as any can."""
        left_out = {
            name
            for name, parameter in self.parameters.items()
            if parameter.default is not parameter.empty and rng.random() < 0.3
        }
        size = 2 if "size" in left_out else rng.choice(SIZES)
        caller = Caller(rng, {"self": owner, "size": size})
        given = {
            name: caller.value(hint)
            for name, hint in self.hints.items()
            if name not in (*left_out, "return")
        }
        positional = [
            name
            for name, parameter in self.parameters.items()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "self"
        ]
        more = given.pop("more", ())
        more = () if left_out & {*positional} else more
        args = []
        for name in itertools.takewhile(given.__contains__, positional):
            if not more and rng.random() < 0.2:
                break
            args.append(given.pop(name))
        return Case((*args, *more), given, caller.value(self.hints["return"]))

    def reading(self, case: Case, owner: Owner) -> Verdict:
        args = (owner, *case.args) if self.is_method else case.args
        call = self.signature.bind(*args, **case.kwargs, answer=None)
        call.apply_defaults()
        return reading(self.hints, call.arguments, case.answer)


class DisagreementError(AssertionError):
    """Two verdicts about one call differ."""


@dataclass
class Fuzz:
    """Draws calls and compares verdicts.

    Attributes:
        seed: What everything is drawn from.
        tally: How many calls there were of each kind.
    """

    seed: str
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)

    def function(self) -> Function:
        while STRANGER in (source := Author(self.rng).source()):
            with pytest.raises(ContractError, match=STRANGER):
                Function(source)
        return Function(source)

    def run(self, functions: list[Function], calls: int, *, with_switch: bool = True) -> None:
        """Call some functions in mixed order, new calls and earlier ones."""
        rng = self.rng
        owners = {id(function): [function.owner_class() for _ in "ab"] for function in functions}
        earlier = {id(function): deque[Case](maxlen=20) for function in functions}
        for _ in range(calls):
            function = rng.choice(functions)
            owner, cases = rng.choice(owners[id(function)]), earlier[id(function)]
            if function.is_method and rng.random() < 0.15:
                owner.change(rng)
                self.tally["changed"] += 1
            if cases and rng.random() < 0.6:
                case = rng.choice(cases)
                self.tally["repeated"] += 1
            else:
                case = function.case(rng, owner)
                cases.append(case)
            for _ in range(rng.choice(CHANGES)):
                case = case.changed(rng)
            if rng.random() < 0.1:
                cases.append(case)
            self.tally["drawn"] += 1
            chance = rng.random()
            if chance < 0.02:
                case = dataclasses.replace(case, answer=FAILURE)
            if with_switch and 0.02 < chance < 0.03:
                with unchecked():
                    self.compare(function, owner, case, Verdict("accepted"))
                continue
            inside = nothing
            if 0.03 < chance < 0.06:
                other = rng.choice(functions)
                another = other.owner_class()
                inner = other.case(rng, another)
                inside = functools.partial(self.compare, other, another, inner)
                self.tally["nested"] += 1
            self.compare(function, owner, case, inside=inside)
            if rng.random() < SHARE_WITH_JAXTYPING and is_for_jaxtyping(function, case):
                self.compare_with_jaxtyping(function, owner, case)

    def compare(
        self,
        function: Function,
        owner: Owner,
        case: Case,
        expected: Verdict | None = None,
        inside: Callable[[], None] = nothing,
    ) -> None:
        expected = expected or function.reading(case, owner)
        answer = Answer(case.answer, inside)
        got = called(function.caller(owner), case, answer)
        self.tally["calls"] += 1
        self.tally[expected.outcome] += 1
        if not agree(expected, got) or not ran_in_time(expected, answer):
            alone = called(function.without_past(owner), case, Answer(case.answer))
            raise self.disagreement(
                function, owner, case, reading=expected, engine=got, alone=alone, ran=answer.ran
            )

    def compare_with_jaxtyping(self, function: Function, owner: Owner, case: Case) -> None:
        expected = function.reading(case, owner)
        if expected.outcome not in ("accepted", "arguments", "result"):
            return
        answer = Answer(case.answer)
        args = (owner, *case.args) if function.is_method else case.args
        try:
            function.with_jaxtyping(*args, **case.kwargs, answer=answer)
            outcome = "accepted"
        except TypeCheckError:
            outcome = "result" if answer.ran else "arguments"
        except AnnotationError:  # an option of a union that cannot be computed; another one may fit
            return
        self.tally["with jaxtyping"] += 1
        if outcome != expected.outcome:
            raise self.disagreement(function, owner, case, reading=expected, jaxtyping=outcome)

    def run_compiled(self, function: Function, calls: int) -> None:
        """Call a function in a graph that is compiled for the first call, or anew if need be."""
        rng, owner = self.rng, function.owner_class()
        call = function.caller(owner)

        def graph(*args: Any, **kwargs: Any) -> Tensor:
            call(*args, **kwargs)
            return torch.zeros(1) + 1

        torch.compiler.reset()
        dynamic = rng.choice([None, True, False])
        compiled = torch.compile(graph, backend="eager", fullgraph=True, dynamic=dynamic)
        for _ in range(calls):
            case = function.case(rng, owner)
            for _ in range(rng.choice(CHANGES)):
                case = case.changed(rng)
            expected = function.reading(case, owner)
            got = called(compiled, case, case.answer, TorchRuntimeError)
            self.tally["compiled"] += 1
            self.tally[f"compiled {expected.outcome}"] += 1
            if not agree(expected, got):
                raise self.disagreement(
                    function, owner, case, reading=expected, compiled=got, dynamic=dynamic
                )
            if rng.random() < 0.3:
                owner.change(rng)

    def disagreement(
        self, function: Function, owner: Owner, case: Case, **verdicts: object
    ) -> DisagreementError:
        arguments = [*map(shown, case.args)]
        arguments += [f"{name}={shown(value)}" for name, value in case.kwargs.items()]
        lines = [f"{name}: {verdict}" for name, verdict in verdicts.items()]
        return DisagreementError(
            f"seed {self.seed!r}, after {self.tally['calls']} calls\n{function.source}"
            f"self.width, self.depth = {owner.width}, {owner.depth}\n"
            f"forward({', '.join(arguments)})\nanswer: {shown(case.answer)}\n" + "\n".join(lines)
        )


def called(
    call: Callable[..., Any], case: Case, answer: Any, refusal: type[Exception] = ShapeError
) -> Verdict:
    """The verdict of the engine.

    Args:
        call: What is called.
        case: The arguments.
        answer: What the body returns, or calls.
        refusal: What a refusal must be besides a ShapeError.
    """
    try:
        call(*case.args, **case.kwargs, answer=answer)
    except ShapeError as error:
        outcome = "result" if error.argument.startswith("return") else "arguments"
        if "no argument of this call has" in str(error):
            outcome = "unbound"
        if not isinstance(error, refusal):
            outcome += f", but not as {refusal.__name__}"
        return Verdict(outcome, error.argument, error.axis)
    except ContractError:
        return Verdict("uncomputable")
    except BodyError:
        return Verdict("raised")
    except DisagreementError:  # about a call inside the body
        raise
    except Exception as error:  # no check may end like this
        return Verdict(f"{type(error).__name__}: {error}")
    return Verdict("accepted")


def agree(expected: Verdict, got: Verdict) -> bool:
    if expected.outcome == "uncomputable":  # where a list was empty, both are true
        return got.outcome in ("uncomputable", "unbound")
    return expected[:2] == got[:2] and expected.axis in (got.axis, UNCLEAR)


def ran_in_time(expected: Verdict, answer: Answer) -> bool:
    """Whether the body ran if, and only if, the arguments fit."""
    if expected.outcome in ("uncomputable", "unbound"):  # for the arguments, or for the result
        return True
    return answer.ran is (expected.outcome in ("accepted", "result", "raised"))


def is_for_jaxtyping(function: Function, case: Case) -> bool:
    """Whether jaxtyping and beartype see all that the annotations say."""
    if case.answer is FAILURE or "Record" in function.source:  # fields are not checked
        return False
    if re.search(r"#(\w+=)?[a-z]", function.source):
        return False  # a name that is 1 wherever it is seen may be anything in jaxtyping's results
    if re.search(r"\| tuple|\]\] \| (?!None)", function.source):
        return False  # what a tuple bound stays bound when it fails as an option of a union
    has_containers = re.search(r"list\[|dict\[|\.\.\.\]", function.source)
    values = (*case.args, *case.kwargs.values(), case.answer)
    return not has_containers or not any(map(has_many, values))


def has_many(value: Any) -> bool:
    """Whether there is a container with several items, of which one is checked at random."""
    if isinstance(value, dict):
        return has_many(list(value.values()))
    return isinstance(value, list | tuple) and (len(value) > 1 or any(map(has_many, value)))


def shown(value: Any) -> str:
    """A value as code."""
    if isinstance(value, Tensor):
        return f"empty({tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')})"
    if dataclasses.is_dataclass(value):
        return (
            f"{type(value).__name__}{ {name: shown(part) for name, part in vars(value).items()} }"
        )
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {shown(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        name = "" if type(value) in (list, tuple) else type(value).__name__
        left, right = "[]" if isinstance(value, list) else "()"
        return f"{name}{left}{', '.join(map(shown, value))}{right}"
    return repr(value)


def drawn(seed: str, calls: int) -> Fuzz:
    """The calls of a seed, some of them to functions that remember next to none."""
    fuzz, together = Fuzz(seed), 8
    is_small = False
    while fuzz.tally["drawn"] < calls:
        with pytest.MonkeyPatch.context() as patch:
            if is_small:
                patch.setattr(memo, "MAX_CALLS", 3)
                patch.setattr(memo, "MAX_RESULTS", 2)
            functions = [fuzz.function() for _ in range(together)]
            fuzz.run(functions, min(together * CALLS, calls - fuzz.tally["drawn"]))
        is_small = not is_small
    return fuzz


def drawn_in_graphs(seed: str, calls: int) -> Fuzz:
    fuzz = Fuzz(seed)
    try:
        while fuzz.tally["compiled"] < calls:
            fuzz.run_compiled(fuzz.function(), CALLS_IN_A_GRAPH)
    finally:
        torch.compiler.reset()
    return fuzz


def drawn_in_threads(seed: str, calls: int) -> list[Fuzz]:
    """The calls of four threads to the same functions, so many for each."""
    fuzz = Fuzz(seed)
    functions = [fuzz.function() for _ in range(8)]
    threads = [Fuzz(f"{seed}, thread {number}") for number in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # as a rule a thread would finish some calls before the next runs
    try:
        with ThreadPoolExecutor(len(threads)) as pool:
            run = functools.partial(Fuzz.run, with_switch=False)
            list(pool.map(run, threads, itertools.repeat(functions), itertools.repeat(calls)))
    finally:
        sys.setswitchinterval(before)
    return threads


REFUSED = ("arguments", "result", "unbound", "uncomputable")
SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, SEEDS + 1)]


@pytest.mark.parametrize("seed", [0, *SLOW])
def test_a_verdict_is_that_of_a_naive_reading(seed: int) -> None:
    calls = CASES // SEEDS if seed else FEW
    tally = drawn(f"calls {seed}", calls).tally
    refused = sum(tally[outcome] for outcome in REFUSED)
    assert tally["drawn"] == calls
    assert tally["accepted"] > calls / 3
    assert refused > calls / 3
    assert tally["result"] > calls / 30
    assert tally["unbound"] + tally["uncomputable"] > calls / 200
    assert tally["raised"] > calls / 200
    assert tally["nested"] > calls / 100
    assert tally["repeated"] > calls / 4
    assert tally["with jaxtyping"] > calls / 100
    assert tally["changed"] > calls / 50


@pytest.mark.parametrize("seed", [0, *SLOW])
def test_a_verdict_is_the_same_while_a_graph_is_traced(seed: int) -> None:
    calls = COMPILED // SEEDS if seed else FEW_COMPILED
    tally = drawn_in_graphs(f"graphs {seed}", calls).tally
    assert calls <= tally["compiled"] < calls + CALLS_IN_A_GRAPH
    assert tally["compiled accepted"] > calls / 4
    assert tally["compiled"] - tally["compiled accepted"] > calls / 5


@pytest.mark.parametrize("seed", [0, *SLOW])
def test_a_verdict_is_the_same_in_threads(seed: int) -> None:
    calls = IN_THREADS // SEEDS if seed else FEW_IN_THREADS
    for thread in drawn_in_threads(f"threads {seed}", calls):
        assert thread.tally["drawn"] == calls
        assert thread.tally["accepted"] > calls / 5
        assert sum(thread.tally[outcome] for outcome in REFUSED) > calls / 5


class Blind(dict[Any, Any]):
    """Calls by their keys, but for the first parts."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[self.parts :], default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key[self.parts :], value)


def no_dtype_in_the_key(patch: pytest.MonkeyPatch) -> None:
    code_of = memo.key_code

    def code(name: str, kind: types.Type, key_of_name: str) -> str | None:
        return (code_of(name, kind, key_of_name) or "").replace(f", {name}.dtype", "") or None

    patch.setattr(memo, "key_code", code)


def no_braces_in_the_key(patch: pytest.MonkeyPatch) -> None:
    start = Contract.__init__

    def init(
        self: Contract, function: Callable[..., Any], *origin: Any, is_final: bool = False
    ) -> None:
        start(self, function, *origin, is_final=is_final)
        self.memo.calls = calls = Blind(len(self.signature.braces))
        self.memo.recall = lambda *args, **kwargs: calls.get(self.memo.key_of(*args, **kwargs))

    patch.setattr(Contract, "__init__", init)


def one_key_for_all_results(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memo, "_key_of_result", lambda output: type)


def without(pattern: str, instead: str, patch: pytest.MonkeyPatch) -> None:
    """Read each axis that looks like this as another one."""

    original = types.enforceable

    def enforceable(annotation: Any) -> Any:
        axes = (re.sub(pattern, instead, axis) for axis in annotation.dim_str.split())
        return original(annotation.dtype[annotation.array_type, " ".join(axes)])

    patch.setattr(types, "enforceable", enforceable)


def one_item_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    look = matching.check_value

    def check_value(value: Any, kind: types.Type, path: str) -> None:
        if not path.endswith("[1]"):
            look(value, kind, path)

    patch.setattr(matching, "check_value", check_value)


def options_not_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(matching, "restore", lambda before: None)


def lists_never_empty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(contract, "missing", lambda bound, keys: [])


def place_not_told(patch: pytest.MonkeyPatch) -> None:

    precise = explain.explain

    def vague(*args: Any, **kwargs: Any) -> ShapeError:
        error = precise(*args, **kwargs)
        error.axis = None
        return error

    patch.setattr(explain, "explain", vague)


def no_expressions(patch: pytest.MonkeyPatch) -> None:
    without(r".*\w[-+*/].*", "_", patch)


def no_numbers(patch: pytest.MonkeyPatch) -> None:
    without(r".*\d.*", "_", patch)


def no_broadcasting(patch: pytest.MonkeyPatch) -> None:
    without("#", "", patch)


SABOTAGES: list[Callable[[pytest.MonkeyPatch], None]] = [
    no_dtype_in_the_key,
    no_braces_in_the_key,
    one_key_for_all_results,
    no_expressions,
    no_numbers,
    no_broadcasting,
    one_item_not_looked_at,
    options_not_forgotten,
    lists_never_empty,
    place_not_told,
]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_sabotaged_engine_is_noticed(
    sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    with pytest.raises(DisagreementError, match="engine: Verdict"):
        drawn("sabotage 9", 2 * FEW)


def test_a_graph_that_is_not_checked_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contract, "verify", lambda *_: None)
    with pytest.raises(DisagreementError, match="compiled: Verdict"):
        drawn_in_graphs("graphs 0", FEW_COMPILED)


def test_frames_that_threads_share_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping._storage, "_shape_storage", SimpleNamespace())
    with pytest.raises((DisagreementError, AnnotationError)):  # noqa: PT012  # not by each call
        for _ in range(100):
            drawn_in_threads("sabotage", 15)


def empty(*shape: int) -> Tensor:
    return tensor(shape, "float32")


def test_a_star_does_not_bind_the_name_without_it() -> None:
    @checked
    def total(
        first: Float[Tensor, "*batch"], others: list[Float[Tensor, "batch"]]
    ) -> Float[Tensor, "batch"]:
        return empty(9)

    with pytest.raises(ShapeError, match="no argument of this call has"):
        total(empty(2, 2), [])


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("is_result", [False, True])
def test_an_expression_over_an_axis_of_an_empty_list(is_result: bool, is_compiled: bool) -> None:
    @checked
    def argument(
        items: list[Float[Tensor, "batch"]], second: Float[Tensor, "2*batch"]
    ) -> Float[Tensor, "_"]:
        return second + 1

    @checked
    def result(
        items: list[Float[Tensor, "batch"]], second: Float[Tensor, "_"]
    ) -> Float[Tensor, "2*batch"]:
        return second + 1

    call: Any = result if is_result else argument

    def graph(items: list[Tensor], second: Tensor) -> Any:
        return call(items, second)

    torch.compiler.reset()
    run = torch.compile(graph, backend="eager", fullgraph=True) if is_compiled else graph
    with pytest.raises((ContractError, ShapeError)):
        run([], empty(4))


def test_a_float_in_braces_can_be_read_while_a_graph_is_traced() -> None:
    @checked
    def double(x: Float[Tensor, "{2*size}"], size: float) -> Float[Tensor, "_"]:
        return x + 1

    def graph(x: Tensor, size: float) -> Tensor:
        return double(x, size) + 1

    assert graph(empty(6), 3.0).shape == (6,)
    torch.compiler.reset()
    compiled = torch.compile(graph, backend="eager", fullgraph=True, dynamic=True)
    assert compiled(empty(6), 3.0).shape == (6,)


def wider(x: Float[Tensor, "*#batch"], y: Float[Tensor, "*batch 2"]) -> None: ...
def narrower(x: Float[Tensor, "*batch"], y: Float[Tensor, "*#batch 2"]) -> None: ...


@pytest.mark.parametrize(
    ("function", "x", "y", "axis"),
    [
        (wider, (1, 3), (5, 3, 4), 2),  # `*batch` may be what `*#batch` broadcasts to
        (narrower, (1, 3), (5, 3, 2), 0),  # `*#batch` may not be wider than `*batch`
    ],
)
def test_the_place_on_axes_that_broadcast(
    function: Callable[..., Any], x: tuple[int, ...], y: tuple[int, ...], axis: int
) -> None:
    with pytest.raises(ShapeError) as error:
        checked(function)(empty(*x), empty(*y))
    assert error.value.axis == axis


@pytest.mark.parametrize(
    ("function", "x", "y", "is_right"),
    [(wider, (1, 3), (5, 3, 2), True), (narrower, (1, 3), (5, 3, 2), False)],
)
def test_shapes_that_broadcast_are_accepted_as_a_call_is(
    function: Callable[..., Any], x: tuple[int, ...], y: tuple[int, ...], is_right: bool
) -> None:
    assert signature(function).accepts(x, y) is is_right
