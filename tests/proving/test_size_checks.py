"""What kernels refuse: the same sizes on symbols as on real kernels, one call after the other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, arange
from torch.nn import functional

from shapezoo import ProvedInPart, prove
from shapezoo.proving.formulas.solving import sound_sympy
from shapezoo.proving.paths.symbolic_run import run_symbolically
from shapezoo.proving.rules.kernels import size_checks
from shapezoo.proving.rules.shape_rules import rule_table
from shapezoo.proving.subjects import subject_of

GRID = [(1, 1), (1, 3), (2, 3), (3, 2), (4, 4)]
"""Numbers of rows and columns that are tried."""


def zeros(*shape: Any) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64)


CALLS: dict[str, Callable[[Tensor], Any]] = {
    "topk": lambda x: x.topk(3, 1)[0],
    "kthvalue": lambda x: x.kthvalue(3, 1)[0],
    "unfold": lambda x: x.unfold(1, 3, 1),
    "narrow": lambda x: x.narrow(1, 2, 1),
    "narrow from a size": lambda x: x.narrow(0, x.shape[0] - 2, 2),
    "select": lambda x: x.select(1, 2),
    "select at a size": lambda x: x[x.shape[1] - 2],
    "chunk": lambda x: x.chunk(4, 1)[2],
    "split with sizes": lambda x: torch.split(x, [1, 2], 1)[0],
    "diagonal": lambda x: x.diagonal(2),
    "reflect": lambda x: functional.pad(x[None], (2, 0), mode="reflect"),
    "multinomial": lambda x: torch.multinomial(x + 1, 3),
    "multinomial with replacement": lambda x: torch.multinomial(x + 1, 3, True),
    "pixel_shuffle": lambda x: functional.pixel_shuffle(x.reshape(1, -1, 1, 1), 2),
    "pixel_unshuffle": lambda x: functional.pixel_unshuffle(x[None, None], 2),
    "fold": lambda x: functional.fold(x[None], (4, 4), (2, 2)),
    "cross": lambda x: torch.linalg.cross(x, x),
    "searchsorted": lambda x: torch.searchsorted(x, x[:1]),
    "cdist": lambda x: torch.cdist(x, x.new_zeros(2, 3)),
    "one_hot": lambda x: functional.one_hot(arange(x.shape[1]), x.shape[0]),
    "gather": lambda x: x.gather(1, zeros(3, 2)),
    "scatter": lambda x: x.scatter(1, zeros(2, 2), x),
    "scatter in more rows": lambda x: x.scatter(1, zeros(3, 2), 1.0),
    "scatter_add": lambda x: x.scatter_add(0, arange(2)[:, None].expand(2, 1), x.new_ones(2, 3)),
    "index_add": lambda x: x.index_add(1, arange(2), x.new_ones(2, 2)),
    "index_add of itself": lambda x: x.index_add(0, arange(2), x),
    "index_reduce": lambda x: x.index_reduce(1, arange(2), x.new_ones(2, 2), "mean"),
    "index_copy": lambda x: x.index_copy(1, arange(2), x.new_ones(2, 2)),
    "index_fill": lambda x: x.index_fill(1, arange(2), 1.0),
    "index_put": lambda x: x.index_put((arange(2),), x.new_ones(2, 2)),
    "index_put of pairs": lambda x: x.index_put((arange(2), arange(x.shape[0])), x.new_ones(2)),
    "index_put of a number": lambda x: x.index_put((arange(1),), x.new_ones(())),
    "index_put at a mask": lambda x: x.index_put((x.new_zeros(2, 1) > 0,), x.new_zeros(())),
    "index_put of rows": lambda x: x.index_put((x[:, 0] > 0,), x.new_ones(3)),
    "index of pairs": lambda x: x[arange(2), arange(x.shape[0])],
    "masked_fill": lambda x: x.masked_fill(x.new_zeros((2, x.shape[0])) > 0, 1.0),
    "take": lambda x: x.take(arange(3)),
    "put": lambda x: x.put(arange(2), x.new_ones(x.shape[1])),
    "repeat": lambda x: x.repeat_interleave(x.shape[0] - 2, 0),
    "embedding": lambda x: functional.embedding(arange(x.shape[1]), x),
    "embedding of a norm": lambda x: functional.embedding(arange(2), x.clone(), max_norm=1.0),
    "embedding_bag": lambda x: functional.embedding_bag(arange(3), x, zeros(1)),
    "offsets of a bag": lambda x: functional.embedding_bag(zeros(2), x, arange(x.shape[1])),
    "nll_loss": lambda x: functional.nll_loss(x, arange(2)),
    "weights of a loss": lambda x: functional.cross_entropy(x, x.long()[:, 0], x.new_ones(3)),
    "multi_margin_loss": lambda x: functional.multi_margin_loss(x, arange(2)),
    "addmv": lambda x: torch.addmv(x[0], x, x[0]),
    "median": lambda x: x[1:].median(),
    "median along an axis": lambda x: x[1:].median(0)[0],
    "nanmedian": lambda x: x[1:].nanmedian(0)[0],
    "max": lambda x: x[1:].max(),
    "select_scatter": lambda x: x.select_scatter(x[0], 0, 2),
    "diagonal_scatter": lambda x: x.diagonal_scatter(x[0]),
    "slice_scatter": lambda x: x.slice_scatter(x[:2], 0, 0, 2),
    "kron": lambda x: torch.kron(x, x),
    "renorm": lambda x: x.renorm(2, 0, 1.0),
    "roll": lambda x: x.roll(2, 1),
    "histc": lambda x: torch.histc(x, 3),
    "triangle": lambda x: torch.tril_indices(3, x.shape[1]),
    "arange": lambda x: arange(x.shape[1] - x.shape[0]),
    "new_full": lambda x: x.new_full((x.shape[1] - 2,), 1.0),
}

UNDECIDED: dict[str, Callable[[Tensor], Any]] = {
    "masked_scatter": lambda x: x.masked_scatter(x >= 0, x.new_zeros(2, 2)),
    "repeats": lambda x: x.repeat_interleave(arange(2), 1, output_size=1),
    "values at a mask": lambda x: x.index_put((x[:, 0] == 0,), x.new_ones(2, 1)),
    "a pool that is undone": lambda x: functional.max_unpool1d(
        *functional.max_pool1d(x[None], 1, return_indices=True), (1,)
    ),
}
"""Kernels whose data decide whether they are possible."""


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")
@pytest.mark.parametrize("name", CALLS | UNDECIDED)
def test_symbols_refuse_what_real_kernels_refuse(name: str) -> None:
    outcomes = [outcome(name, rows, columns) for rows, columns in GRID]
    for (rows, columns), (said, real) in zip(GRID, outcomes, strict=True):
        assert said in (real, "unknown"), (rows, columns, said, real)
    assert ("unknown" in {said for said, _ in outcomes}) == (name in UNDECIDED)


def outcome(name: str, rows: int, columns: int) -> tuple[str, str]:
    """Return what symbols say of a call, and what real kernels do."""
    function = (CALLS | UNDECIDED)[name]

    def call(x: Any) -> Any:
        return function(x)

    call.__annotations__ = {"x": Float[Tensor, "rows columns"], "return": Shaped[Tensor, "..."]}
    subject = subject_of(call, None)
    with sound_sympy():
        sizes = {"rows": rows, "columns": columns}
        said = run_symbolically(subject.variants()[0][0], sizes, ()).outcome
    try:
        with torch.no_grad():
            function(torch.zeros(rows, columns))
    except (RuntimeError, IndexError, ValueError):
        return said, "raises"
    return said, "holds"


def test_a_check_that_is_missing_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(size_checks.CHECKS, "put", lambda *args, **options: None)
    with pytest.raises(AssertionError):
        test_symbols_refuse_what_real_kernels_refuse("put")


def test_there_are_only_so_many_categories() -> None:
    def draw(weights: Float[Tensor, "classes"]) -> Shaped[Tensor, "2"]:
        return torch.multinomial(weights + 1, 2)

    proof = prove(draw)
    assert isinstance(proof, ProvedInPart)  # the limit is too large for a run on real kernels
    assert "too large" in proof.reason
    guards = {guard for region in proof.regions for guard in region.guards}
    assert "classes > 16777216" in guards


def test_a_kernel_has_one_rule() -> None:
    check = size_checks.CHECKS["put"]
    assert rule_table((check, "put put_"), (print, len)) == {
        "put": check,
        "put_": check,
        len: print,
    }
    with pytest.raises(ValueError, match="put has two rules"):
        rule_table((check, "put"), (print, "take put"))
