import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from shapezoo import UnknownModelError, __version__, list_models, model_info, recipes
from shapezoo.data import digits
from shapezoo.recipes import DataMismatchError, Trained
from shapezoo.runs import Run, RunConfig, RunError
from shapezoo.sources import SOURCES
from shapezoo.weights import WeightsError


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """LeNet, trained as `shapezoo train lenet` does it."""
    return recipes.train(RunConfig("lenet"), run=tmp_path_factory.mktemp("runs") / "run")


def test_lenet_reads_more_than_95_of_100_unseen_digits(trained: Trained) -> None:
    assert trained.test.examples == 359
    assert trained.test.accuracy is not None
    assert trained.test.accuracy >= 0.95


def test_the_run_folder_tells_the_whole_story(trained: Trained) -> None:
    folder = trained.run.path
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "confusion.png",
        "confusion.tsv",
        "metrics.jsonl",
        "model.safetensors",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["hyperparameters"] == {"in_channels": 1, "num_classes": 10}
    assert config["versions"]["torch"] == torch.__version__
    assert config["versions"]["shapezoo"] == __version__
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 11))
    assert lines[-1]["test"]["accuracy"] == trained.test.accuracy
    assert Run.open(folder) == trained.run


def test_the_confusion_matrix_is_written_as_a_table_and_as_a_picture(trained: Trained) -> None:
    text = (trained.run.path / "confusion.tsv").read_text()
    header, *rows = (line.split("\t") for line in text.splitlines())
    assert header == ["", *"0123456789"]
    assert [row[0] for row in rows] == list("0123456789")
    matrix = torch.tensor([[int(count) for count in row[1:]] for row in rows])
    assert matrix.sum() == 359
    assert trained.test.accuracy == matrix.trace().item() / 359
    assert torch.equal(matrix.sum(1), digits().test.labels.bincount())
    with Image.open(trained.run.path / "confusion.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400


def test_without_matplotlib_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)
    folder = Run.create(RunConfig("lenet"), tmp_path / "run")
    folder.save_confusion(torch.eye(2, dtype=torch.int64), ("no", "yes"))
    assert (folder.path / "confusion.tsv").read_text() == "\tno\tyes\nno\t1\t0\nyes\t0\t1\n"
    assert not list(folder.path.glob("*.png"))


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("lenet", None, ("lenet", "digits")),
        ("digits", None, ("lenet", "digits")),
        ("digits", "digits", ("lenet", "digits")),
        ("names", None, ("name_classifier", "names")),
        ("name_classifier", None, ("name_classifier", "names")),
        ("gru", "digits", ("gru", "digits")),
    ],
)
def test_a_model_or_a_dataset_names_both(
    name: str, data: str | None, expected: tuple[str, str]
) -> None:
    assert recipes.resolve(name, data) == expected


def test_two_datasets_are_refused() -> None:
    with pytest.raises(DataMismatchError, match="'names' and 'digits' are two datasets"):
        recipes.resolve("names", "digits")


def test_no_model_has_the_name_of_a_dataset() -> None:
    assert not SOURCES.keys() & set(list_models())
    for source in SOURCES.values():
        assert model_info(source.model).task == source.task


def test_the_optimizer_is_the_one_that_is_named(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 500, "lr": 0.1}
    adam = recipes.train(RunConfig("lenet", **settings), run=tmp_path / "adam")
    sgd = recipes.train(RunConfig("lenet", optimizer="sgd", **settings), run=tmp_path / "sgd")
    assert json.loads((sgd.run.path / "config.json").read_text())["optimizer"] == "sgd"
    assert sgd.test.loss != adam.test.loss


def test_a_task_without_data_is_told() -> None:
    with pytest.raises(DataMismatchError, match=r"for sequence-encoding; the datasets are for"):
        recipes.resolve("gru")


def test_pictures_of_unseen_digits_are_classified(trained: Trained, tmp_path: Path) -> None:
    test = digits().test
    right = 0
    for index in range(50):
        page = Image.new("L", (200, 180), 255)
        ink = Image.fromarray(255 - test.images[index, 0].numpy()).resize((112, 112))
        page.paste(ink, (40, 30))
        page.save(tmp_path / "digit.png")
        prediction = recipes.predict(trained.run.path, tmp_path / "digit.png")
        right += prediction.label == test.classes[test.labels[index]]
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.label == max(
            prediction.probabilities, key=lambda label: prediction.probabilities[label]
        )
    assert right >= 45


def test_the_same_arguments_give_the_same_weights(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for name in ("a", "b"):
        recipes.train(RunConfig("lenet", epochs=1), run=tmp_path / name)
    recipes.train(RunConfig("lenet", epochs=1, seed=1), run=tmp_path / "c")
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("config", "contract"),
    [
        (RunConfig("gru"), '(inputs: Float[Tensor, "seq batch features=4"]'),
        (RunConfig("lenet", {"num_classes": 5}), '-> Float[Tensor, "batch classes=5"]'),
        (RunConfig("lenet", {"in_channels": 3}), '"batch channels=3 28 28"'),
    ],
)
def test_a_model_that_the_data_does_not_fit_is_refused_before_anything(
    config: RunConfig, contract: str, tmp_path: Path
) -> None:
    with pytest.raises(DataMismatchError) as error:
        recipes.train(config, run=tmp_path / "run")
    assert contract in str(error.value)
    assert "an example of digits is (1, 1, 28, 28), of 10 classes" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": -1}, "batch_size must be at least 1, got -1"),
        ({"seed": 10**30}, "seed must be below 2**31, got 1000"),
        ({"lr": float("nan")}, "lr must be positive and finite, got nan"),
        ({"lr": float("inf")}, "lr must be positive and finite, got inf"),
        ({"epochs": "ten"}, "epochs must be int, got 'ten'"),
        ({"hyperparameters": None}, "hyperparameters must be dict"),
        ({"optimizer": "adan"}, "optimizer must be one of adagrad, adam, adamax"),
        ({"data": "cats"}, "data must be one of digits, names, got 'cats'"),
        ({"data": "names", "split_by": "writer"}, "split_by='writer' is for digits"),
        ({"split_by": "year"}, "split_by must be 'example' or 'writer', got 'year'"),
    ],
)
def test_a_configuration_out_of_range_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=re.escape(message)):
        RunConfig("lenet", **arguments)


def test_an_existing_folder_is_never_written_to(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="exists already; choose another folder"):
        recipes.train(RunConfig("lenet"), run=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="did you mean 'lenet'"):
        recipes.train(RunConfig("lenett"), run=tmp_path / "run")


CONFIG = RunConfig("lenet")


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        recipes.predict(tmp_path, tmp_path / "digit.png")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"is no configuration of a run: TypeError.*'model'"):
        recipes.predict(tmp_path, tmp_path / "digit.png")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match="is no configuration of a run"):
        recipes.predict(tmp_path, tmp_path / "digit.png")


def test_settings_that_an_older_version_did_not_know_have_their_defaults(tmp_path: Path) -> None:
    run = Run.create(RunConfig("lenet", epochs=3), tmp_path / "run")
    file = run.path / "config.json"
    record = json.loads(file.read_text())
    del record["device"]
    file.write_text(json.dumps(record))
    assert Run.open(run.path) == run


def test_a_training_that_diverged_is_told(tmp_path: Path) -> None:
    config = RunConfig("lenet", epochs=1, batch_size=500, lr=1e30)
    trained = recipes.train(config, run=tmp_path / "run")
    assert trained.test.accuracy == 0
    (line,) = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail)["test"]["loss"] is None
    Image.fromarray(digits().test.images[0, 0].numpy()).save(tmp_path / "digit.png")
    with pytest.raises(RunError, match="the training diverged; train anew with a smaller lr"):
        recipes.predict(tmp_path / "run", tmp_path / "digit.png")


def test_a_run_that_did_not_end_has_no_weights(tmp_path: Path) -> None:
    run = Run.create(CONFIG, tmp_path / "run")
    with pytest.raises(WeightsError, match="no weights file"):
        recipes.predict(run.path, tmp_path / "digit.png")


def test_runs_without_a_name_get_model_date_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [Run.create(CONFIG) for _ in range(3)]
    assert len({run.path for run in runs}) == 3
    for run in runs:
        assert run.path.match("runs/lenet-20*-*")
        assert (tmp_path / run.path / "config.json").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hyperparameters", None, "hyperparameters must be dict"),
        ("hyperparameters", {"num_classes": -1}, "the model cannot be built: "),
        ("hyperparameters", {"size": 3}, "the model cannot be built: model 'lenet' has no 'size'"),
        ("epochs", "ten", "epochs must be int, got 'ten'"),
        ("model", ["lenet"], "model must be str"),
    ],
)
def test_a_tampered_configuration_is_told(
    key: str, value: object, message: str, tmp_path: Path
) -> None:
    run = Run.create(CONFIG, tmp_path / "run")
    file = run.path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(RunError, match=re.escape(message)):
        recipes.predict(run.path, tmp_path / "digit.png")
