"""The contract of one function: its calls are checked, and those that passed are remembered.

To check a call, the parts in braces are read first. Then the arguments are matched with their
types, which binds the axes, and after the body has run the result is matched with the same axes
(`matching`). What does not match is explained (`messages`). A call that passed is remembered
(`memo`), so that it is not checked again.
"""

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import jaxtyping
from torch import nn
from torch.nn.parameter import is_lazy

from shapezoo.contracts.checking.introspection import (
    NO_CLASS,
    Origin,
    function_signature,
    result_axes,
)
from shapezoo.contracts.checking.jit import paused
from shapezoo.contracts.checking.known_limits import limits_error
from shapezoo.contracts.checking.memo import MAX_RESULTS, CheckedCall, Memo, remember
from shapezoo.contracts.language.errors import ContractError, ShapeError
from shapezoo.contracts.language.expressions import number_or_error, read_or_error
from shapezoo.contracts.language.types import RecordType, needed_names, walk
from shapezoo.contracts.matching.bindings import missing, visible, without_braces
from shapezoo.contracts.matching.call_matching import bind_arguments, match_result
from shapezoo.contracts.matching.matching import MismatchError, StepAside
from shapezoo.contracts.messages.describing import readable
from shapezoo.contracts.messages.explain import Explainer


class Contract:
    """The contract of one function.

    Args:
        function: The function.
        origin: Where it was defined.
        is_final: Whether a missing name is an error, as in `Scope`.

    Attributes:
        signature: The contract as data.
        memo: The calls that passed.
        records: The dataclasses in it whose fields hold tensors.

    Raises:
        UnresolvedError: An annotation refers to a name that does not exist (yet).
        ContractError: An annotation is missing or cannot be used.
    """

    def __init__(
        self, function: Callable[..., Any], origin: Origin = NO_CLASS, *, is_final: bool = False
    ) -> None:
        self.signature = function_signature(function, origin, is_final=is_final)
        self.memo = Memo(function, self.signature)
        output = self.signature.output
        types = (*(argument.type for argument in self.signature.inputs), output)
        inside = itertools.chain.from_iterable(map(walk, types))
        records = [part.record for part in inside if isinstance(part, RecordType)]
        self.records = tuple(filter(is_dataclass, records))
        self._function = function
        self._explain = Explainer(function, self.signature)
        self._braces = self.signature.braces
        self._has_owner = [*inspect.signature(function).parameters][:1] == [self.signature.owner]
        # the axes that the arguments must bind: in every call, and if the result has them
        self._needed = needed_names(output)
        keys = (axis.key for axis in result_axes(output))
        self._sometimes_needed = frozenset(key for key in keys if key) - self._needed

    def check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CheckedCall | None:
        """Check the arguments of a call; return None if checks do not apply to it.

        Raises:
            TypeError: The arguments do not match the function's parameters.
            ShapeError: An argument breaks the contract.
            ContractError: The contract cannot be computed for these arguments.
        """
        arguments = self.memo.arguments_of(*args, **kwargs)
        if jaxtyping.config.jaxtyping_disable:
            return None
        try:
            with paused():
                try:
                    key = self.memo.key_of(*args, **kwargs)
                    braces = self._numbers(key[: len(self._braces)])
                except Exception:  # an unknown class, a size that cannot be read
                    key, braces = None, self._read_braces(arguments)
                for unknown in _sizes_of_lazy_layers(braces, arguments.get(self.signature.owner)):
                    key = None
                    del braces[unknown]
                call = self._check(arguments, braces)
        except StepAside:
            return None
        if key is not None:
            self.memo.add(key, call)
        return call

    def check_result(self, call: CheckedCall, result: object, args: tuple[Any, ...]) -> None:
        """Check the result of a call against the axes that its arguments bound.

        Raises:
            ShapeError: It breaks the contract.
            ContractError: The contract cannot be computed for it.
        """
        if jaxtyping.config.jaxtyping_disable:
            return
        with paused():
            try:
                self._check_result(call, result, args[0] if self._has_owner and args else None)
            except StepAside:
                return
            with contextlib.suppress(Exception):  # an unknown class, a symbolic size
                remember(call.results, call.key_of_result(result), None, MAX_RESULTS)

    def limits_error(self, call: CheckedCall, args: tuple[Any, ...]) -> ShapeError | None:
        """Return the error for a call outside the module's known limits; None if it is within.

        Args:
            call: The result of `check_arguments`.
            args: The positional arguments.
        """
        owner = args[0] if self._has_owner and args else None
        return limits_error(self._function, self.signature, owner, visible(call.bindings))

    def verify(
        self,
        values: tuple[tuple[object, ...], dict[str, Any]],
        results: tuple[object, ...],
        module_path: str,
        call: CheckedCall | None,
        owner: object,
    ) -> CheckedCall | None:
        """Check the arguments or the result of a call that is being traced.

        Args:
            values: The values of the parts in braces, and the arguments by name.
            results: The result, if there is one yet.
            module_path: The path of the traced module in its parent.
            call: What this method returned before the body ran; the body may have changed the
                arguments since.
            owner: The module, if the function is a forward.

        Raises:
            ShapeError: The call breaks the contract, or its sizes are outside the module's limits.
            ContractError: The contract cannot be computed for this call.
        """
        if jaxtyping.config.jaxtyping_disable:
            return None
        module_path = module_path if self._has_owner else ""
        with contextlib.suppress(StepAside):
            if call is None:
                sizes, arguments = values
                call = self._check(arguments, self._numbers(sizes), module_path)
                if error := self.limits_error(call, (owner,)):
                    raise error
            for result in results:
                self._check_result(call, result, None, module_path)
        return call

    def _check(
        self, arguments: dict[str, Any], braces: dict[str, object], module_path: str = ""
    ) -> CheckedCall:
        try:
            bindings, opaque = bind_arguments(self.signature, arguments, braces)
        except MismatchError as mismatch:
            # not in a variable: the traceback of an error refers to this frame, and such a cycle
            # would keep the tensors alive
            raise self._explain.wrong_argument(
                mismatch, arguments, functools.partial(self._accepts, braces), module_path
            ) from None
        except ContractError as error:
            raise self._explain.uncomputable(error) from error
        if unbound := missing(bindings, self._needed - opaque):
            raise self._explain.unbound(unbound)
        axes = without_braces(bindings) if braces else bindings
        return CheckedCall(bindings, axes, opaque, {}, self.memo.key_of_result)

    def _check_result(
        self, call: CheckedCall, result: object, owner: object, module_path: str = ""
    ) -> None:
        unbound: list[str] = []
        if self._sometimes_needed:
            unbound = missing(call.bindings, self._sometimes_needed - call.opaque)
        try:
            unbound = match_result(self.signature.output, result, call.bindings, unbound)
        except MismatchError as mismatch:
            raise self._explain.wrong_result(
                mismatch, result, call.bindings, owner, module_path
            ) from None
        except ContractError as error:
            if call.opaque:
                return  # its sizes come from an argument that cannot be inspected
            raise self._explain.uncomputable(error) from error
        if unbound:
            raise self._explain.unbound(unbound)

    def _accepts(
        self, braces: dict[str, object], arguments: dict[str, Any], changes: dict[str, object]
    ) -> bool:
        """Whether other arguments, with other values of parts in braces, would pass."""
        braces = braces | readable(self._read_braces(arguments)) | changes
        try:
            bind_arguments(self.signature, arguments, braces)
        except (MismatchError, ContractError):
            return False
        return True

    def _read_braces(self, arguments: dict[str, Any]) -> dict[str, object]:
        """Return the values of the parts in braces, by part; the error if one cannot be read."""
        return {part: read_or_error(part, arguments) for part in self._braces}

    def _numbers(self, sizes: tuple[object, ...]) -> dict[str, object]:
        """Return these values of the parts in braces, by part; an error if one is not a number."""
        return {part: number_or_error(part, v) for part, v in zip(self._braces, sizes, strict=True)}


def _sizes_of_lazy_layers(braces: dict[str, object], owner: object) -> list[str]:
    """Return the parts in braces that may be 0 only because a lazy layer was not called yet."""
    zeros = [text for text, size in braces.items() if type(size) is int and size == 0]
    if not zeros or not isinstance(owner, nn.Module):
        return []
    has_lazy_layers = any(map(is_lazy, itertools.chain(owner.parameters(), owner.buffers())))
    return zeros if has_lazy_layers else []
