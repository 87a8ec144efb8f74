import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from shapezoo import UnknownModelError, __version__, recipes
from shapezoo.data import digits
from shapezoo.recipes import DataMismatchError, Trained
from shapezoo.runs import Run, RunConfig, RunError
from shapezoo.weights import WeightsError


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """LeNet, trained as `shapezoo train lenet` does it."""
    return recipes.train(RunConfig("lenet"), run=tmp_path_factory.mktemp("runs") / "run")


def test_lenet_reads_more_than_95_of_100_unseen_digits(trained: Trained) -> None:
    assert trained.test.examples == 359
    assert trained.test.accuracy >= 0.95


def test_the_run_folder_tells_the_whole_story(trained: Trained) -> None:
    folder = trained.run.path
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
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
    assert "digits has    (batch, 1, 28, 28) and 10 classes" in str(error.value)
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
        ({"split_by": "year"}, "split_by must be typing.Literal['example', 'writer'], got 'year'"),
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
    with pytest.raises(RunError, match=r"is no configuration of a run: KeyError\('model'\)"):
        recipes.predict(tmp_path, tmp_path / "digit.png")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match="is no configuration of a run"):
        recipes.predict(tmp_path, tmp_path / "digit.png")


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
