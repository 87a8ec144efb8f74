"""Enforce a contract: every checked call goes through here.

`checked` replaces a function by a wrapper, the only code of shapezoo that runs in a call that is
remembered. In eager code it looks up the call, runs the body, and looks up the result. Dynamo
traces through the wrapper: it passes the arguments to `verify_traced`, which checks the fake
tensors and leaves no node in the graph.
"""

import dataclasses
import functools
import inspect
import types
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from torch import nn
from torch.compiler import is_dynamo_compiling

from shapezoo.contracts.checking import switch
from shapezoo.contracts.checking.bodies import asserts_shapes, remember_generator, uses_axes
from shapezoo.contracts.checking.contract import Contract
from shapezoo.contracts.checking.dynamo import at_trace_time, traceable, verify_traced
from shapezoo.contracts.checking.introspection import NO_CLASS, Origin, kept_for_later, method_of
from shapezoo.contracts.checking.jit import refuse_script
from shapezoo.contracts.checking.memo import CheckedCall
from shapezoo.contracts.language.errors import ContractError, ShapeError, UnresolvedError
from shapezoo.contracts.matching.bindings import enter_frame, leave_frame
from shapezoo.contracts.matching.dynamo_skipping import skip_by_dynamo, skip_frame_only
from shapezoo.contracts.messages.describing import qualified_name
from shapezoo.contracts.messages.notes import add_note

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
D = TypeVar("D", bound="classmethod[Any, Any, Any] | staticmethod[Any, Any] | property")

_wrappers: weakref.WeakSet[Callable[..., Any]] = weakref.WeakSet()


@overload
def checked(function: type[T]) -> type[T]: ...
@overload
def checked(function: D) -> D: ...  # type: ignore[overload-overlap]  # a staticmethod is callable
@overload
def checked(function: Callable[P, R]) -> Callable[P, R]: ...
def checked(function: Any) -> Any:
    """Enforce the annotations of a function, of a module's ``forward``, or of a dataclass.

    The arguments are checked before the body runs and the result after it; a dataclass is checked
    on construction. Passed checks are cached, so a repeated call costs one dictionary lookup. Under
    `torch.compile` and `torch.export` the check runs while the call is traced. `torch.fx` proxies
    have no shape and are not checked.

    A dataclass is checked in its own ``__init__``: fields that a ``default_factory`` fills are not
    checked, and a subclass that is a dataclass needs ``checked`` too.

    Args:
        function: A function whose arguments and result are all annotated, a static method, class
            method or property of one, or a dataclass. Axes may be numbers, names,
            ``name=expression``, ``*name`` and ``...``; parts in braces, such as
            ``{self.in_channels}``, are computed from the arguments at each call.

    Returns:
        The checked function. A function that is already checked is returned unchanged.

    Raises:
        ContractError: An annotation is missing or cannot be used, or this is not a function. A call
            raises it too, if the contract cannot be computed for it.
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
        init = enforced(function.__init__, method_of(function))
        # the dataclass decorator has made `__init__` already, so it can only be assigned
        function.__init__ = init  # type: ignore[method-assign]  # a method is replaced on purpose
        return function
    if isinstance(function, staticmethod):
        return staticmethod(checked(function.__func__))
    if isinstance(function, classmethod):
        return classmethod(enforced(function.__func__, Origin(is_method=True)))
    if isinstance(function, property):
        parts = (function.fget, function.fset, function.fdel)
        fget, fset, fdel = (part and enforced(part, Origin(is_method=True)) for part in parts)
        return property(fget, fset, fdel, function.__doc__)
    return enforced(function)


def enforced(function: Any, origin: Origin = NO_CLASS) -> Any:
    """Return a function whose contract is enforced.

    Args:
        function: A function whose arguments and result are all annotated.
        origin: Where it was defined.

    Raises:
        ContractError: An annotation is missing or cannot be used, or this is not a plain function.
    """
    if switch.CHECKS == "off" or getattr(function, "__no_type_check__", False):
        return function
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ContractError(
            f"{qualified_name(function)}: checked does not take an async function; check a plain "
            f"function that it calls"
        )
    if not isinstance(function, types.FunctionType):
        message = f"checked takes a plain function or a dataclass, got {function!r}"
        class_ = function if isinstance(function, type) else type(function)
        if issubclass(class_, nn.Module):
            message += f"; derive {class_.__name__} from shapezoo.Module, or decorate its forward"
        raise ContractError(message)
    if is_checked(function):
        return function
    try:
        contract = Contract(function, origin)
    except UnresolvedError as error:
        return _checked_later(function, kept_for_later(function, origin, error))
    return _enforcing(contract, function)


def _enforcing(contract: Contract, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the function so that its contract is enforced.

    A call that is remembered costs one dictionary lookup, and so does its result. All other work is
    done in functions that Dynamo skips.
    """
    recall, values_of, records = contract.memo.recall, contract.memo.values_of, contract.records
    remember_generator(function)

    # the wrapper closes over plain functions, no objects or bound methods: for a checked dataclass
    # that is constructed inside a graph, Dynamo supports only plain functions in closures here
    check_arguments = _plain(contract.check_arguments)
    check_result = _plain(contract.check_result)
    explain_failure = _plain(functools.partial(_explain_failure, contract))
    verify = _plain(contract.verify)
    run_in_frame = _running_in_frame(contract, function, verify) if uses_axes(function) else None

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if switch.off:
            return function(*args, **kwargs)
        if is_dynamo_compiling():
            values = traceable(values_of(*args, **kwargs), records)
            verify_traced(verify, values, ())
            result = function(*args, **kwargs)
            verify_traced(verify, values, traceable((result,), records))
            return result
        if wrapper._shapezoo_latest is not wrapper and (latest := _reloaded(wrapper)):  # type: ignore[attr-defined]  # set below
            return latest(*args, **kwargs)
        try:
            call = recall(*args, **kwargs)
        except Exception:  # an unknown class, a symbolic size, arguments that do not bind
            call = None
        if call is None:
            call = check_arguments(args, kwargs)
            if call is None:
                return function(*args, **kwargs)
        try:
            result = run_in_frame(call, args, kwargs) if run_in_frame else function(*args, **kwargs)
        except Exception as error:
            limits_error = explain_failure(error, call, args)
            try:
                if limits_error is not None:
                    raise limits_error from error
            finally:
                # its traceback refers to this frame, and such a cycle would keep the tensors alive
                del limits_error
            raise
        try:
            has_passed = call.key_of_result(result) in call.results
        except Exception:  # an unknown class, a symbolic size, not a tensor
            has_passed = False
        if not has_passed:
            check_result(call, result, args)
        return result

    return _wrapping(wrapper, function)


def _plain(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function that calls a method, and that Dynamo skips."""

    @skip_by_dynamo
    def call_method(*args: Any) -> Any:
        return method(*args)

    return call_method


def _explain_failure(
    contract: Contract, error: Exception, call: CheckedCall, args: tuple[Any, ...]
) -> ShapeError | None:
    """Return the error for sizes outside the module's limits; otherwise add a note to the error."""
    limits_error = contract.limits_error(call, args)
    if limits_error is None:
        add_note(error, contract.signature, call.axes)
    return limits_error


def _running_in_frame(
    contract: Contract, function: Callable[..., Any], verify: Callable[..., object]
) -> Callable[..., Any]:
    """Return a function that runs a body in a frame of jaxtyping's with the axes of its call."""
    values_of, records = contract.memo.values_of, contract.records

    @skip_by_dynamo
    def enter(call: CheckedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        enter_frame(call.axes, contract.memo.arguments_of(*args, **kwargs))

    @skip_frame_only
    def run_in_frame(call: CheckedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        enter(call, args, kwargs)
        try:
            return body(*args, **kwargs)
        finally:
            leave_frame()

    def asserting(*args: Any, **kwargs: Any) -> Any:
        if is_dynamo_compiling():  # a graph begins here; it needs the axes as symbols
            verify_traced(verify, traceable(values_of(*args, **kwargs), records), ())
        return function(*args, **kwargs)

    # a code object of its own, as for the wrapper
    asserting.__code__ = asserting.__code__.replace(co_name=function.__name__)
    body = asserting if asserts_shapes(function) else function
    return run_in_frame


def _checked_later(function: Callable[..., Any], origin: Origin) -> Callable[..., Any]:
    """Wrap a function whose annotations refer to a name that is not defined yet.

    Its contract is parsed at the first call.
    """
    resolved: list[Callable[..., Any]] = []

    @skip_by_dynamo
    def resolve(_: object) -> None:
        if not resolved:
            contract = Contract(function, origin, is_final=True)
            resolved.append(_enforcing(contract, function))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if switch.off:
            return function(*args, **kwargs)
        if is_dynamo_compiling():
            at_trace_time(resolve)
        elif latest := _reloaded(wrapper):
            return latest(*args, **kwargs)
        else:
            resolve(None)
        return resolved[0](*args, **kwargs)

    return _wrapping(wrapper, function)


def _wrapping(wrapper: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Make the wrapper look like the function."""
    functools.update_wrapper(wrapper, function)
    # a code object of its own: tracebacks show its name, and Dynamo limits the number of
    # compilations per code object
    wrapper.__code__ = wrapper.__code__.replace(co_name=function.__name__)
    wrapper.__prepare_scriptable__ = refuse_script  # type: ignore[attr-defined]  # torch.jit.script calls it
    wrapper._shapezoo_latest = wrapper  # type: ignore[attr-defined]  # see _reloaded
    _wrappers.add(wrapper)
    return skip_frame_only(wrapper)


def _reloaded(wrapper: Any) -> Callable[..., Any] | None:
    """Return the function that IPython's autoreload replaced this one with, if it did.

    For code that imported a function by name, autoreload gives the old function the code and the
    ``__dict__`` of the new one. It cannot change the closure of the old function, so without this
    the old body would still run.
    """
    latest: Any = wrapper._shapezoo_latest
    if vars(latest) is vars(wrapper):
        return latest if latest is not wrapper else None
    wrapper._shapezoo_latest = wrapper  # functools.wraps copied that of another function
    return None


def is_checked(function: Callable[..., Any]) -> bool:
    """Whether calls of this function are checked."""
    return getattr(function, "__func__", function) in _wrappers  # of a bound method
