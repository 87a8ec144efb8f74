"""What a contract is proved of: a module, a function, or a class with sizes of its own."""

import contextlib
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import fake_tensor

from shapezoo._modules import as_written, copied, floating_dtype, require_plain
from shapezoo.contracts import ContractError, Signature, checked, is_checked, signature
from shapezoo.contracts.checking import switch
from shapezoo.contracts.checking.introspection import function_signature
from shapezoo.contracts.examples.arguments import example_arguments
from shapezoo.contracts.language.expressions import read_braces
from shapezoo.contracts.messages.describing import shown
from shapezoo.contracts.messages.explain import public_name
from shapezoo.proving.causes import own_files
from shapezoo.proving.findings import Sizes, SubjectError
from shapezoo.proving.model_code import code_of_model
from shapezoo.registry import is_as_built, origin_of


@dataclass(frozen=True)
class Subject:
    """What a contract is proved of.

    Attributes:
        name: Its dotted name.
        contract: Its contract, with what it knows in numbers.
        free: Names for arguments of the constructor that stand for any size.
        is_training: Whether it is in training mode.
        make: Gives the module or function for sizes of the free arguments; without such,
            always the same.
        source: The function that runs when it is called.
        code: Gives the lines of Python that make it, as ``model``.
        call: Names what is called after those lines.
    """

    name: str
    contract: Signature
    free: tuple[str, ...]
    is_training: bool
    make: Callable[[Mapping[str, Any]], Callable[..., Any]]
    source: Callable[..., Any]
    code: Callable[[Sizes], str]
    call: str = "model"

    def arguments(
        self, made: Callable[..., Any], contract: Signature, sizes: Mapping[str, Any], **how: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        """Arguments for a module or function that was made, as `example_arguments`.

        Raises:
            NoArgumentsError: There are none of these sizes.
        """
        try:
            known: dict[str, Any] = {
                braces: read_braces(braces, {contract.owner: made}) for braces in contract.braces
            }
            dtype = floating_dtype(made)
            return example_arguments(contract, dict(sizes) | known, dtype=dtype, **how)
        except ContractError as error:
            raise NoArgumentsError(str(error)) from error

    def files(self, sizes: Mapping[str, Any]) -> frozenset[str]:
        """The files of its own code."""
        try:
            return own_files(self.make(sizes))
        except Exception:  # its constructor refuses these sizes
            return own_files(self.source)


def modules_of(made: Callable[..., Any]) -> Sequence[nn.Module]:
    """The modules that a call runs: the module itself, or those that a function names."""
    return [made] if isinstance(made, nn.Module) else code_of_model(made).modules


class NoArgumentsError(Exception):
    """A contract has no arguments of some sizes: an expression in it gives less than zero."""


def subject_of(
    obj: nn.Module | type[nn.Module] | Callable[..., Any], init: Mapping[str, Any] | None
) -> Subject:
    """What is to be proved, from what `prove` was given.

    Raises:
        SubjectError: It is neither a module, nor a class of modules, nor a function, or init does
            not fit it.
        TypeError: It has a part that cannot be looked into.
        ContractError: It has no contract.
        RuntimeError: Checks are switched off.
    """
    if switch.CHECKS == "off" or switch.off:
        raise RuntimeError("prove runs the checks of contracts, which are switched off")
    subject = _subject(obj, init)
    if not subject.contract.tensors:
        raise ContractError(
            f"{subject.name}: its annotations name no shape that could be proved\n"
            f"  a function that builds a model has to be called first"
        )
    return subject


def _subject(
    obj: nn.Module | type[nn.Module] | Callable[..., Any], init: Mapping[str, Any] | None
) -> Subject:
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        return subject_of_class(obj, init or {})
    if init is not None:
        raise SubjectError(f"init is for a class of modules, got {shown(obj)}")
    if isinstance(obj, nn.Module):
        require_plain(as_written(obj))
        model = as_written(obj)
        with contextlib.suppress(TypeError):  # it is put back afterwards in any case
            model = copied(model)
        return _of_model(model, type(model).forward)
    if isinstance(obj, types.MethodType) and isinstance(obj.__self__, nn.Module):
        require_plain(obj.__self__)
        model, method = copied(obj.__self__), obj.__func__
        needs, call = "", f"model.{obj.__name__}"
        if not is_checked(method):
            method = checked(method)
            needs = "from shapezoo import checked\n"
            call = f"checked(type(model).{obj.__name__}).__get__(model)"
        model.forward = method.__get__(model)  # is what runs when the copy is called
        return _of_model(model, method, needs, call)
    if isinstance(obj, types.FunctionType):
        function = obj if is_checked(obj) else checked(obj)
        code = f"# model: the function {obj.__name__} of which this was found"
        if obj.__qualname__.isidentifier():  # neither local nor a method
            code = f"from {obj.__module__} import {obj.__name__} as model"
        if function is not obj:
            code = f"from shapezoo import checked\n{code}\nmodel = checked(model)"
        name, is_training = public_name(obj), any(m.training for m in modules_of(obj))
        contract = signature(obj)
        return Subject(name, contract, (), is_training, lambda _: function, obj, lambda _: code)
    raise SubjectError(
        f"prove takes a module, a method of one, a class of modules or a function, got {shown(obj)}"
    )


def _of_model(
    model: nn.Module, method: Callable[..., Any], needs: str = "", call: str = "model"
) -> Subject:
    """A module as a subject, with the method that runs when it is called."""
    if any(parameter.is_meta for parameter in model.parameters()):
        model = model.to_empty(device="cpu")  # for real kernels
    name, contract = public_name(method), signature(method.__get__(model))
    code = needs + _code(model)
    return Subject(
        name, contract, (), model.training, lambda _: model, method, lambda _: code, call
    )


def _code(model: nn.Module) -> str:
    """Lines of Python that make a model, if a builder of the zoo has made it."""
    origin = origin_of(model)
    if origin is None or not is_as_built(model):
        return f"# model: the {type(model).__name__} of which this was found"
    keywords = "".join(f", {key}={value!r}" for key, value in origin.hyperparameters.items())
    mode = "train" if model.training else "eval"
    return (
        f"from shapezoo import create_model\n\n"
        f"model = create_model({origin.name!r}{keywords}).{mode}()"
    )


def subject_of_class(cls: type[nn.Module], init: Mapping[str, Any]) -> Subject:
    """A class of modules as a subject.

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
    if unsized := [name for name, kind in missing.items() if kind not in (int, "int")]:
        raise SubjectError(
            f"{cls.__name__} needs {unsized[0]!r}, which is no int that could stand for any "
            f"size; give it: init={{{unsized[0]!r}: ...}}"
        )
    contract = function_signature(cls.forward)
    axes = {axis.name for tensor in contract.tensors for axis in tensor.axes}
    unset = [*(name for name, value in init.items() if value is ...), *missing]
    free = {name: f"init_{name}" if name in axes else name for name in unset}
    fixed = {name: value for name, value in init.items() if value is not ...}

    def make(sizes: Mapping[str, Any]) -> nn.Module:
        sized = {name: sizes[axis] for name, axis in free.items()}
        model = cls(**fixed, **sized).eval()
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

    name = public_name(cls.forward)
    if free:
        return Subject(name, contract, tuple(free.values()), False, make, cls.forward, code)
    model = make({})
    return Subject(name, signature(model), (), False, lambda _: model, cls.forward, code)


def empty_out(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Put fake tensors in the place of all that a module holds; `undisturbed` puts them back.

    Returns:
        The fake tensors, each with the one whose place it has.
    """
    known: dict[int, tuple[Tensor, Tensor]] = {}  # the same one for the same tensor

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in known:
            known[id(tensor)] = _fake_of(tensor, fakes), tensor
        return known[id(tensor)][0]

    with fake_tensor.unset_fake_temporarily() as fakes:
        for module in model.modules():
            holders: tuple[Any, ...] = module._parameters, module._buffers, vars(module)
            for holder in holders:
                holder.update({k: fake(v) for k, v in holder.items() if isinstance(v, Tensor)})
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module._init_flat_weights()  # it keeps a list of its weights
    return list(known.values())


def _fake_of(tensor: Tensor, fakes: Any) -> Tensor:
    """A fake tensor like another; made by hand, which is ten times faster than by a kernel."""
    size, stride, dtype = tensor.shape, tensor.stride(), tensor.dtype
    data = torch.empty_strided(size, stride, dtype=dtype, device="meta")
    is_parameter = isinstance(tensor, nn.Parameter)
    return fake_tensor.FakeTensor(
        fakes,
        data,
        torch.device("cpu"),
        requires_grad=tensor.requires_grad and is_parameter,
        _is_param=is_parameter,
    )
