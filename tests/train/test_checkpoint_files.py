"""Whatever a file holds, `load_checkpoint` returns a checkpoint or raises `CheckpointError`."""

import contextlib
import copy
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor, nn

from shapezoo.train import (
    Best,
    Checkpoint,
    CheckpointError,
    State,
    choose_optimizer,
    init,
    load_checkpoint,
    save_checkpoint,
)
from shapezoo.train.loop import checkpoint_trees, checkpoints


def holding(tree: Any) -> Checkpoint:
    """A checkpoint whose optimizer keeps this."""
    return Checkpoint(State({}, {}, {"kept": tree}, {}, 0))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to overwrite."""
    return tmp_path_factory.mktemp("checkpoints") / "checkpoint.safetensors"


def written(file: Path) -> bytes:
    """Write a checkpoint of a small model to the file, and return its bytes."""
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    state = init(model, choose_optimizer("adam"))
    save_checkpoint(Checkpoint(state, 0.5, 3, Best(2, 0.25, state)), file, about="a note: é")
    return file.read_bytes()


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.sampled_from(["set", "insert", "delete"]), st.binary()),
    min_size=1,
    max_size=4,
)


@given(content=st.binary(max_size=300))
def test_bytes_are_refused(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=file.name):
        load_checkpoint(file)


@given(mutations=MUTATIONS)
def test_mutated_files_are_refused(mutations: list[tuple[int, str, bytes]], file: Path) -> None:
    whole = written(file)
    content = bytearray(whole)
    for place, way, piece in mutations:
        start = place % (len(content) + 1)
        content[start : start + (0 if way == "insert" else len(piece) + 1)] = (
            b"" if way == "delete" else piece
        )
    file.write_bytes(content)
    if content != whole:
        with pytest.raises(CheckpointError, match=file.name):
            load_checkpoint(file)


DTYPES = [
    *("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F4", "F6_E2M3", "F6_E3M2"),
    *("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F16", "BF16", "F32", "F64", "C64", "X"),
]
sizes = st.integers(0, 8) | st.sampled_from([2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -1])


@given(dtype=st.sampled_from(DTYPES), shape=st.lists(sizes, max_size=3), count=st.integers(0, 64))
def test_forged_headers_are_refused(dtype: str, shape: list[int], count: int, file: Path) -> None:
    record = {"version": checkpoints._VERSION, "about": "", "tree": None, "digest": ""}
    header = {
        "__metadata__": {checkpoints._KEY: json.dumps(record)},
        "0": {"dtype": dtype, "shape": shape, "data_offsets": [0, count]},
    }
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(count))
    with pytest.raises(CheckpointError, match=file.name):
        load_checkpoint(file)


def forge(path: Path, tree: object, tensors: dict[str, Tensor] | None = None) -> None:
    """Write a file with a correct digest, which is not a signature."""
    record = {"version": checkpoints._VERSION, "about": "", "tree": tree}
    record["digest"] = checkpoints._digest(record, tensors or {})
    save_file(tensors or {}, path, {checkpoints._KEY: checkpoints._dumped(record)})


def encoded() -> tuple[Any, dict[str, Tensor]]:
    return checkpoint_trees.encoded(holding({"a": torch.ones(2, 3), (1, None): [0.5]}))


def test_a_forged_file_is_as_good_as_a_written_one(file: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    forge(file, *encoded())
    kept = load_checkpoint(file)[0].state.optimizer["kept"]
    assert kept["a"].tolist() == [[1.0] * 3] * 2
    assert kept[(1, None)] == [0.5]


KINDS = st.sampled_from(
    ["tensor", "dict", "list", "tuple", "State", "Best", "Checkpoint", "ExampleOrder", "int"]
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("0"),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(KINDS | st.text(), parts, max_size=2)
        | st.dictionaries(KINDS, st.lists(st.lists(parts, max_size=2), max_size=3), max_size=1)
    ),
    max_leaves=12,
)


@given(tree=jsons)
def test_forged_trees_are_refused(tree: Any, file: Path) -> None:
    forge(file, tree, {"0": torch.ones(2, 3)})
    with pytest.raises(CheckpointError, match=file.name):
        load_checkpoint(file)


def places(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all parts of a tree of JSON."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    inner = [
        places(part, (*here, key)) if isinstance(part, dict | list) else [(*here, key)]
        for key, part in items
    ]
    return [here, *(path for group in inner for path in group)]


def replaced(tree: Any, path: tuple[Any, ...], part: Any) -> Any:
    if not path:
        return part
    changed = copy.copy(tree)
    changed[path[0]] = replaced(tree[path[0]], path[1:], part)
    return changed


@given(data=st.data(), part=jsons)
def test_trees_with_another_part_load_or_are_refused(
    data: st.DataObject, part: Any, file: Path
) -> None:
    tree, tensors = encoded()
    forge(file, replaced(tree, data.draw(st.sampled_from(places(tree))), part), tensors)
    with contextlib.suppress(CheckpointError):
        assert isinstance(load_checkpoint(file)[0], Checkpoint)


def nested(depth: int) -> Any:
    tree: Any = None
    for _ in range(depth):
        tree = {"list": [tree]}
    return tree


@pytest.mark.parametrize("depth", [200, 400, 100_000])
def test_deep_trees_are_refused(depth: int, file: Path) -> None:
    text = '{"about":"","digest":"","tree":' + '{"list":[' * depth + "]}" * depth + ',"version":2}'
    save_file({}, file, {checkpoints._KEY: text})
    with pytest.raises(CheckpointError, match=r"nested too deeply|does not match"):
        load_checkpoint(file)
    if depth < 1000:
        with contextlib.suppress(RecursionError):
            forge(file, nested(depth))
        with pytest.raises(CheckpointError, match=file.name):
            load_checkpoint(file)


def test_checkpoints_nested_too_deeply_are_not_written(file: Path) -> None:
    whole = written(file)
    tree: list[Any] = []
    tree.append(tree)
    with pytest.raises(ValueError, match="nested too deeply"):
        save_checkpoint(holding(tree), file)
    assert file.read_bytes() == whole


ONES = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("kept", "tensors", "message"),
    [
        ({"tensor": ["1", []]}, {}, "a tensor is missing"),
        ({"tensor": ["0", [0]]}, {"0": ONES}, "the wrong axes"),
        ({"tensor": ["0", [0, 2]]}, {"0": ONES}, "the wrong axes"),
        ({"tensor": ["0", [0, 0]]}, {"0": ONES}, "the wrong axes"),
        ({"tensor": ["0", [False, True]]}, {"0": ONES}, "the wrong axes"),
        ({"list": [{"tensor": ["0", [0, 1]]}] * 2}, {"0": ONES}, "used twice"),
        (None, {"0": ONES}, "'0' is not used"),
        ({"dict": [[{"list": []}, 1]]}, {}, "a list cannot be a key"),
        ({"dict": [[1, 1], [1, 2]]}, {}, "twice"),
        ({"dict": [[1, 1, 1]]}, {}, "3 parts"),
        ({"set": []}, {}, "no type 'set'"),
        ({"list": [], "tuple": []}, {}, "one key"),
        ({"Best": {"dict": []}}, {}, "Best has the wrong fields"),
    ],
)
def test_the_error_says_what_is_wrong_with_a_tree(
    kept: Any, tensors: dict[str, Tensor], message: str, file: Path
) -> None:
    tree, _ = checkpoint_trees.encoded(holding("HERE"))
    (path,) = (p for p in places(tree) if p and part_at(tree, p) == "HERE")
    forge(file, replaced(tree, path, kept), tensors)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(file)


def part_at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", {"dict": []}),
        ("loss", "1"),
        ("loss", True),
        ("examples", "1"),
        ("best", 1),
        ("order", {"dict": []}),
    ],
)
def test_fields_of_another_type_are_refused(name: str, value: object, file: Path) -> None:
    tree, _ = checkpoint_trees.encoded(holding(None))
    items = tree["Checkpoint"]["dict"]
    tree["Checkpoint"]["dict"] = [[key, value if key == name else part] for key, part in items]
    forge(file, tree)
    with pytest.raises(CheckpointError, match=f"Checkpoint.{name} cannot be a"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "shapezoo checkpoint 1", "about": "", "tree": "{}", "digest": ""},
        {"shapezoo checkpoint": '{"version": 1}'},
        {"shapezoo checkpoint": '{"version": 3, "more": []}'},
    ],
)
def test_another_version_of_the_format_is_named(metadata: dict[str, str], file: Path) -> None:
    save_file({}, file, metadata)
    with pytest.raises(CheckpointError, match=r"has version [13] of .* reads version 2"):
        load_checkpoint(file)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '"a"', "null", '{"version": "2"}', "{}"])
def test_other_metadata_are_refused(text: str, file: Path) -> None:
    save_file({}, file, {checkpoints._KEY: text})
    with pytest.raises(CheckpointError, match=file.name):
        load_checkpoint(file)


def test_equal_checkpoints_are_equal_files(file: Path) -> None:
    state = State({"x": torch.ones(2), "y": torch.zeros(1)}, {}, {"lr": 0.1, "z": {}}, {}, 3)
    contents, other = set(), set()
    for _ in range(20):
        save_checkpoint(Checkpoint(state), file, about="a note")
        contents.add(file.read_bytes())
        other.add(save({}, dict.fromkeys("abcd", "")))
    assert len(contents) == 1
    assert len(other) > 1  # safetensors writes several entries in a random order


def test_lazily_conjugated_numbers_come_back(file: Path) -> None:
    numbers = torch.tensor([1 + 2j, -3j], dtype=torch.complex64)
    save_checkpoint(holding([numbers.conj(), numbers.conj().imag]), file)
    conjugated, negated = load_checkpoint(file)[0].state.optimizer["kept"]
    assert conjugated.tolist() == [1 - 2j, 3j]
    assert negated.tolist() == [-2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.eye(2).to_sparse(), r"to_dense\(\)"),
        (lambda: torch.eye(2).to_sparse_csr(), r"to_dense\(\)"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "qint8"),
        (lambda: torch.ones(2, device="meta"), "meta device"),
        (lambda: torch.ones(2, dtype=torch.complex128), "complex128"),
    ],
)
@pytest.mark.filterwarnings("ignore:(?s).*(Sparse|quantize):UserWarning")
def test_tensors_that_no_file_can_hold_are_refused(
    make: Callable[[], Tensor], message: str, file: Path
) -> None:
    whole = written(file)
    with pytest.raises(ValueError, match=f"a Tensor cannot be stored in a checkpoint.*{message}"):
        save_checkpoint(holding([make()]), file)
    assert file.read_bytes() == whole


def test_a_device_without_memory_is_not_a_damaged_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(file)

    def fail(tensor: Tensor, device: object) -> Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Tensor, "to", fail)
    with pytest.raises(torch.OutOfMemoryError):
        load_checkpoint(file)
