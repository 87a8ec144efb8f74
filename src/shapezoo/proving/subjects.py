"""What a contract is proved of: a module, a function, or a class with sizes of its own."""

import contextlib
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._subclasses import fake_tensor

from shapezoo._modules import copied, device_of, floating_dtype, require_plain, uncompiled
from shapezoo.contracts import ContractError, Signature, checked, is_checked, signature
from shapezoo.contracts.checking import switch
from shapezoo.contracts.checking.introspection import function_signature
from shapezoo.contracts.checking.known_limits import forget_limits
from shapezoo.contracts.examples.arguments import example_arguments, free_axes, is_whole
from shapezoo.contracts.examples.variants import variants
from shapezoo.contracts.language.expressions import read_braces
from shapezoo.contracts.language.types import TensorType, tensors
from shapezoo.contracts.messages.describing import shown
from shapezoo.contracts.messages.explain import public_name
from shapezoo.proving.causes import own_files
from shapezoo.proving.findings import Sizes, SubjectError
from shapezoo.proving.model_code import code_of_model
from shapezoo.proving.replays import CallSpec
from shapezoo.registry import is_as_built, origin_of


@dataclass(frozen=True)
class Subject:
    """What a contract is proved of.

    Attributes:
        contract: Its contract; sizes that the module knows are numbers in it.
        source: The function that runs when it is called.
        make: Returns the module or function for sizes of the free arguments; always the same one
            if there are none.
        code: Returns Python code that builds it, as ``model``.
        call: The expression that is called after this code.
        free: Names for constructor arguments that stand for any size.
        label: Distinguishes a variant of the contract from the others; see `variants`.
        sampled: What the contract leaves open although only one choice is tried, such as the number
            of items in a list.
    """

    contract: Signature
    source: Callable[..., Any]
    make: Callable[[Mapping[str, Any]], Callable[..., Any]]
    code: Callable[[Sizes], str]
    call: str = "model"
    free: tuple[str, ...] = ()
    label: str = ""
    sampled: tuple[str, ...] = ()

    def variants(self) -> tuple[list["Subject"], bool]:
        """Return the subject once for each way to meet its contract, and whether these are all."""
        ways, is_complete = variants(self.contract)
        return [
            replace(self, contract=way.contract, label=way.label, sampled=way.sampled)
            for way in ways
        ], is_complete

    @property
    def axes(self) -> tuple[str, ...]:
        """Everything that may have any size: axes, and arguments of the constructor."""
        return tuple(dict.fromkeys([*free_axes(self.contract), *self.free]))

    @property
    def inputs(self) -> list[TensorType]:
        """The types of all tensors in the arguments."""
        return [tensor for a in self.contract.inputs for tensor in tensors(a.type)]

    @property
    def has_indices(self) -> bool:
        """Whether an argument holds integers."""
        return any(map(is_whole, self.inputs))

    @property
    def name(self) -> str:
        """Its dotted name."""
        return public_name(self.source)

    @property
    def model(self) -> Callable[..., Any] | None:
        """The module or function; None if it has to be built for each size."""
        return None if self.free else self.make({})

    @property
    def mode(self) -> Literal["eval", "train"]:
        """The mode of the module, or of the modules that a function names."""
        modules = [] if self.model is None else modules_of(self.model)
        return "train" if any(module.training for module in modules) else "eval"

    def arguments(
        self, model: Callable[..., Any], call: CallSpec, device: str = ""
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return example arguments for a call.

        Args:
            model: What is called, from `make`.
            call: How it is called.
            device: Where to put the tensors; by default, where the model is.

        Raises:
            NoArgumentsError: There are no arguments of these sizes.
        """
        try:
            braces: dict[str, Any] = {
                text: read_braces(text, {self.contract.owner: model})
                for text in self.contract.braces
            }
            return example_arguments(
                self.contract,
                {**call.sizes, **braces},
                device=device or device_of(model),
                dtype=floating_dtype(model),
                preferred=call.dtype,
                is_other=call.is_other,
                fill=call.fill,
                transposed=call.transposed,
            )
        except ContractError as error:
            raise NoArgumentsError(str(error)) from error

    def files(self, sizes: Mapping[str, Any]) -> frozenset[str]:
        """Return the files of its own code."""
        try:
            return own_files(self.make(sizes))
        except Exception:  # its constructor refuses these sizes
            return own_files(self.source)


def modules_of(model: Callable[..., Any]) -> Sequence[nn.Module]:
    """Return the modules that a call runs: the module itself, or those that a function names."""
    return [model] if isinstance(model, nn.Module) else code_of_model(model).modules


class NoArgumentsError(Exception):
    """A contract has no arguments of some sizes: an expression in it evaluates to less than 0."""


def subject_of(
    obj: nn.Module | type[nn.Module] | Callable[..., Any], init: Mapping[str, Any] | None
) -> Subject:
    """Return what to prove, given the arguments of `prove`.

    Raises:
        SubjectError: The object is not a module, a class of modules or a function, or init does
            not fit it.
        TypeError: A part of it cannot be inspected.
        ContractError: It has no contract.
        RuntimeError: Checks are switched off.
    """
    if switch.CHECKS == "off" or switch.off:
        raise RuntimeError("prove runs the checks of contracts, which are switched off")
    subject = _subject(obj, init)
    if not subject.contract.tensors:
        hint = "to prove a model, pass the model itself, not the function that builds it"
        raise ContractError(
            f"{subject.name}: its annotations name no shape that could be proved"
            + (f"\n  {hint}" if isinstance(obj, types.FunctionType) else "")
        )
    return subject


def _subject(obj: Any, init: Mapping[str, Any] | None) -> Subject:
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        return subject_of_class(obj, init or {})
    if init is not None:
        raise SubjectError(f"init is for a class of modules, got {shown(obj)}")
    if isinstance(obj, nn.Module):
        model = uncompiled(obj)
        require_plain(model)
        with contextlib.suppress(TypeError):  # each run restores the original in any case
            model = _copied(model)
        return _of_model(model, type(model).forward)
    if isinstance(obj, types.MethodType) and isinstance(obj.__self__, nn.Module):
        require_plain(obj.__self__)
        return _of_method(_copied(obj.__self__), obj.__func__)
    if isinstance(obj, types.FunctionType):
        return _of_function(obj)
    raise SubjectError(
        f"prove takes a module, a method of one, a class of modules or a function, got {shown(obj)}"
    )


def _copied(model: nn.Module) -> nn.Module:
    """Return a copy without known limits, which the model would ask about and name in errors."""
    model = copied(model)
    forget_limits(model)
    return model


def _of_method(model: nn.Module, method: Any) -> Subject:
    """Return a module as a subject, with one of its methods in place of forward."""
    imports, call = "", f"model.{method.__name__}"
    if not is_checked(method):
        imports = "from shapezoo import checked\n"
        call = f"checked(type(model).{method.__name__}).__get__(model)"
        method = checked(method)
    model.forward = method.__get__(model)
    return _of_model(model, method, imports, call)


def _of_function(function: types.FunctionType) -> Subject:
    code = f"# model: the function {function.__name__} that was proved"
    if function.__qualname__.isidentifier():  # neither local nor a method
        code = f"from {function.__module__} import {function.__name__} as model"
    model: Callable[..., Any] = function
    if not is_checked(function):
        model = checked(function)
        code = f"from shapezoo import checked\n{code}\nmodel = checked(model)"
    return Subject(signature(function), function, _always(model), _always(code))


def _of_model(
    model: nn.Module, method: Callable[..., Any], imports: str = "", call: str = "model"
) -> Subject:
    """Return a module as a subject, with the method that runs when it is called."""
    if any(parameter.is_meta for parameter in model.parameters()):
        model = model.to_empty(device="cpu")  # real kernels need memory, not values
    contract, code = signature(method.__get__(model)), imports + _code(model)
    return Subject(contract, method, _always(model), _always(code), call)


def _always(value: Any) -> Callable[[object], Any]:
    return lambda sizes: value


def _code(model: nn.Module) -> str:
    """Return Python code that builds a model, if a builder of the zoo built it."""
    origin = origin_of(model)
    if origin is None or not is_as_built(model):
        return f"# model: the {type(model).__name__} that was proved"
    keywords = "".join(f", {key}={value!r}" for key, value in origin.hyperparameters.items())
    mode = "train" if model.training else "eval"
    return (
        f"from shapezoo import create_model\n\n"
        f"model = create_model({origin.name!r}{keywords}).{mode}()"
    )


def subject_of_class(cls: type[nn.Module], init: Mapping[str, Any]) -> Subject:
    """Return a class of modules as a subject.

    Raises:
        SubjectError: init does not fit it.
    """
    parameters = inspect.signature(cls).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if not takes_any and (unknown := [name for name in init if name not in parameters]):
        takes = ", ".join(parameters) or "no arguments"
        raise SubjectError(f"{cls.__name__} has no argument {unknown[0]!r}; it takes {takes}")
    missing = {
        name: parameter.annotation
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in init
    }
    if not_ints := [name for name, annotation in missing.items() if annotation not in (int, "int")]:
        raise SubjectError(
            f"{cls.__name__} needs {not_ints[0]!r}, which is not an int and cannot stand for any "
            f"size; pass it: init={{{not_ints[0]!r}: ...}}"
        )
    contract = function_signature(cls.forward)
    axes = {axis.name for tensor in contract.tensors for axis in tensor.axes}
    unset = [*(name for name, value in init.items() if value is ...), *missing]
    free = {name: f"init_{name}" if name in axes else name for name in unset}
    fixed = {name: value for name, value in init.items() if value is not ...}

    def make(sizes: Mapping[str, Any]) -> nn.Module:
        model = cls(**fixed, **{name: sizes[axis] for name, axis in free.items()}).eval()
        require_plain(model)
        return model

    def code(sizes: Sizes) -> str:
        keywords = fixed | {name: sizes[axis] for name, axis in free.items()}
        arguments = ", ".join(f"{name}={value!r}" for name, value in keywords.items())
        if "<locals>" in cls.__qualname__:
            return f"# model: {cls.__name__}({arguments}).eval()"
        return (
            f"from {cls.__module__} import {cls.__qualname__.partition('.')[0]}\n\n"
            f"model = {cls.__qualname__}({arguments}).eval()"
        )

    if free:
        return Subject(contract, cls.forward, make, code, free=tuple(free.values()))
    model = make({})
    return Subject(signature(model), cls.forward, _always(model), code)


def empty_out(model: nn.Module, note: Callable[[Tensor, Tensor], None]) -> None:
    """Replace all tensors of a module by fake ones; `undisturbed` puts them back.

    Args:
        model: The module.
        note: Receives each fake tensor with the real one that it replaces.
    """
    replaced: dict[int, tuple[Tensor, Tensor]] = {}  # the same fake tensor for the same tensor

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in replaced:
            replaced[id(tensor)] = _fake_of(tensor, fakes), tensor
        return replaced[id(tensor)][0]

    with fake_tensor.unset_fake_temporarily() as fakes:
        for module in model.modules():
            # the dictionaries behind the attributes, as a module may define __setattr__ itself
            holders: tuple[Any, ...] = module._parameters, module._buffers, vars(module)
            for holder in holders:
                holder.update({k: fake(v) for k, v in holder.items() if isinstance(v, Tensor)})
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            # it also keeps its weights in a list, which there is no public way to refresh
            module._init_flat_weights()
    for pair in replaced.values():
        note(*pair)


def _fake_of(tensor: Tensor, fakes: Any) -> Tensor:
    """Return a fake tensor like another, ten times faster than `FakeTensorMode.from_tensor`.

    `_is_param` makes it an instance of `nn.Parameter`, which layers and users check for.
    """
    data = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    is_parameter = isinstance(tensor, nn.Parameter)
    return fake_tensor.FakeTensor(
        fakes,
        data,
        torch.device("cpu"),
        requires_grad=tensor.requires_grad and is_parameter,
        _is_param=is_parameter,
    )
