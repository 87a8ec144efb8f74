"""Random signatures, called at random, against a naive reading of the same annotations."""

import pytest
from tests.contracts.fuzzing.comparing import (
    CALLS_IN_A_GRAPH,
    drawn,
    drawn_in_graphs,
    drawn_in_threads,
)

FEW, CASES = 600, 100_000
"""How many calls are made in the ordinary checks, and how many in all."""

FEW_COMPILED, COMPILED = 10, 320
"""Likewise in graphs."""

FEW_IN_THREADS, IN_THREADS = 50, 2000
"""Likewise in each of four threads."""

SEEDS, SEEDS_IN_CI = 8, 2
"""How many tests share all calls, and how many of these CI runs."""

REFUSED = ("arguments", "result", "unbound", "uncomputable")
MORE = [
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, SEEDS_IN_CI + 1)),
    *(pytest.param(seed, marks=pytest.mark.release) for seed in range(SEEDS_IN_CI + 1, SEEDS + 1)),
]


@pytest.mark.parametrize("seed", [0, *MORE])
def test_a_verdict_is_that_of_a_naive_reading(seed: int) -> None:
    calls = CASES // SEEDS if seed else FEW
    tally = drawn(f"calls {seed}", calls).tally
    refused = sum(tally[outcome] for outcome in REFUSED)
    assert tally["drawn"] == calls
    assert tally["accepted"] > calls / 3
    assert refused > calls / 3
    assert tally["result"] > calls / 30
    assert tally["unbound"] + tally["uncomputable"] > calls / 200
    assert tally["raised"] > calls / 200
    assert tally["nested"] > calls / 100
    assert tally["repeated"] > calls / 4
    assert tally["with jaxtyping"] > calls / 100
    assert tally["changed"] > calls / 50


@pytest.mark.parametrize("seed", [0, *MORE])
def test_a_verdict_is_the_same_while_a_graph_is_traced(seed: int) -> None:
    calls = COMPILED // SEEDS if seed else FEW_COMPILED
    tally = drawn_in_graphs(f"graphs {seed}", calls).tally
    assert calls <= tally["compiled"] < calls + CALLS_IN_A_GRAPH
    assert tally["compiled accepted"] > calls / 4
    assert tally["compiled"] - tally["compiled accepted"] > calls / 5


@pytest.mark.parametrize("seed", [0, *MORE])
def test_a_verdict_is_the_same_in_threads(seed: int) -> None:
    calls = IN_THREADS // SEEDS if seed else FEW_IN_THREADS
    for thread in drawn_in_threads(f"threads {seed}", calls):
        assert thread.tally["drawn"] == calls
        assert thread.tally["accepted"] > calls / 5
        assert sum(thread.tally[outcome] for outcome in REFUSED) > calls / 5
