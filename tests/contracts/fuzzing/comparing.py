"""Compares the verdicts of the engine, a naive reading and jaxtyping about drawn calls.

A disagreement prints the source of the function, the call, and what becomes of the call without
those before it: all that a test of the mistake takes.
"""

import dataclasses
import functools
import inspect
import itertools
import re
import sys
import typing
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import AnnotationError, TypeCheckError, jaxtyped
from tests.contracts.fuzzing.calling import SIZES, Caller, Case
from tests.contracts.fuzzing.writing import STRANGER, Author
from tests.contracts.reference import FAILURE, UNCLEAR, Verdict, reading
from torch import Tensor, nn
from torch._dynamo.exc import TorchRuntimeError

from shapezoo import ContractError, ShapeError, checked, unchecked
from shapezoo.contracts.checking import memo

CALLS, CALLS_IN_A_GRAPH = 50, 5
"""How many calls a function gets."""

SHARE_WITH_JAXTYPING = 0.15
"""How many calls are made to jaxtyping with beartype too; their refusals take long."""
CHANGES = [0, 0, 1, 1, 3]


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
