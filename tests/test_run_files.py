"""A run folder whose files are forged or damaged gives a clear error, and never hangs."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.damage import mutated

from shapezoo.recipes.runs import Run, RunConfig, RunError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3)
    ),
    max_leaves=6,
)
DEEP = "[" * 100_000
NESTED = json.loads("[" * 400 + "]" * 400)  # as deep as can be read


def config(**changes: object) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(RunConfig("lenet"), Path(folder, "run"), classes=("a", "b"))
        record: dict[str, Any] = json.loads((run.path / "config.json").read_text())
    return record | changes


KEYS = st.sampled_from(sorted(config()))


def open_run(content: bytes) -> Run | None:
    """The run of a folder with this configuration, or None if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_bytes(content)
        try:
            return Run.open(folder)
        except RunError:
            return None


@given(st.binary(max_size=40) | mutated(st.just(json.dumps(config(), indent=2).encode())))
@example(DEEP.encode())
@example(json.dumps(config(hyperparameters={"size": NESTED})).encode())
@example(b"\xff\xfe")
def test_a_damaged_configuration_is_refused_or_read(content: bytes) -> None:
    open_run(content)


@given(KEYS, JSON)
@example("hyperparameters", {"a": NESTED})
@example("classes", NESTED)
def test_a_forged_configuration_is_refused_or_read(key: str, value: object) -> None:
    run = open_run(json.dumps(config(**{key: value})).encode())
    assert run is None or all(isinstance(name, str) for name in run.classes)


def test_a_configuration_as_it_was_written_is_read() -> None:
    run = open_run(json.dumps(config()).encode())
    assert run is not None
    assert run.config == RunConfig("lenet")


LINE = {"epoch": 1, "loss": 0.5, "test": {"loss": 0.25, "accuracy": None, "examples": 3}}


def run_with_metrics(folder: str, content: bytes) -> Run:
    run = Run.create(RunConfig("lenet"), Path(folder, "run"))
    (run.path / "metrics.jsonl").write_bytes(content)
    return run


@given(
    st.binary(max_size=40)
    | mutated(st.just(json.dumps(LINE).encode()))
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.sampled_from(sorted(LINE)), JSON).map(
        lambda change: json.dumps(LINE | {change[0]: change[1]}).encode()
    )
)
@example(DEEP.encode())
@example(json.dumps(LINE | {"loss": 10**400}).encode())
@example(json.dumps(LINE | {"epoch": True}).encode())
@example(json.dumps(LINE | {"loss": float("nan")}).encode())
def test_metrics_that_are_damaged_are_left_out(content: bytes) -> None:
    whole = json.dumps(LINE).encode()
    with tempfile.TemporaryDirectory() as folder:
        run = run_with_metrics(folder, whole + b"\n" + content + b"\n" + whole)
        records = run.metrics()
        assert LINE in (records[0], records[-1])
        for record in records:
            figures = (record["loss"], record["test"]["loss"], record["test"]["accuracy"])
            assert all(figure is None or abs(float(figure)) < 1e309 for figure in figures)
            assert type(record["epoch"]) is int
        run.rewind(1)
        assert LINE in run.metrics()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    run = run_with_metrics(str(tmp_path), b"")
    for name, read in (("metrics.jsonl", run.metrics), ("config.json", lambda: Run.open(run.path))):
        (run.path / name).unlink()
        os.mkfifo(run.path / name)
        with pytest.raises((OSError, RunError), match=f"pipe.*{name}"):
            read()


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    run = run_with_metrics(str(tmp_path), b"")
    (run.path / "metrics.jsonl").unlink()
    (run.path / "metrics.jsonl").mkdir()
    with pytest.raises(OSError, match=r"Is a directory.*metrics\.jsonl"):
        run.metrics()
