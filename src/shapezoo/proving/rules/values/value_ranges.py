"""What is known of the values of tensors, which decide whether an index is in range.

Fake tensors have no values, so the values of those that may become an index are followed beside
the run, from kernel to kernel: as bounds (`intervals`), or as true values where they are constant
(`constants`). Values of the caller's arguments are assumed to be valid indices. An index of which
nothing is known makes the run undecided; it is never taken to be in range. Where the bounds of an
index depend on values of arguments, some values are out of range and others are not: both ways are
followed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from shapezoo._containers import tensors_of
from shapezoo.proving.rules import intervals
from shapezoo.proving.rules.intervals import (
    BOOL,
    CALLER,
    LOST,
    UNREACHED,
    Doubt,
    Size,
    ValueRange,
)
from shapezoo.proving.rules.values.constants import (
    Constant,
    computed,
    first_outside,
    memory_of,
    real_kernels,
)
from shapezoo.proving.rules.values.kernel_ranges import KernelCall, Values, as_range, values_after
from shapezoo.proving.rules.values.monotone import MonotoneValues

_NOT_ALL_USED = "which values of a constant are used depends on sizes"


class UndecidedError(Exception):
    """The values of a tensor decide, and they are not known."""


class ValueRanges:
    """What is known about the values of every tensor.

    Attributes:
        undecided: An error that says that values decide, even if the model has caught it.
        choose: Answers a question that the data of arguments decide.
        out_of_range: The errors that were raised because of an index.
        refused: Those of them that were raised for some values of arguments, and not for others.
        shapes: The shapes of all tensors that were made, in sympy's terms.
    """

    def __init__(self) -> None:
        self.undecided: Exception | None = None
        self.choose: Callable[[], bool] = lambda: False
        self.out_of_range: list[Exception] = []
        self.refused: list[Exception] = []
        self.shapes: set[tuple[Any, ...]] = set()
        self._of_arguments: set[int] = set()  # tensors whose values depend on those of arguments
        # what was chosen, by the id of an index and its limits
        self._in_range: dict[tuple[int, str, str], bool] = {}
        self._known: dict[int, tuple[Tensor, Values]] = {}  # keeps tensors, and so their ids
        self._owners: dict[int, int] = {}  # tensors with the same owner may share memory
        self._lost_by: dict[int, str] = {}  # the kernels that made values of which nothing is known
        self._monotone = MonotoneValues()
        self._orders: set[int] = set()  # tensors of one axis that hold each position once
        self._stale: set[int] = set()  # where the data of constants is that were written to

    def set_arguments(self, tensors: Iterable[Tensor]) -> None:
        """Take the values of tensors for those that a caller gives."""
        for tensor in tensors:
            is_bool = tensor.dtype == torch.bool
            self._set(tensor, BOOL if is_bool else CALLER)
            self._of_arguments.add(id(tensor))

    def set_bounds(self, tensor: Tensor, low: Size, high: Size) -> None:
        """Say between which bounds the values of a tensor are, which depend on arguments."""
        self._set(tensor, ValueRange(low, high))
        self._of_arguments.add(id(tensor))

    def set_lost(self, tensor: Tensor) -> None:
        """Say that nothing is known any more of a tensor, and of what may share its memory."""
        self._write(tensor, LOST)

    def set_numbers(self, tensor: Tensor, numbers: Iterable[object]) -> None:
        """Say of which numbers and symbols a tensor was made."""
        bounds = intervals.join([intervals.of_number(number) for number in numbers])
        self._set(tensor, intervals.in_dtype(bounds, tensor.dtype))

    def set_data(self, tensor: Tensor, data: Tensor) -> None:
        """Say that a tensor has the values of a real one."""
        self._set(tensor, Constant(data))

    def of(self, tensor: Tensor) -> Values:
        """Return what is known of the values of a tensor."""
        values: Values = LOST if isinstance(tensor, FakeTensor) else Constant(tensor)
        if id(tensor) in self._known:
            values = self._known[id(tensor)][1]
        if isinstance(values, Constant) and memory_of(values) in self._stale:
            values = LOST
        is_lost = isinstance(values, ValueRange) and values.is_lost
        return BOOL if is_lost and tensor.dtype == torch.bool else values

    def number_of(self, tensor: Tensor) -> Any:
        """Return the number or size that a tensor with one element is known to hold, or None."""
        values = self.of(tensor)
        if isinstance(values, Constant):
            if not values.is_whole or values.data.numel() != 1:
                return None
            with real_kernels():
                return values.data.item()
        is_one = tensor.dim() == 0 and tensor.dtype in (torch.int32, torch.int64)
        return values.low if is_one and values.is_size else None

    def preserve(self, source: Tensor, result: Tensor) -> None:
        """Say that a tensor has the values of another in another shape, and perhaps its memory."""
        values = self.of(source)
        self._set(result, values.shuffled() if isinstance(values, Constant) else values)
        self._link([source, result])
        if id(source) in self._of_arguments:
            self._of_arguments.add(id(result))

    def lose(self, tensors: Iterable[Tensor], name: str) -> None:
        """Say that nothing is known of some tensors, and which function has made them."""
        for tensor in tensors:
            self._lost_by[id(tensor)] = name
            self._set(tensor, LOST)

    def follow(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: object
    ) -> None:
        """Note what a kernel does to values.

        Args:
            func: The kernel.
            args: Its arguments.
            kwargs: Its keywords.
            result: Its result.
        """
        made = list(tensors_of(result))
        if any(id(tensor) in self._of_arguments for tensor in tensors_of([args, kwargs])):
            self._of_arguments.update(map(id, made))
        after = self._after(func, args, kwargs, made) if made else []
        self._overwrite(func._schema, args, kwargs, made, after)
        if any(part.alias_info and not part.alias_info.is_write for part in func._schema.returns):
            self._link([*tensors_of(args), *made])
        for tensor, values in zip(made, after, strict=True):
            self._set(tensor, values)
        if func._schema.name in ("aten::sort", "aten::randperm") and made[-1].dim() == 1:
            self._orders.add(id(made[-1]))
        if len(made) == 1 and not func._schema.is_mutable:
            self._monotone.note(func, named(func._schema, args, kwargs), made[0], self.of)

    def _after(
        self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: list[Tensor]
    ) -> list[Values]:
        given, options = self._constants([*args]), self._constants(dict(kwargs))
        if given is not None and options is not None:
            constants = computed(func, given, options, made)
            if constants is not None:
                return [*constants]
        name = func._schema.name.removeprefix("aten::")
        arguments = named(func._schema, args, kwargs)
        if self._is_put_everywhere(name, arguments):
            return [as_range(self.of(arguments["values"]))]
        short = name.removesuffix("_")
        of = self._monotone.narrowed(arguments, self.of) if short == "where" else self.of
        after: list[Values] = []
        for number, tensor in enumerate(made):
            call = KernelCall(func, short, arguments, tensor, number, of)
            after.append(values_after(call))
            if isinstance(after[-1], ValueRange) and after[-1].is_lost:
                self._lost_by[id(tensor)] = self._reason(arguments, name)
        return after

    def _is_put_everywhere(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether ``x[order] = values`` inverts an order, so that no old values of x are left."""
        if name != "index_put_" or len(arguments["indices"]) > 1 or arguments["accumulate"]:
            return False
        x, (index,) = arguments["self"], arguments["indices"]
        is_order = id(index) in self._orders and x.dim() == 1
        return is_order and intervals.known(x.shape[0] == index.shape[0])

    def _reason(self, arguments: Mapping[str, Any], name: str) -> str:
        """Return the first kernel that has lost the values, or this one."""
        found = (self._lost_by.get(id(tensor)) for tensor in tensors_of([*arguments.values()]))
        return next(filter(None, found), name)

    def _constants(self, value: Any) -> Any:
        """Return a copy with a `Constant` for each tensor, or None if one is not constant."""
        if isinstance(value, Tensor):
            values = self.of(value)
            return values if isinstance(values, Constant) else None
        if isinstance(value, list | tuple):
            items = [self._constants(item) for item in value]
            is_gone = any(
                new is None and old is not None for new, old in zip(items, value, strict=True)
            )
            return None if is_gone else items
        if isinstance(value, dict):
            items = self._constants([*value.values()])
            return None if items is None else dict(zip(value, items, strict=True))
        return value

    def _overwrite(
        self,
        schema: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        made: Sequence[Tensor],
        after: Sequence[Values],
    ) -> None:
        """Change what is known of all that may share the memory that a kernel writes to."""
        names = [
            part.name for part in schema.arguments if part.alias_info and part.alias_info.is_write
        ]
        arguments = named(schema, args, kwargs)
        new = {id(tensor): values for tensor, values in zip(made, after, strict=True)}
        for tensor in tensors_of([arguments.get(name) for name in names]):
            self._write(tensor, as_range(new.get(id(tensor), LOST)))

    def _write(self, written: Tensor, values: ValueRange) -> None:
        before = self.of(written)
        if isinstance(before, Constant):
            self._stale.add(memory_of(before))
        elif id(written) not in self._known:  # of unknown origin: it may be a view of anything
            for key, (tensor, _) in self._known.items():
                self._known[key] = tensor, LOST
        owner = self._owner(written)
        alike = {id(written), *(key for key, at in self._owners.items() if at == owner)}
        self._monotone.forget(alike)
        self._orders -= alike
        self._in_range = {key: v for key, v in self._in_range.items() if key[0] not in alike}
        self._of_arguments |= alike  # or of constants, which matters little
        for key, (tensor, old) in self._known.items():
            if self._owners.get(key, key) == owner:
                is_alike = tensor.dtype == written.dtype
                both = intervals.join([as_range(old), values]) if is_alike else LOST
                self._known[key] = tensor, both
        self._set(written, values)

    def _set(self, tensor: Tensor, values: Values) -> None:
        sizes = (s.node.expr if isinstance(s, torch.SymInt) else s for s in tensor.shape)
        self.shapes.add(tuple(sizes))
        self._known[id(tensor)] = tensor, values

    def _owner(self, tensor: Tensor) -> int:
        return self._owners.get(id(tensor), id(tensor))

    def _link(self, tensors: Sequence[Tensor]) -> None:
        """Note that tensors may share memory."""
        first = self._owner(tensors[0])
        for tensor in tensors:
            self._known.setdefault(id(tensor), (tensor, self.of(tensor)))
            other = self._owners.setdefault(id(tensor), first)
            if other != first:
                members = [key for key, owner in self._owners.items() if owner == other]
                self._owners |= dict.fromkeys(members, first)

    def require(self, index: object, least: Size, most: Size, error: type[Exception]) -> None:
        """Check an index as a real kernel does.

        Raises:
            UndecidedError: Not enough is known of its values.
            Exception: It is out of range.
        """
        values = self.of(index) if isinstance(index, Tensor) else CALLER
        if isinstance(values, ValueRange) and values.is_caller:
            return
        assert isinstance(index, Tensor)
        if not bool(index.numel() > 0):
            return
        if isinstance(values, Constant) and type(least) is type(most) is int:
            is_inside = _is_inside(values, least, most)
            if not is_inside and not values.is_full:
                self.give_up(_NOT_ALL_USED)
        else:
            is_inside = self._is_inside(index, as_range(values), least, most)
        if is_inside or self._is_in_range_for_some(index, least, most):
            return
        refusal = error("index out of range in self")
        self.out_of_range.append(refusal)
        if id(index) in self._of_arguments:
            self.refused.append(refusal)
        raise refusal

    def _is_in_range_for_some(self, index: Tensor, least: Size, most: Size) -> bool:
        """Whether to go on with values that are in range, if they depend on those of arguments."""
        if id(index) not in self._of_arguments:
            return False
        question = id(index), str(least), str(most)
        if question not in self._in_range:
            self._in_range[question] = self.choose()
        return self._in_range[question]

    def require_valid(self, index: Tensor, least: Size, most: Size, what: str) -> None:
        """Give up unless values are within limits for all sizes on this path.

        Raises:
            UndecidedError: That is not known.
        """
        values = as_range(self.of(index))
        if values.is_caller:
            return
        known = values.is_known and not values.doubts
        if not (
            known and intervals.known(values.low >= least) and intervals.known(values.high <= most)
        ):
            self.give_up(f"{what} may be less than {least} or too large")

    def _is_inside(self, index: Tensor, values: ValueRange, least: Size, most: Size) -> bool:
        if not values.is_known:
            name = self._lost_by.get(id(index), "a kernel without a rule")
            self.give_up(f"the values of an index are not known after {name}")
        is_inside = bool(values.low >= least) and bool(values.high <= most)
        for doubt in values.doubts:
            if doubt is UNREACHED and not is_inside:
                self.give_up(_NOT_ALL_USED)
            if is_inside or doubt.can_wrap:
                self._settle(doubt)
        return is_inside

    def _settle(self, doubt: Doubt) -> None:
        if not (bool(doubt.low >= doubt.least) and bool(doubt.high <= doubt.most)):
            self.give_up(f"an index was in {doubt.dtype}, which does not hold such numbers exactly")

    def require_fixed(self, index: Tensor, name: str) -> None:
        """Give up unless an index depends on no size, for a kernel of which no limits are known.

        Raises:
            UndecidedError: It depends on sizes.
        """
        values = self.of(index)
        is_fixed = values.is_whole if isinstance(values, Constant) else values.is_caller
        if not is_fixed and not index.is_floating_point() and index.dtype != torch.bool:
            self.give_up(f"{name} has no rule for an index that is made from sizes")

    def give_up(self, reason: str) -> NoReturn:
        """Say that values decide.

        Raises:
            UndecidedError: Always.
        """
        self.undecided = UndecidedError(reason)
        raise self.undecided


def _is_inside(values: Constant, least: int, most: int) -> bool:
    """Whether all known values are within limits; asks how many of them are in use."""
    return not any(
        all(bool(count > place) for count, place in corner)
        for corner in first_outside(values, least, most)
    )


def named(schema: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a kernel by name, with defaults."""
    defaults = {p.name: p.default_value for p in schema.arguments if p.has_default_value()}
    given = {part.name: arg for part, arg in zip(schema.arguments, args, strict=False)}
    return defaults | given | dict(kwargs)
