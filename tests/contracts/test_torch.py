"""Contracts under PyTorch's own tools: these work as usual, and a wrong call is still found."""

import contextlib
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
import torch.distributed
from beartype.vale import Is
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim, export
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from shapezoo import ContractError, Module, ShapeError, checked
from shapezoo.contracts.matching.proof_mode import while_proving

HAS_COMPILER = any(map(shutil.which, ("c++", "g++", "clang++", "cl")))
NEEDS_COMPILER = pytest.mark.skipif(not HAS_COMPILER, reason="inductor needs a C++ compiler")


class Block(Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.linear = nn.Linear(in_features, out_features)

    def forward(
        self, x: Float[Tensor, "batch seq {self.in_features}"]
    ) -> Float[Tensor, "batch seq {self.out_features}"]:
        y: Tensor = self.linear(x)
        return y.relu()


class Net(Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(4, 8), Block(8, 8), Block(8, 2))

    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 2"]:
        y: Tensor = self.blocks(x)
        return y


class Wrong(Net):
    """A net whose result breaks its contract."""

    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 3"]:
        return super().forward(x)


class PlainBlock(nn.Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return y.relu()


class PlainNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(PlainBlock(4, 8), PlainBlock(8, 8), PlainBlock(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(x)
        return y


GOOD, OTHER, BAD = torch.ones(2, 3, 4), torch.ones(5, 6, 4), torch.ones(2, 3, 5)
DYNAMIC: list[Any] = [
    None,
    {"x": {0: Dim("batch"), 1: Dim("seq")}},
    {"x": {0: Dim.AUTO, 1: Dim.AUTO}},
    {"x": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}},
]


@pytest.fixture
def nets() -> tuple[Net, PlainNet]:
    torch.compiler.reset()
    net, plain = Net(), PlainNet()
    plain.load_state_dict(net.state_dict())  # the keys are the same
    return net, plain


@contextlib.contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(ShapeError, match="breaks its contract"):
        yield


@pytest.mark.parametrize("shapes", DYNAMIC)
@pytest.mark.parametrize("strict", [pytest.param(True, marks=pytest.mark.slow), False])
def test_export(nets: tuple[Net, PlainNet], strict: bool, shapes: Any) -> None:
    net, plain = nets
    program = export(net, (GOOD,), dynamic_shapes=shapes, strict=strict)
    expected = export(plain, (GOOD,), dynamic_shapes=shapes, strict=strict)
    assert [node.target for node in program.graph.nodes] == [
        node.target for node in expected.graph.nodes
    ]
    ranges = [list(map(str, p.range_constraints.values())) for p in (program, expected)]
    assert ranges[0] == ranges[1]
    x = GOOD if shapes is None else OTHER
    assert torch.equal(program.module()(x), plain(x))
    with refused():
        export(net, (BAD,), dynamic_shapes=shapes, strict=strict)
    with refused():
        export(Wrong(), (GOOD,), dynamic_shapes=shapes, strict=strict)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.filterwarnings("ignore:.*deprecated")  # by inductor, of torch.jit
@NEEDS_COMPILER
def test_inductor(nets: tuple[Net, PlainNet], dynamic: bool | None) -> None:
    net, plain = nets
    compiled = torch.compile(net, fullgraph=True, dynamic=dynamic)
    for x in (GOOD, OTHER):
        torch.testing.assert_close(compiled(x), plain(x))
    with refused():
        compiled(BAD)
    with refused():
        torch.compile(nn.Sequential(nn.Identity(), Wrong()), fullgraph=True)(GOOD)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*deprecated")  # by inductor, of torch.jit
@NEEDS_COMPILER
def test_ahead_of_time_inductor(nets: tuple[Net, PlainNet], tmp_path: Path) -> None:
    net, plain = nets
    program = export(net, (GOOD,), dynamic_shapes=DYNAMIC[1])
    path = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "net.pt2"))
    loaded = torch._inductor.aoti_load_package(path)
    torch.testing.assert_close(loaded(OTHER), plain(OTHER))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_training_step_that_is_compiled(nets: tuple[Net, PlainNet], backend: str) -> None:
    def train(module: nn.Module) -> tuple[Callable[[Tensor], Tensor], list[float]]:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

        def step(x: Tensor) -> Tensor:
            loss: Any = module(x).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss  # type: ignore[no-any-return]  # backward has no types

        compiled = torch.compile(step, backend=backend)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dynamo's own, on the graph break at backward
            return compiled, [compiled(x).item() for x in (GOOD, OTHER, GOOD)]

    net, plain = nets
    step, losses = train(net)
    assert losses == train(plain)[1]
    with refused():
        step(BAD)


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_jit_trace(nets: tuple[Net, PlainNet]) -> None:
    net, plain = nets
    trace: Any = torch.jit.trace  # has no types
    traced, expected = trace(net, (GOOD,)), trace(plain, (GOOD,))
    kinds = [[n.kind() for n in t.inlined_graph.nodes()] for t in (traced, expected)]
    assert kinds[0] == kinds[1]
    assert torch.equal(traced(OTHER), plain(OTHER))
    with refused():
        trace(net, (BAD,))
    with refused():
        trace(Wrong(), (GOOD,))
    assert torch._C._get_tracing_state() is None
    with refused():
        net(BAD)


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_jit_script_says_what_to_use_instead() -> None:
    @checked
    def double(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return 2 * x

    for target in (Net(), nn.Sequential(Net()), double):
        with pytest.raises(ContractError, match=r"use torch\.compile, torch\.export\.export"):
            torch.jit.script(target)


def test_symbolic_trace_of_fx(nets: tuple[Net, PlainNet]) -> None:
    net, plain = nets
    graph, expected = torch.fx.symbolic_trace(net), torch.fx.symbolic_trace(plain)
    assert [node.target for node in graph.graph.nodes] == [
        node.target for node in expected.graph.nodes
    ]
    assert torch.equal(graph(OTHER), plain(OTHER))
    with refused():
        net(BAD)


class Halves(Module):
    """Calls a function with a size that torch.fx does not know."""

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        return repeated(x[:, ::2], x.shape[1] // 2)


@checked
def repeated(
    x: Float[Tensor, "batch features={size}"], size: int
) -> Float[Tensor, "batch features=2*{size}"]:
    return x.unsqueeze(2).expand(-1, size, 2).flatten(1)


def test_symbolic_trace_of_a_size_in_braces() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert torch.fx.symbolic_trace(Halves())(x).tolist() == [[1.0, 1.0, 3.0, 3.0]]
    with pytest.raises(ShapeError, match="expected features = 3, got 2"):
        repeated(x[:, ::2], 3)


def test_functional_call_and_the_transforms_of_torch_func(nets: tuple[Net, PlainNet]) -> None:
    net, plain = nets
    parameters: dict[str, Tensor] = dict(net.named_parameters())

    def loss(module: nn.Module, x: Tensor) -> Callable[[dict[str, Tensor]], Tensor]:
        def of(parameters: dict[str, Tensor]) -> Tensor:
            result: Tensor = torch.func.functional_call(module, parameters, (x,)).sum()
            return result

        return of

    gradients = torch.func.grad(loss(net, GOOD))(parameters)
    for name, gradient in torch.func.grad(loss(plain, GOOD))(parameters).items():
        assert torch.equal(gradients[name], gradient)
    with refused():
        torch.func.grad(loss(net, BAD))(parameters)
    many = torch.ones(7, 2, 3, 4)
    torch.testing.assert_close(torch.func.vmap(net)(many), torch.func.vmap(plain)(many))
    with refused():
        torch.func.vmap(net)(GOOD)
    assert torch.func.jacrev(net)(GOOD).shape == (2, 3, 2, 2, 3, 4)


def test_autocast(nets: tuple[Net, PlainNet]) -> None:
    net, plain = nets
    with torch.autocast("cpu", torch.bfloat16):
        assert net(GOOD).dtype is torch.bfloat16
        assert torch.equal(net(GOOD), plain(GOOD))
        with refused():
            net(BAD)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(nets: tuple[Net, PlainNet], reentrant: bool) -> None:
    gradients = []
    for module in nets:
        x = GOOD.clone().requires_grad_()
        checkpoint(module, x, use_reentrant=reentrant).sum().backward()
        assert x.grad is not None
        gradients.append(x.grad)
    assert torch.equal(*gradients)
    with refused():
        checkpoint(nets[0], BAD.clone().requires_grad_(), use_reentrant=reentrant)


def test_distributed_data_parallel(nets: tuple[Net, PlainNet], tmp_path: Path) -> None:
    net, plain = nets
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        parallel = DistributedDataParallel(net)
        assert torch.equal(parallel(GOOD), plain(GOOD))
        parallel(GOOD).sum().backward()
        with pytest.raises(ShapeError) as error:
            parallel(BAD)
        assert "  module" not in str(error.value)  # the wrapper around the model does not count
    finally:
        torch.distributed.destroy_process_group()


def test_meta_tensors() -> None:
    with torch.device("meta"):
        net = Net()
    assert net(GOOD.to("meta")).shape == (2, 3, 2)
    with refused():
        net(BAD.to("meta"))


def test_fake_tensors_with_symbolic_sizes(nets: tuple[Net, PlainNet]) -> None:
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    good, bad = (mode.from_tensor(torch.ones(7, 9, n), static_shapes=False) for n in (4, 5))
    with mode:
        result = nets[0](good)
        assert isinstance(result.shape[0], torch.SymInt)
        with pytest.raises(ShapeError, match=r"got       Tensor float32 \(7, 9, 5\)"):
            nets[0](bad)


def test_what_cannot_be_decided_passes_unless_it_is_to_be_proved() -> None:
    @checked
    def pairs(x: Int64[Tensor, "3 1"]) -> None: ...
    @checked
    def positive(x: Annotated[Tensor, Is[lambda x: bool((x > 0).all())]]) -> None: ...

    with FakeTensorMode(shape_env=ShapeEnv()):
        found = torch.ones(4).nonzero()  # how many only the data decide
        for function in (pairs, positive):
            function(found)
            with while_proving(), pytest.raises(GuardOnDataDependentSymNode):
                function(found)
            function(found)
        with pytest.raises(ShapeError, match="got 2"):
            pairs(torch.ones(4, 4).nonzero())


def test_threads() -> None:
    net = Net()
    wrong: list[object] = []

    def work(batch: int) -> None:
        for seq in range(1, 40):
            try:
                if net(torch.ones(batch, seq, 4)).shape != (batch, seq, 2):
                    wrong.append((batch, seq))
                net(torch.ones(batch, seq, 5))
                wrong.append("not refused")
            except ShapeError as error:
                if f"got       Tensor float32 ({batch}, {seq}, 5)" not in str(error):
                    wrong.append(error)

    threads = [threading.Thread(target=work, args=(batch,)) for batch in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_hooks_see_and_change_what_is_checked() -> None:
    net = Net()
    seen: list[tuple[int, ...]] = []
    net.blocks[0].register_forward_hook(lambda module, args, out: seen.append(tuple(out.shape)))
    net(GOOD)
    assert seen == [(2, 3, 8)]
    net.blocks[1].register_forward_pre_hook(lambda module, args: (args[0][..., :7],))
    with pytest.raises(ShapeError, match=r"module    blocks\.1 of Net"):
        net(GOOD)
