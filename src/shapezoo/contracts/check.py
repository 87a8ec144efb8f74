"""Enforcing a contract: the one door through which every checked call goes."""

import dataclasses
import functools
import inspect
import types
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from torch.compiler import is_dynamo_compiling

from shapezoo.contracts import switch
from shapezoo.contracts.contract import Call, Contract
from shapezoo.contracts.dynamo import at_trace_time, observe, seen
from shapezoo.contracts.errors import ContractError, ShapeError, UnresolvedError
from shapezoo.contracts.hiding import passed_over, unseen
from shapezoo.contracts.jit import refuse_script
from shapezoo.contracts.notes import add_note
from shapezoo.contracts.reading import function_signature

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_wrappers: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()


@overload
def checked(function: type[T]) -> type[T]: ...
@overload
def checked(function: Callable[P, R]) -> Callable[P, R]: ...
def checked(function: Any) -> Any:
    """Enforce the annotations of a function, of a module's ``forward``, or of a dataclass.

    The arguments are checked before the body runs, the result after it; a dataclass when it is
    made. What passed is remembered, so that a call with the same shapes costs a lookup. Under
    `torch.compile` and `torch.export` the check runs while the call is traced. Proxies of
    `torch.fx` have no shape and are not checked.

    A dataclass is checked where its own ``__init__`` gets the fields: a field that a
    ``default_factory`` fills is not, and a subclass that is a dataclass needs ``checked`` too.

    Args:
        function: A function whose arguments and result are all annotated, or a dataclass.
            Axes may be numbers, names, ``name=expression``, ``*name`` and ``...``; parts in
            braces, such as ``{self.in_channels}``, are read from the arguments at each call.

    Returns:
        The function, checked. A checked function is returned as it is.

    Raises:
        ContractError: An annotation is missing or cannot be used, or this is no function. A call
            raises it too, where the contract cannot be computed for it.
        ShapeError: A call of the function breaks its contract.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import checked
        >>> from jaxtyping import Float
        >>> @checked
        ... def halve(
        ...     x: Float[torch.Tensor, "batch width"],
        ... ) -> Float[torch.Tensor, "batch width//2"]:
        ...     return x[:, ::2]
        >>> halve(torch.zeros(2, 6)).shape
        torch.Size([2, 3])
        >>> halve(torch.zeros(2, 7))
        Traceback (most recent call last):
        shapezoo.ShapeError: ...halve: the result breaks its contract
          expected  Float[Tensor, "batch width//2"]
          got       Tensor float32 (2, 4)
          axis 1    expected width//2 = 3, got 4
          bound     batch=2, width=7

        ```
    """
    if isinstance(function, type) and dataclasses.is_dataclass(function):
        function.__init__ = checked(function.__init__)  # type: ignore[method-assign]  # its only way in
        return function
    if switch.CHECKS == "off":
        return function
    if not isinstance(function, types.FunctionType) or inspect.iscoroutinefunction(function):
        raise ContractError(f"checked takes a plain function or a dataclass, got {function!r}")
    if is_checked(function):
        return function
    try:
        contract = Contract(function)
    except UnresolvedError:
        return _checked_later(function)
    recall, sizes_of, arguments_of = contract.recall, contract.sizes_of, contract.arguments_of
    records = contract.records

    # the wrapper holds functions only, no object or bound method: in a checked dataclass that is
    # made inside a graph, Dynamo knows no others
    @unseen
    def check_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        return contract.check_arguments(args, kwargs)

    @unseen
    def check_result(call: Call, result: object, args: tuple[Any, ...]) -> None:
        contract.check_result(call, result, args)

    @unseen
    def refusal(call: Call, args: tuple[Any, ...]) -> ShapeError | None:
        return contract.refusal(call, args)

    @unseen
    def explain_failure(error: Exception, call: Call) -> None:
        add_note(error, contract.signature, call.bindings)

    def verify(*call: Any) -> object:
        return contract.verify(*call)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if switch.off:
            return function(*args, **kwargs)
        if is_dynamo_compiling():
            sizes = seen(sizes_of(*args, **kwargs), records)
            arguments = seen(arguments_of(*args, **kwargs), records)
            observe(verify, sizes, arguments, ())
            result = function(*args, **kwargs)
            observe(verify, sizes, arguments, seen((result,), records))
            return result
        try:
            call = recall(*args, **kwargs)
        except Exception:  # an unknown object, a symbolic size, arguments that do not fit
            call = None
        if call is None:
            call = check_arguments(args, kwargs)
            if call is None:
                return function(*args, **kwargs)
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            if refused := refusal(call, args):
                raise refused from error
            explain_failure(error, call)
            raise
        try:
            is_known = call.key_of(result) in call.results
        except Exception:  # an unknown object, a symbolic size, no tensor
            is_known = False
        if not is_known:
            check_result(call, result, args)
        return result

    return _wrapping(wrapper, function)


def _checked_later(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, checked from its first call on: its annotations name what is not there yet."""
    resolved: list[Callable[..., Any]] = []

    @unseen
    def resolve(_: object) -> None:
        if not resolved:
            function_signature(function)  # says so if the name is still not there
            resolved.append(checked(function))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if switch.off:
            return function(*args, **kwargs)
        if is_dynamo_compiling():
            at_trace_time(resolve)
        else:
            resolve(None)
        return resolved[0](*args, **kwargs)

    return _wrapping(wrapper, function)


def _wrapping(wrapper: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper, as it looks from outside."""
    functools.update_wrapper(wrapper, function)
    # code of its own: tracebacks show the name, and Dynamo counts recompilations per code
    wrapper.__code__ = wrapper.__code__.replace(co_name=function.__name__)
    wrapper.__prepare_scriptable__ = refuse_script  # type: ignore[attr-defined]  # torch.jit.script asks for it
    _wrappers.add(wrapper)
    return passed_over(wrapper)


def is_checked(function: Callable[..., Any]) -> bool:
    """Whether calls of this function are checked."""
    return getattr(function, "__func__", function) in _wrappers  # that of a bound method
