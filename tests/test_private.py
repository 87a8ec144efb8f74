"""Private parts of torch, jaxtyping and sympy behave as shapezoo needs; a change fails here first.

The table in docs/internals/private-names.md says what each is needed for. What the prover needs of
symbolic sizes is in tests/proving/test_internals.py, what contracts need of Dynamo in
tests/contracts/test_dynamo.py.
"""

import inspect
from typing import Any

import pytest
import sympy
import torch
from jaxtyping import Float, _storage
from torch import Tensor, nn
from torch._C._dynamo import eval_frame
from torch._ops import OpOverload
from torch.fx.experimental.symbolic_shapes import _constrain_range_for_size
from torch.utils import _python_dispatch as dispatch
from torch.utils._sympy import functions, printers

storage: Any = _storage  # without types
trace: Any = torch.jit.trace  # without types
aten: Any = torch.ops.aten
functions_of_torch: Any = torch._C._VariableFunctions  # not in torch's stubs


def test_jaxtyping_checks_in_the_innermost_frame() -> None:
    annotation: Any = Float[Tensor, "batch 3"]
    storage.push_shape_memo({})
    try:
        assert isinstance(torch.zeros(2, 3), annotation)
        sizes, shapes, structures, _ = storage.get_shape_memo()
        assert (sizes, shapes, structures) == ({"batch": 2}, {}, {})
        assert not isinstance(torch.zeros(5, 3), annotation)
        storage.set_shape_memo({"batch": 5}, {}, {}, {})
        assert isinstance(torch.zeros(5, 3), annotation)
    finally:
        storage.pop_shape_memo()


def test_dynamo_skips_code_that_is_marked() -> None:
    calls = []

    def helper(x: Tensor) -> Tensor:
        calls.append(torch.compiler.is_compiling())
        return x + 1

    skip = eval_frame._FrameAction.SKIP
    eval_frame.set_code_exec_strategy(helper.__code__, eval_frame._FrameExecStrategy(skip, skip))
    compiled = torch.compile(helper, backend="eager")
    assert compiled(torch.zeros(2)).tolist() == [1, 1]
    assert calls == [False]


def test_a_module_is_called_through_two_functions() -> None:
    seen = []

    class Layer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            frame = inspect.currentframe()
            while frame is not None:
                seen.append(frame.f_code)
                frame = frame.f_back
            return x

    Layer()(torch.zeros(1))
    assert nn.Module._call_impl.__code__ in seen
    assert nn.Module._wrapped_call_impl.__code__ in seen


def test_a_module_keeps_its_parts_in_dictionaries() -> None:
    layer = nn.BatchNorm1d(2)
    model = nn.Sequential(layer)
    assert model._modules == {"0": layer}
    assert set(layer._parameters) == {"weight", "bias"}
    assert set(layer._buffers) == {"running_mean", "running_var", "num_batches_tracked"}


def test_kinds_of_layers_have_a_base_class() -> None:
    assert issubclass(nn.Conv2d, nn.modules.conv._ConvNd)
    assert issubclass(nn.ConvTranspose1d, nn.modules.conv._ConvNd)
    assert issubclass(nn.BatchNorm2d, nn.modules.batchnorm._NormBase)
    assert issubclass(nn.InstanceNorm2d, nn.modules.batchnorm._NormBase)


def test_attention_says_whether_queries_keys_and_values_are_as_wide() -> None:
    assert nn.MultiheadAttention(4, 2)._qkv_same_embed_dim
    assert not nn.MultiheadAttention(4, 2, kdim=3)._qkv_same_embed_dim


def test_writes_to_a_tensor_are_counted() -> None:
    x = torch.zeros(2)
    before = x._version
    x.add_(1)
    assert x._version == before + 1


def test_views_are_aliases() -> None:
    x = torch.zeros(4)
    is_alias: Any = torch._C._is_alias_of  # type: ignore[attr-defined]  # not in torch's stubs
    assert is_alias(x, x[1:])
    assert not is_alias(x, x.clone())


def test_a_schema_tells_views_from_copies_and_writes() -> None:
    assert isinstance(aten.view.default, OpOverload)
    assert aten.view.default._schema.returns[0].alias_info is not None
    assert aten.clone.default._schema.returns[0].alias_info is None
    assert aten.add_.Tensor._schema.is_mutable
    assert [part.name for part in aten.add.Tensor._schema.arguments] == ["self", "other", "alpha"]


def test_a_dispatch_mode_sees_kernels_and_can_be_left() -> None:
    names = []

    class Names(dispatch.TorchDispatchMode):  # type: ignore[no-untyped-call]  # no types
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            names.append(func._schema.name)
            return func(*args, **(kwargs or {}))

    with Names():  # type: ignore[no-untyped-call]  # no types
        torch.zeros(2) + 1
        with dispatch._disable_current_modes():
            torch.zeros(2).exp()
    assert names == ["aten::zeros", "aten::add"]


def test_tracing_of_torch_jit_has_a_state() -> None:
    states = []

    def noted(x: Tensor) -> Tensor:
        states.append(torch._C._get_tracing_state())
        return x + 1

    noted(torch.zeros(2))
    with pytest.warns(FutureWarning, match=r"torch\.jit\.trace"):
        trace(noted, torch.zeros(2), check_trace=False)
    assert states[0] is None
    assert states[1] is not None


def test_functions_that_python_cannot_import_have_their_names() -> None:
    assert functions_of_torch.einsum is not None
    assert callable(torch._C._nn.upsample_nearest2d)
    assert callable(torch._C._nn._upsample_nearest_exact2d)
    assert callable(torch._pack_padded_sequence)
    assert callable(torch._pad_packed_sequence)
    assert callable(nn.modules.transformer._detect_is_causal_mask)
    assert callable(_constrain_range_for_size)
    assert aten._cudnn_rnn is not None
    assert aten._scaled_dot_product_flash_attention_for_cpu is not None


def test_expressions_of_sizes_divide_as_python_does() -> None:
    size = sympy.Symbol("size", integer=True)
    for division in (functions.FloorDiv, functions.CleanDiv):
        assert division(size, 2).subs(size, 8) == 4
    assert functions.PythonMod(size, 3).subs(size, -1) == 2
    assert functions.Mod(size, 3).subs(size, 8) == 2
    text = printers.PythonPrinter().doprint(functions.FloorDiv(size, 2))
    assert eval(text, {"size": -7}) == -4


def test_sympy_decides_in_a_handler_whether_a_product_is_whole() -> None:
    s, t = sympy.symbols("s t", integer=True)
    assert sympy.Mul._prop_handler["integer"](s * t)
