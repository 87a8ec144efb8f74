import copy
import functools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shapezoo.data import TableBatch, TableDataset, TensorBatch
from shapezoo.train import (
    ALONE,
    Event,
    Processes,
    State,
    evaluate,
    fit,
    init,
    joined,
    train_step,
)

T = TypeVar("T")

MAKE_OPTIMIZER = functools.partial(torch.optim.SGD, lr=0.1)
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
ACCELERATE = [
    "accelerate.commands.launch",
    *("--multi_gpu", "--num_processes=2", "--num_machines=1", "--main_process_port=0"),
    *("--mixed_precision=no", "--dynamo_backend=no"),
]


def together(size: int, run: Callable[[Processes], T]) -> list[T]:
    """Return the results of several threads that simulate processes."""
    barrier, given = threading.Barrier(size, timeout=60), dict[int, Tensor]()

    def started(rank: int) -> T:
        def total(tensor: Tensor) -> Tensor:
            given[rank] = tensor
            barrier.wait()
            whole = torch.stack([given[other] for other in range(size)]).sum(0)
            barrier.wait()
            return whole

        try:
            return run(Processes(rank, size, total))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(started, range(size)))


def table(count: int) -> TableDataset:
    generator = torch.Generator().manual_seed(count)
    return TableDataset(
        torch.randn(count, 4, generator=generator, dtype=torch.float64),
        torch.randint(3, (count,), generator=generator),
        mean=torch.zeros(4),
        deviation=torch.ones(4),
        columns=("a", "b", "c", "d"),
        classes=("x", "y", "z"),
    )


def classifier() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def share(batch: TableBatch, processes: Processes, sizes: list[int]) -> TableBatch:
    """The rows of this process, where each has so many."""
    rows = torch.split(torch.arange(sum(sizes)), sizes)[processes.rank]
    return TableBatch(batch.features[rows], batch.targets[rows])


def test_sums_keep_shapes_and_dtypes() -> None:
    tensors = [torch.ones(2, 3), torch.tensor(2), torch.zeros(0), torch.full((4,), 3.0)]
    for sums in together(3, lambda processes: processes.totals(tensors)):
        for tensor, whole in zip(tensors, sums, strict=True):
            assert whole.dtype == tensor.dtype
            assert torch.equal(whole, 3 * tensor)
    device = torch.device("cpu")
    assert together(3, lambda p: p.numbers(p.rank, 0.5, device=device)) == [[3, 1.5]] * 3
    assert ALONE.numbers(1, 0.5, device=device) == [1, 0.5]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_any_number_of_processes_reaches_what_one_reaches(size: int) -> None:
    """The batches are of 3, 3 and 1 examples: some processes get none."""

    def run(processes: Processes) -> tuple[State, list[float]]:
        losses = list[float]()

        def observe(event: Event) -> None:
            losses.append(event.loss)

        state = fit(
            copy.deepcopy(origin),
            MAKE_OPTIMIZER,
            start,
            table(7),
            table(4),
            epochs=2,
            batch_size=3,
            observers=[observe],
            processes=processes,
        )
        return state, losses

    origin = classifier()
    start = init(origin, MAKE_OPTIMIZER)
    one, expected = run(ALONE)
    for state, losses in together(size, run):
        assert losses == pytest.approx(expected, abs=1e-12, rel=0)
        for name, value in state.parameters.items():
            assert torch.allclose(value, one.parameters[name], atol=1e-12, rtol=0)


def test_evaluation_over_shares_equals_one_process() -> None:
    model, batch = classifier(), table(7).select(torch.arange(7))
    state = init(model, MAKE_OPTIMIZER)
    one = evaluate(model, state, [batch])
    for metrics in together(
        3,
        lambda processes: evaluate(
            copy.deepcopy(model), state, [share(batch, processes, [4, 3, 0])], processes=processes
        ),
    ):
        assert metrics.loss == pytest.approx(one.loss, abs=1e-12, rel=0)
        assert (metrics.accuracy, metrics.examples) == (one.accuracy, 7)


def test_a_batch_without_examples_raises_in_every_process() -> None:
    def run(processes: Processes) -> None:
        model = classifier()
        nothing = table(0).select(torch.arange(0))
        with pytest.raises(ValueError, match="no examples to learn from"):
            train_step(model, MAKE_OPTIMIZER, state, nothing, processes=processes)

    state = init(classifier(), MAKE_OPTIMIZER)
    together(2, run)


class Normalised(nn.Module):
    """BatchNorm, and buffers that never change."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 3)
        self.register_buffer("mask", torch.tensor([0.1, -torch.inf, torch.inf]))
        self.register_buffer("seen", torch.tensor([True, False]))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(x))
        return logits


def test_batch_norm_takes_its_own_share_and_the_mean_of_the_statistics() -> None:
    sizes, batch = [4, 2, 0], table(6).select(torch.arange(6))
    origin = Normalised().double()
    start = init(origin, MAKE_OPTIMIZER)

    def run(processes: Processes) -> tuple[State, float]:
        model = copy.deepcopy(origin)
        mine = share(batch, processes, sizes)
        state, loss = train_step(model, MAKE_OPTIMIZER, start, mine, processes=processes)
        return train_step(model, MAKE_OPTIMIZER, state, mine, processes=processes)[0], loss

    shares = torch.split(batch.features, sizes)[:2]
    mean, variance = torch.zeros(4).double(), torch.ones(4).double()
    for _ in range(2):
        mean = 0.9 * mean + 0.1 * (4 * shares[0].mean(0) + 2 * shares[1].mean(0)) / 6
        variance = 0.9 * variance + 0.1 * (4 * shares[0].var(0) + 2 * shares[1].var(0)) / 6
    logits = torch.cat([copy.deepcopy(origin).train()(part) for part in shares])
    expected = functional.cross_entropy(logits, batch.targets).item()
    for state, loss in together(3, run):
        assert loss == pytest.approx(expected, abs=1e-12, rel=0)
        assert torch.allclose(state.buffers["norm.running_mean"], mean, atol=1e-12, rtol=0)
        assert torch.allclose(state.buffers["norm.running_var"], variance, atol=1e-12, rtol=0)
        steps = state.buffers["norm.num_batches_tracked"]
        assert (steps.item(), steps.dtype) == (2, torch.int64)
        for name in ("mask", "seen"):
            assert torch.equal(state.buffers[name], start.buffers[name])


def test_without_torchrun_a_process_is_alone() -> None:
    with joined() as processes:
        assert processes is ALONE


def launched(launcher: list[str], tasks: str, folder: Path) -> subprocess.CompletedProcess[str]:
    worker = Path(__file__).with_name("worker.py")
    return subprocess.run(
        [sys.executable, "-m", *launcher, str(worker), tasks, str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def done(launcher: list[str], tasks: str, folder: Path) -> tuple[Any, Any]:
    """The results of both processes for each task."""
    ended = launched(launcher, tasks, folder)
    assert ended.returncode == 0, ended.stderr
    first, second = (json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))
    return first, second


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return done(TORCHRUN, "equal,random,stopped", tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return done(TORCHRUN, "parts,refused,mixed", tmp_path_factory.mktemp("parts"))


def require_equal(found: tuple[Any, Any]) -> None:
    """The losses of one process, and the same state in both."""
    assert found[0] == found[1]
    for name, case in found[0].items():
        single = "float32" in name
        assert case["losses"] < (1e-5 if single else 1e-12), name
        assert case["parameters"] < (1e-3 if single else 1e-12), name
        assert case["moved"] == [6, 14], name  # steps, and numbers compared


@pytest.mark.slow
def test_two_processes_reach_what_one_reaches(plain: tuple[Any, Any]) -> None:
    require_equal((plain[0]["equal"], plain[1]["equal"]))


@pytest.mark.slow
def test_masks_differ_and_states_do_not(plain: tuple[Any, Any]) -> None:
    first, second = plain[0]["random"], plain[1]["random"]
    assert all(a != b for a, b in zip(first.pop("masks"), second.pop("masks"), strict=True))
    assert first == second
    assert first["steps"] == 6


@pytest.mark.slow
def test_a_stop_in_one_process_stops_both_and_a_file_resumes_them(plain: tuple[Any, Any]) -> None:
    first, second = plain[0]["stopped"], plain[1]["stopped"]
    assert first == second
    assert first["step"] == 4
    assert first["resumed"] == first["whole"]
    assert first["alone"] == first["alone from memory"]


@pytest.mark.slow
def test_models_in_parts_reach_what_one_process_reaches(parts: tuple[Any, Any]) -> None:
    require_equal((parts[0]["parts"], parts[1]["parts"]))
    assert all(abs(case["installed"]) < 1e-12 for case in parts[0]["parts"].values())


@pytest.mark.slow
def test_dropout_and_batch_norm_in_parts_are_as_in_one_piece(parts: tuple[Any, Any]) -> None:
    assert parts[0]["mixed"] == parts[1]["mixed"]
    assert len(set(parts[0]["mixed"].values())) == 1


@pytest.mark.slow
def test_what_sharded_models_cannot_do_raises(parts: tuple[Any, Any]) -> None:
    messages = parts[0]["refused"]
    assert messages == parts[1]["refused"]
    assert "LBFGS cannot train parameters that are sharded" in messages["lbfgs"]
    assert "Rprop cannot train parameters that are sharded" in messages["rprop"]
    assert "a DTensor cannot be stored in a checkpoint" in messages["checkpoint"]


@pytest.mark.slow
def test_accelerate_reaches_what_one_process_reaches(tmp_path: Path) -> None:
    first, second = done(ACCELERATE, "equal", tmp_path)
    require_equal((first["equal"], second["equal"]))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["dies", "hangs"])
def test_a_process_that_is_lost_ends_the_run(task: str, tmp_path: Path) -> None:
    ended = launched(TORCHRUN, task, tmp_path)
    assert ended.returncode != 0
    assert "ChildFailedError" in ended.stderr
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.slow
def test_processes_started_anew_end_where_the_undisturbed_end(tmp_path: Path) -> None:
    found = done([*TORCHRUN, "--max-restarts=1"], "killed", tmp_path)
    first, second = (each["killed"] for each in found)
    assert first == second
    assert 1 <= first["started"] <= 4
    assert first["resumed"] == first["whole"]


class Minimum(nn.Module):
    """Keeps the smallest input that it has seen."""

    low: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3, dtype=torch.float64)
        self.register_buffer("low", torch.tensor(torch.inf, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        self.low = torch.minimum(self.low, rows.min())
        logits: Tensor = self.head(rows)
        return logits


@pytest.mark.parametrize("sizes", [[4, 3], [7, 0]])
def test_a_buffer_may_begin_at_infinity(sizes: list[int]) -> None:
    batch = table(7).select(torch.arange(7))
    models = [Minimum(), Minimum()]
    models[1].load_state_dict(models[0].state_dict())
    start = init(models[0], MAKE_OPTIMIZER)

    def run(processes: Processes) -> State:
        part = share(batch, processes, sizes)
        model = models[processes.rank]
        return train_step(model, MAKE_OPTIMIZER, start, part, processes=processes)[0]

    lows = [rows.min().item() for rows in torch.split(batch.features, sizes) if len(rows)]
    weights = [size / 7 for size in sizes if size]
    expected = sum(low * weight for low, weight in zip(lows, weights, strict=True))
    for state in together(2, run):
        assert state.buffers["low"].item() == pytest.approx(expected, rel=1e-12)


def test_sparse_gradients_add_up() -> None:
    tokens, labels = torch.arange(6).view(6, 1), torch.arange(6) % 3
    torch.manual_seed(1)
    origin = nn.Sequential(nn.Embedding(9, 3, sparse=True), nn.Flatten()).double()
    start = init(origin, MAKE_OPTIMIZER)
    batch = TensorBatch((tokens,), labels)
    whole, _ = train_step(copy.deepcopy(origin), MAKE_OPTIMIZER, start, batch)

    def run(processes: Processes) -> State:
        rows = slice(processes.rank, None, 2)
        part = TensorBatch((tokens[rows],), labels[rows])
        model = copy.deepcopy(origin)
        return train_step(model, MAKE_OPTIMIZER, start, part, processes=processes)[0]

    for state in together(2, run):
        torch.testing.assert_close(
            state.parameters["0.weight"], whole.parameters["0.weight"], rtol=1e-12, atol=1e-12
        )
