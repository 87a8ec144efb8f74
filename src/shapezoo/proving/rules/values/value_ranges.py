"""The values of tensors in a symbolic run, as far as they are known.

Fake tensors have no values, but those of an index decide whether it is in range. So values are
tracked beside the run, from kernel to kernel: as an interval (`intervals`) or, where they are
constant, as real values (`constants`). `ValueRanges` keeps them by tensor, and does four things:

* `follow` notes what a kernel has made (`kernel_ranges`), and what it has written to. PyTorch does
  not say which tensors share memory, so tensors that may share some are linked, and a write to one
  changes what is known of all. A view that kept the values from before a write would be looked up
  in range, and the model proved although it raises.
* `require` checks an index as the real kernel does. It is never assumed to be in range: if not
  enough is known the run is undecided (`UndecidedError`).
* Values of the caller's arguments are assumed to be valid indices. Where the bounds of an index
  depend on them (``mask.sum()``), it is out of range for some and not for others: both ways are
  followed, and `choose` says which one this run takes.
* A bound that rests on a narrow dtype is settled only when an index needs it (`Doubt`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from shapezoo._containers import tensors_of
from shapezoo.proving.rules import intervals
from shapezoo.proving.rules.intervals import BOOL, CALLER, UNKNOWN, UNREACHED, Size, ValueRange
from shapezoo.proving.rules.shape_rules import Arguments
from shapezoo.proving.rules.values.constants import Constant, Values, as_range, computed
from shapezoo.proving.rules.values.kernel_ranges import KernelCall, values_after
from shapezoo.proving.rules.values.monotone import MonotoneValues

_NOT_ALL_USED = "which values of a constant are used depends on sizes"


class UndecidedError(Exception):
    """What happens depends on values of a tensor that are not known."""


class ValueRanges:
    """The values of all tensors of a run, as far as they are known.

    Attributes:
        undecided: The error that stopped the run as undecided, even if the model has caught it.
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
        # All of these are by id. `_values` keeps the tensors alive, whose ids would be used again.
        self._values: dict[int, tuple[Tensor, Values]] = {}
        self._of_arguments: set[int] = set()
        self._permutations: set[int] = set()
        self._unknown_after: dict[int, str] = {}
        self._monotone = MonotoneValues()
        # what was chosen for an index and its limits
        self._in_range: dict[tuple[int, str, str], bool] = {}
        # tensors with the same owner may share memory
        self._owners: dict[int, int] = {}
        # addresses of constants that were written to
        self._stale: set[int] = set()

    def set_arguments(self, tensors: Iterable[Tensor]) -> None:
        """Say that tensors are arguments, whose values the caller decides."""
        for tensor in tensors:
            self._set(tensor, BOOL if tensor.dtype == torch.bool else CALLER)
            self._of_arguments.add(id(tensor))

    def set_bounds(self, tensor: Tensor, low: Size, high: Size) -> None:
        """Set the bounds of values that depend on those of arguments."""
        self._set(tensor, ValueRange(low, high))
        self._of_arguments.add(id(tensor))

    def set_unknown(self, tensors: Iterable[Tensor], name: str) -> None:
        """Say that nothing is known about tensors, and which function has made them."""
        for tensor in tensors:
            self._unknown_after[id(tensor)] = name
            self._set(tensor, UNKNOWN)

    def set_numbers(self, tensor: Tensor, numbers: Iterable[object]) -> None:
        """Say of which numbers and symbols a tensor was made."""
        bounds = intervals.join([intervals.of_number(number) for number in numbers])
        self._set(tensor, intervals.in_dtype(bounds, tensor.dtype))

    def set_data(self, tensor: Tensor, data: Tensor) -> None:
        """Say that a tensor has the values of a real one."""
        self._set(tensor, Constant(data))

    def overwrite(self, tensor: Tensor, values: ValueRange = UNKNOWN) -> None:
        """Say that a tensor was written to, and so whatever may share its memory.

        Args:
            tensor: The tensor.
            values: What its values are now.
        """
        before = self.of(tensor)
        if isinstance(before, Constant):
            self._stale.add(before.address)
        elif id(tensor) not in self._values:
            # of unknown origin, so that it may be a view of anything
            for key, (tracked, _) in self._values.items():
                self._values[key] = tracked, UNKNOWN
        owner = self._owner(tensor)
        sharing = {id(tensor), *(key for key, other in self._owners.items() if other == owner)}
        self._monotone.forget(sharing)
        self._permutations -= sharing
        self._in_range = {key: v for key, v in self._in_range.items() if key[0] not in sharing}
        # some of these may be made of constants only; to treat them alike is on the safe side
        self._of_arguments |= sharing
        for key, (tracked, old) in self._values.items():
            if self._owners.get(key, key) == owner:
                # in another dtype the same bits are other numbers
                is_alike = tracked.dtype == tensor.dtype
                both = intervals.join([as_range(old), values]) if is_alike else UNKNOWN
                self._values[key] = tracked, both
        self._set(tensor, values)

    def of(self, tensor: Tensor) -> Values:
        """Return the values of a tensor, as far as they are known."""
        values: Values = UNKNOWN if isinstance(tensor, FakeTensor) else Constant(tensor)
        if id(tensor) in self._values:
            values = self._values[id(tensor)][1]
        if isinstance(values, Constant) and values.address in self._stale:
            values = UNKNOWN
        is_unknown = isinstance(values, ValueRange) and values.is_unknown
        return BOOL if is_unknown and tensor.dtype == torch.bool else values

    def number_of(self, tensor: Tensor) -> Any:
        """Return the number or size that a tensor with one element is known to hold, or None."""
        values = self.of(tensor)
        if isinstance(values, Constant):
            return values.number
        is_integer = tensor.dim() == 0 and tensor.dtype in (torch.int32, torch.int64)
        return values.low if is_integer and values.is_size else None

    def preserve(self, source: Tensor, result: Tensor) -> None:
        """Say that a tensor has the values of another in another shape, and perhaps its memory."""
        values = self.of(source)
        self._set(result, values.shuffled() if isinstance(values, Constant) else values)
        self._link([source, result])
        if id(source) in self._of_arguments:
            self._of_arguments.add(id(result))

    def follow(self, func: Any, args: Sequence[Any], kwargs: Arguments, result: object) -> None:
        """Note what a kernel does to values.

        Args:
            func: The kernel.
            args: Its arguments.
            kwargs: Its keyword arguments.
            result: Its result.
        """
        schema, made = func._schema, list(tensors_of(result))
        arguments = named(schema, args, kwargs)
        if any(id(tensor) in self._of_arguments for tensor in tensors_of([args, kwargs])):
            self._of_arguments.update(map(id, made))
        after: list[Values] = []
        if made:
            constants = computed(func, args, kwargs, made, self.of)
            after = self._after(func, arguments, made) if constants is None else [*constants]
        new = dict(zip(map(id, made), after, strict=True))
        written = [a.name for a in schema.arguments if a.alias_info and a.alias_info.is_write]
        for tensor in tensors_of([arguments.get(name) for name in written]):
            self.overwrite(tensor, as_range(new.get(id(tensor), UNKNOWN)))
        if any(part.alias_info and not part.alias_info.is_write for part in schema.returns):
            self._link([*tensors_of(args), *made])
        for tensor, values in zip(made, after, strict=True):
            self._set(tensor, values)
        if schema.name in ("aten::sort", "aten::randperm") and made[-1].dim() == 1:
            self._permutations.add(id(made[-1]))
        if len(made) == 1 and not schema.is_mutable:
            self._monotone.note(func, arguments, made[0], self.of)

    def _after(self, func: Any, arguments: Arguments, made: Sequence[Tensor]) -> list[Values]:
        """Return the values of tensors that a kernel has made from values that may vary."""
        name = func._schema.name.removeprefix("aten::")
        if self._inverts_permutation(name, arguments):
            return [as_range(self.of(arguments["values"]))]
        short = name.removesuffix("_")
        of = self._monotone.narrowed(arguments, self.of) if short == "where" else self.of
        after: list[Values] = []
        for number, tensor in enumerate(made):
            values = values_after(KernelCall(func, short, arguments, tensor, number, of))
            after.append(values)
            if isinstance(values, ValueRange) and values.is_unknown:
                # the first kernel that made them unknown is the one that a reader can change
                sources = map(id, tensors_of([*arguments.values()]))
                earlier = filter(None, map(self._unknown_after.get, sources))
                self._unknown_after[id(tensor)] = next(earlier, name)
        return after

    def _inverts_permutation(self, name: str, arguments: Arguments) -> bool:
        """Whether ``x[permutation] = values`` leaves no old values in x, as sorting back does."""
        if name != "index_put_" or len(arguments["indices"]) > 1 or arguments["accumulate"]:
            return False
        x, (index,) = arguments["self"], arguments["indices"]
        is_permutation = id(index) in self._permutations and x.dim() == 1
        return is_permutation and intervals.always(x.shape[0] == index.shape[0])

    def _set(self, tensor: Tensor, values: Values) -> None:
        sizes = (s.node.expr if isinstance(s, torch.SymInt) else s for s in tensor.shape)
        self.shapes.add(tuple(sizes))
        self._values[id(tensor)] = tensor, values

    def _owner(self, tensor: Tensor) -> int:
        return self._owners.get(id(tensor), id(tensor))

    def _link(self, tensors: Sequence[Tensor]) -> None:
        """Note that tensors may share memory."""
        first = self._owner(tensors[0])
        for tensor in tensors:
            self._values.setdefault(id(tensor), (tensor, self.of(tensor)))
            other = self._owners.setdefault(id(tensor), first)
            if other != first:
                members = [key for key, owner in self._owners.items() if owner == other]
                self._owners |= dict.fromkeys(members, first)

    def require(self, index: object, least: Size, most: Size, error: type[Exception]) -> None:
        """Check an index as a real kernel does.

        Raises:
            UndecidedError: Not enough is known about its values.
            Exception: It is out of range.
        """
        values = self.of(index) if isinstance(index, Tensor) else CALLER
        if values.is_caller:
            return
        assert isinstance(index, Tensor)
        # an index without entries is in range of anything
        if not bool(index.numel() > 0):
            return
        if isinstance(values, Constant) and type(least) is type(most) is int:
            is_inside = values.are_within(least, most)
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
        # The same question has the same answer, or two look-ups of one index would contradict.
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
        if not values.is_caller and not values.is_within(least, most):
            self.give_up(f"{what} may be less than {least} or too large")

    def _is_inside(self, index: Tensor, values: ValueRange, least: Size, most: Size) -> bool:
        if not values.is_bounded:
            name = self._unknown_after.get(id(index), "a kernel without a rule")
            self.give_up(f"the values of an index are not known after {name}")
        is_inside = bool(values.low >= least) and bool(values.high <= most)
        for doubt in values.doubts:
            if doubt is UNREACHED and not is_inside:
                self.give_up(_NOT_ALL_USED)
            # Rounding keeps the order, so what is rounded is still out of range; but what wraps
            # may come back into range.
            matters = is_inside or doubt.can_wrap
            if matters and not (doubt.low >= doubt.least and doubt.high <= doubt.most):
                held_by = f"{doubt.dtype}, which cannot represent such numbers exactly"
                self.give_up(f"an index was in {held_by}")
        return is_inside

    def require_fixed(self, index: Tensor, name: str) -> None:
        """Give up unless an index depends on no size, for a kernel whose limits are not known.

        Raises:
            UndecidedError: It depends on sizes.
        """
        values = self.of(index)
        is_fixed = values.is_whole if isinstance(values, Constant) else values.is_caller
        if not is_fixed and not index.is_floating_point() and index.dtype != torch.bool:
            self.give_up(f"{name} has no rule for an index that is made from sizes")

    def give_up(self, reason: str) -> NoReturn:
        """Stop the run as undecided.

        Raises:
            UndecidedError: Always.
        """
        self.undecided = UndecidedError(reason)
        raise self.undecided


def named(schema: Any, args: Sequence[Any], kwargs: Arguments) -> dict[str, Any]:
    """Return the arguments of a kernel by name, with defaults."""
    defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    positional = {a.name: value for a, value in zip(schema.arguments, args, strict=False)}
    return defaults | positional | dict(kwargs)
