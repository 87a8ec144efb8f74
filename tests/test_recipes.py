import importlib.util
import json
import random
import re
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo.utils
from PIL import Image

from shapezoo import UnknownModelError, __version__, list_models, model_info, recipes
from shapezoo.data import (
    ImageDataset,
    SequenceError,
    Split,
    digits,
    encode_names,
    names,
    read_digit,
)
from shapezoo.data.surnames import decode_names
from shapezoo.recipes import DataMismatchError, sources
from shapezoo.recipes.familiarity import unlike_names
from shapezoo.recipes.runs import Run, RunConfig, RunError
from shapezoo.recipes.sources import SOURCES
from shapezoo.train import Metrics, Processes
from shapezoo.verdicts import verdicts


def train(
    config: RunConfig | Run, folder: Path | None = None, **options: Any
) -> tuple[Run, Metrics]:
    trained = recipes.train(config, run=folder, **options)
    assert trained.run
    return trained.run, trained.test


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Metrics]:
    """LeNet, trained as `shapezoo train lenet` does it."""
    return train(RunConfig("lenet"), tmp_path_factory.mktemp("runs") / "run")


def test_lenet_reads_more_than_95_of_100_unseen_digits(trained: tuple[Run, Metrics]) -> None:
    assert trained[1].examples == 359
    assert trained[1].accuracy is not None
    assert trained[1].accuracy >= 0.95


def test_the_run_folder_tells_the_whole_story(trained: tuple[Run, Metrics]) -> None:
    folder = trained[0].path
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "checkpoint-before.safetensors",
        "checkpoint.safetensors",
        "confusion.png",
        "confusion.tsv",
        "curves.png",
        "metrics.jsonl",
        "model.safetensors",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["hyperparameters"] == {"in_channels": 1, "num_classes": 10}
    assert config["versions"]["torch"] == torch.__version__
    assert config["versions"]["shapezoo"] == __version__
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 11))
    assert lines[-1]["test"]["accuracy"] == trained[1].accuracy
    assert Run.open(folder) == trained[0]


def test_the_confusion_matrix_is_written_as_a_table_and_as_a_picture(
    trained: tuple[Run, Metrics],
) -> None:
    text = (trained[0].path / "confusion.tsv").read_text()
    header, *rows = (line.split("\t") for line in text.splitlines())
    assert header == ["", *"0123456789"]
    assert [row[0] for row in rows] == list("0123456789")
    matrix = torch.tensor([[int(count) for count in row[1:]] for row in rows])
    assert matrix.sum() == 359
    assert trained[1].accuracy == matrix.trace().item() / 359
    assert torch.equal(matrix.sum(1), digits().test.labels.bincount())
    with Image.open(trained[0].path / "confusion.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400


def test_without_matplotlib_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)
    folder = Run.create(RunConfig("lenet"), tmp_path / "run", classes=("no", "yes"))
    folder.save_confusion(torch.eye(2, dtype=torch.int64))
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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", r"no model or dataset is called 'digit'; did you mean 'digits'\?$"),
        ("lenett", r"no model or dataset is called 'lenett'; did you mean 'lenet', "),
        ("xyzzy", r"the datasets are digits, mnist, .*'shapezoo list' shows the models$"),
    ],
)
def test_an_unknown_name_gets_the_nearest_models_and_datasets(name: str, message: str) -> None:
    with pytest.raises(UnknownModelError, match=message):
        recipes.resolve(name)


def test_two_datasets_are_refused() -> None:
    with pytest.raises(DataMismatchError, match="'names' and 'digits' are two datasets"):
        recipes.resolve("names", "digits")


def test_no_model_has_the_name_of_a_dataset() -> None:
    assert not SOURCES.keys() & set(list_models())
    for source in SOURCES.values():
        assert model_info(source.model).task == source.task


def test_the_optimizer_is_the_one_that_is_named(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 500, "lr": 0.1}
    _, adam = train(RunConfig("lenet", **settings), tmp_path / "adam")
    run, sgd = train(RunConfig("lenet", optimizer="sgd", **settings), tmp_path / "sgd")
    assert json.loads((run.path / "config.json").read_text())["optimizer"] == "sgd"
    assert sgd.loss != adam.loss


def test_a_task_without_data_is_told() -> None:
    with pytest.raises(DataMismatchError, match=r"for sequence-encoding; the datasets are for"):
        recipes.resolve("gru")


def test_pictures_of_unseen_digits_are_classified(
    trained: tuple[Run, Metrics], tmp_path: Path
) -> None:
    test = digits().test
    right = 0
    for index in range(50):
        page = Image.new("L", (200, 180), 255)
        ink = Image.fromarray(255 - test.images[index, 0].numpy()).resize((112, 112))
        page.paste(ink, (40, 30))
        page.save(tmp_path / "digit.png")
        prediction = recipes.predict(trained[0].path, tmp_path / "digit.png")
        right += prediction.label == test.classes[test.labels[index]]
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.label == max(
            prediction.probabilities, key=lambda label: prediction.probabilities[label]
        )
    assert right >= 40


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
        ({"epochs": True}, "epochs must be int, got True"),
        ({"hyperparameters": None}, "hyperparameters must be dict"),
        ({"schedule": "cosin"}, "no schedule is called 'cosin'; did you mean 'cosine'?"),
        ({"clip_norm": 0.0}, "clip_norm must be positive and finite, got 0.0"),
        ({"clip_norm": "1"}, "clip_norm must be float | None, got '1'"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"precision": "int8"}, "precision must be 'float32' or 'bfloat16', got 'int8'"),
        ({"optimizer": "adan"}, "no optimizer is called 'adan'; did you mean 'adam', "),
        ({"data": "cats"}, "no dataset is called 'cats'; valid names: digits, mnist, "),
        ({"data": "names", "split_by": "writer"}, "only digits can be split by writer"),
        ({"split_by": "year"}, "split_by must be 'example' or 'writer', got 'year'"),
    ],
)
def test_a_configuration_out_of_range_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=re.escape(message)):
        RunConfig("lenet", **arguments)


def takes(model: str, side: int) -> bool:
    """Whether images of this many pixels a side are large enough for a model."""
    conditions = [c for verdict in verdicts(model).values() for c in verdict.preconditions]
    sizes = {"batch": 8, "height": side, "width": side}
    return all(condition.holds(sizes) for condition in conditions)


IMAGES = [m for m in list_models(task="image-classification", published=False) if takes(m, 28)]
FITTING = [
    *((model, "digits") for model in IMAGES),
    *((model, "mnist") for model in ("lenet", "resnet_small")),
    *((model, "cifar10") for model in ("inception_small", "resnet_small")),
    ("softmax_classifier", "fashion_mnist"),
    ("name_classifier", "names"),
    *((model, "text") for model in list_models(task="token-classification")),
    *((model, "breast_cancer") for model in ("logistic_regression", "mlp")),
    *((model, "diabetes") for model in ("linear_regression", "mlp")),
    ("rnn_forecaster", "weather"),
]


def made(*shape: int) -> Callable[..., Split[ImageDataset]]:
    """Stands for a dataset that would be downloaded."""
    images = torch.randint(256, (32, *shape), dtype=torch.uint8)
    part = ImageDataset(images, torch.arange(32) % 10, tuple("abcdefghij"))
    return lambda *_, **__: Split(part, part)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "data"), FITTING)
def test_every_model_that_fits_is_trained(
    model: str, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, shape in {
        "mnist": (1, 28, 28),
        "fashion_mnist": (1, 28, 28),
        "cifar10": (3, 32, 32),
    }.items():
        monkeypatch.setattr(sources, name, made(*shape))
    whole = SOURCES[data]

    def load(**options: Any) -> Split[Any]:
        return Split(*(part.subset(torch.arange(16)) for part in whole.load(**options)))

    monkeypatch.setitem(SOURCES, data, replace(whole, load=load))
    config = recipes.configure(model, data, epochs=1, batch_size=8)
    run, test = train(config, tmp_path / "run")
    unseen = load(split_by="example", seed=0, root="", download=False).test.select(torch.arange(16))
    assert test.examples == unseen.targets.numel()
    assert (test.accuracy is None) == (run.classes == ())
    assert (run.path / "confusion.tsv").exists() == bool(run.classes)
    assert (run.path / "curves.png").exists()
    assert torch.isfinite(run.load_model()(*unseen.inputs)).all()


def test_no_classifier_is_forgotten() -> None:
    tasks = {source.task for source in SOURCES.values()}
    known = {name for task in tasks for name in list_models(task=task, published=False)}
    assert {model for model, _ in FITTING} == {name for name in known if takes(name, 28)}
    assert {data for _, data in FITTING} == set(SOURCES)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("alexnet_micro", {}, "in eval mode\n.*height must be at least 63, got 28"),
        ("resnet_micro", {"batch_size": 479}, "in train mode\n.*got batch=1, height=28, width=28"),
        ("resnet_micro", {"batch_size": 2, "accumulate": 2}, "in train mode\n.*got batch=1, "),
        ("vit_b_16", {}, "cannot be built: image_size must be divisible by .* 16, got 28"),
    ],
)
def test_examples_that_are_too_small_or_too_few_are_refused_first(
    model: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config = recipes.configure(model, "digits", epochs=1, **options)
    with pytest.raises((DataMismatchError, RunError), match=message):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_character_is_told(tmp_path: Path) -> None:
    config = recipes.configure("text", epochs=2, seed=1)
    run, test = train(config, tmp_path / "run")
    assert test.accuracy is not None
    assert test.accuracy > 0.4
    assert recipes.predict(run.path, "Alice was ver").label == "y"
    with pytest.raises(SequenceError, match=r"contains '§'"):
        recipes.predict(run.path, "§")
    with pytest.raises(SequenceError, match="empty"):
        recipes.predict(run.path, "")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    run = Run.create(recipes.configure("diabetes"), tmp_path / "run")
    with pytest.raises(DataMismatchError, match=r"trained on diabetes, .*\n  from shapezoo"):
        recipes.predict(run.path, "1.0")


@pytest.mark.slow
def test_options_change_the_training(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 100}
    options: list[dict[str, Any]] = [
        {},
        {"schedule": "cosine"},
        {"warmup_steps": 3},
        {"clip_norm": 0.1},
        {"precision": "bfloat16"},
        {"patience": 1},
        {"seed": 1},
    ]
    losses = []
    for number, option in enumerate(options):
        _, test = train(RunConfig("lenet", **settings, **option), tmp_path / str(number))
        losses.append(test.loss)
    assert len(set(losses)) == len(options)
    _, accumulated = train(RunConfig("lenet", **settings, accumulate=3), tmp_path / "accumulated")
    assert accumulated.loss == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.slow
def test_a_compiled_run_gives_the_same(tmp_path: Path) -> None:
    counters = torch._dynamo.utils.counters["frames"]
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 100}
    _, eager = train(RunConfig("lenet", **settings), tmp_path / "eager")
    before = counters["ok"]
    run, compiled = train(RunConfig("lenet", **settings, compile=True), tmp_path / "compiled")
    assert counters["ok"] > before
    assert compiled.loss == pytest.approx(eager.loss, rel=1e-2)
    assert recipes.train(run).test == compiled


@pytest.mark.parametrize(
    ("model", "settings", "has_diverged"),
    [
        ("lenet", {"lr": 100.0, "batch_size": 100}, True),
        ("lenet", {"lr": 100.0, "batch_size": 100, "patience": 1}, True),
        ("lenet", {"batch_size": 500}, False),
        ("linear_regression", {"lr": 1e5}, True),
        ("linear_regression", {}, False),
        ("linear_regression", {"optimizer": "sgd", "lr": 10.0}, True),
    ],
)
def test_a_loss_far_above_that_of_no_training_has_diverged(
    model: str, settings: dict[str, Any], has_diverged: bool, tmp_path: Path
) -> None:
    config = recipes.configure(model, epochs=2, **settings)
    outcome = recipes.train(config, run=tmp_path / "run")
    assert outcome.diverged == has_diverged
    assert outcome.run
    assert recipes.train(outcome.run).diverged == has_diverged


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """LeNet, trained with a tenth of the examples held out."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(recipes.configure("lenet", epochs=3, patience=3, lr=0.01), folder)[0]


def test_probabilities_are_calibrated_on_held_out_examples(
    held_out: Run, trained: tuple[Run, Metrics], tmp_path: Path
) -> None:
    temperature = held_out.temperature()
    assert 0.05 < temperature != 1
    Image.fromarray(digits().test.images[0, 0].numpy()).save(tmp_path / "digit.png")
    calibrated = recipes.predict(held_out.path, tmp_path / "digit.png").probabilities
    inputs = (read_digit(tmp_path / "digit.png"),)
    expected = (held_out.load_model()(*inputs)[0] / temperature).softmax(0)
    assert list(calibrated) == [str(int(label)) for label in expected.argsort(descending=True)]
    assert calibrated["0"] == pytest.approx(expected[0].item(), abs=1e-6)
    # as for the runs of earlier versions, which have no such file
    assert not (trained[0].path / "calibration.json").exists()
    assert trained[0].temperature() == 1


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"temperature": 0.0}', '{"temperature": NaN}', "[" * 100_000]
)
def test_a_damaged_calibration_is_told(content: str, tmp_path: Path) -> None:
    run = Run.create(CONFIG, tmp_path / "run")
    (run.path / "calibration.json").write_text(content)
    with pytest.raises(RunError, match=r"calibration\.json' (cannot be read|has no temperature)"):
        run.temperature()


def test_the_best_epoch_of_a_run_is_known(held_out: Run, trained: tuple[Run, Metrics]) -> None:
    losses = [record["test"]["loss"] for record in held_out.metrics()]
    assert held_out.kept_epoch() == losses.index(min(losses)) + 1
    assert trained[0].kept_epoch() is None


def test_pictures_unlike_all_digits_have_a_caveat(
    trained: tuple[Run, Metrics], tmp_path: Path
) -> None:
    def caveat(pixels: Any) -> str | None:
        Image.fromarray(pixels).save(tmp_path / "picture.png")
        return recipes.predict(trained[0].path, tmp_path / "picture.png").caveat

    test = digits().test
    assert [caveat(test.images[index, 0].numpy()) for index in range(20)].count(None) >= 19
    noise = torch.randint(256, (60, 60), generator=torch.Generator().manual_seed(0))
    cross = torch.full((60, 60), 255)
    cross[20:40] = cross[:, 20:40] = 0
    for pixels in (noise, cross):
        reason = caveat(pixels.to(torch.uint8).numpy())
        assert reason
        assert re.match(
            r"the picture is unlike every training digit; its distance .* \d\.\d", reason
        )


def test_at_most_two_percent_of_unseen_names_but_most_random_letters_have_a_caveat() -> None:
    unseen, letters = names().test, random.Random(0)
    nonsense = [
        "".join(letters.choices(string.ascii_lowercase, k=letters.randint(4, 10)))
        for _ in range(300)
    ]
    known = names().train

    def flagged(examples: list[str]) -> float:
        """The share with a caveat."""
        rows = [encode_names([example]) for example in examples]
        return sum(bool(unlike_names((r.tokens, r.lengths), known)) for r in rows) / len(rows)

    assert flagged(decode_names(unseen.names.tokens, unseen.names.lengths)[:300]) < 0.03
    assert flagged(nonsense) > 0.85
    assert flagged(["Smith-Jones", "van der Berg", "O'Neil", "Li", "papadopoulos"]) == 0


def test_the_case_of_a_name_does_not_matter() -> None:
    """The training names have capitals, and capitals alone would be guessed badly."""
    read = SOURCES["names"].read
    assert read
    expected = encode_names(["O'Neil"]).tokens
    for spelling in ("o'neil", "O'NEIL", "O'Neil", " o'néil "):
        assert torch.equal(read(spelling, ())[0], expected)
    assert torch.equal(read("McEvoy", ())[0], encode_names(["McEvoy"]).tokens)
    for spelling in ("", " ", "-"):
        with pytest.raises(SequenceError, match=f"the name '{spelling}' has no letters"):
            read(spelling, ())
    with pytest.raises(SequenceError, match=r"name 'ref\.png' contains '\.'"):
        read("ref.png", ())


def test_a_caveat_names_the_sequences_that_are_new() -> None:
    example = encode_names(["Zzzzz"])
    assert unlike_names((example.tokens, example.lengths), names().train) == (
        "'Zzzzz' is unlike the training names: 5 of its 5 sequences of three letters occur in none "
        "of them"
    )


def test_events_for_tensorboard_are_written(tmp_path: Path) -> None:
    train(RunConfig("lenet", epochs=1, batch_size=500), tmp_path / "run", tensorboard=True)
    assert list((tmp_path / "run/tensorboard").glob("events.out.*"))


def test_a_model_that_cannot_be_built_is_refused_before_anything(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"model 'lenet' cannot be built: unexpected argument 'size'"
    ):
        train(RunConfig("lenet", {"size": 3}), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_several_processes_do_not_download(tmp_path: Path) -> None:
    two = Processes(rank=0, size=2, total=lambda tensor: tensor)
    with pytest.raises(RunError, match="in one process first"):
        train(RunConfig("lenet", data="mnist"), tmp_path / "run", download=True, processes=two)
    assert list(tmp_path.iterdir()) == []


def test_too_many_steps_of_warm_up_are_refused_before_anything(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="warmup_steps must be from 0 to 2, got 3"):
        train(RunConfig("lenet", epochs=1, batch_size=500, warmup_steps=3), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_written_to(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="exists already; choose another folder"):
        recipes.train(RunConfig("lenet"), run=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="did you mean 'lenet'"):
        recipes.train(RunConfig("lenett"), run=tmp_path / "run")


CONFIG = RunConfig("lenet")


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run folder: it has no config\.json, which"):
        recipes.predict(tmp_path, tmp_path / "digit.png")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match="is not the configuration of a run: it does not name a m"):
        recipes.predict(tmp_path, tmp_path / "digit.png")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match="is not the configuration of a run"):
        recipes.predict(tmp_path, tmp_path / "digit.png")


def test_a_path_beside_a_run_gets_the_run_that_was_meant(tmp_path: Path) -> None:
    run = Run.create(CONFIG, tmp_path / "runs" / "lenet-1")
    for path, advice in (
        (tmp_path / "runs", f"it is a folder of runs; pass one of them, such as '{run.path}'"),
        (tmp_path / "runs" / "lenet-2", f"it does not exist; did you mean '{run.path}'"),
        (run.path / "config.json", f"it is a file of a run; pass its folder, '{run.path}'"),
        (tmp_path / "other" / "lenet-1", "it does not exist"),
    ):
        with pytest.raises(RunError) as error:
            Run.open(path)
        assert str(error.value).startswith(f"'{path}' is not a run folder: {advice}")


def test_a_folder_that_cannot_be_created_is_named_without_a_temporary_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError) as error:
        Run.create(CONFIG, tmp_path / "file" / "run")
    assert str(error.value) == (
        f"the run folder '{tmp_path / 'file' / 'run'}' cannot be created: Not a directory"
    )


def test_a_run_in_the_way_of_a_new_one_can_be_continued(tmp_path: Path) -> None:
    run = Run.create(CONFIG, tmp_path / "a run")
    with pytest.raises(RunError, match=rf"continue .*:\n  shapezoo train --resume '{run.path}'$"):
        Run.create(CONFIG, run.path)


def test_settings_that_an_older_version_did_not_know_have_their_defaults(tmp_path: Path) -> None:
    run = Run.create(RunConfig("lenet", epochs=3), tmp_path / "run")
    file = run.path / "config.json"
    record = json.loads(file.read_text())
    del record["device"]
    file.write_text(json.dumps(record))
    assert Run.open(run.path) == run


def test_a_training_that_diverged_is_told(tmp_path: Path) -> None:
    config = RunConfig("lenet", epochs=1, batch_size=500, lr=1e30)
    outcome = recipes.train(config, run=tmp_path / "run")
    assert outcome.diverged
    assert outcome.test.accuracy == 0
    (line,) = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail)["test"]["loss"] is None
    Image.fromarray(digits().test.images[0, 0].numpy()).save(tmp_path / "digit.png")
    with pytest.raises(RunError, match="the training diverged; try a smaller learning rate"):
        recipes.predict(tmp_path / "run", tmp_path / "digit.png")


def test_a_run_that_did_not_end_has_no_weights(tmp_path: Path) -> None:
    run = Run.create(CONFIG, tmp_path / "run")
    with pytest.raises(RunError, match=rf"not ended; .*:\n  shapezoo train --resume {run.path}$"):
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
        ("hyperparameters", {"num_classes": -1}, "model 'lenet' cannot be built: "),
        ("hyperparameters", {"size": 3}, "cannot be built: unexpected argument 'size' for"),
        ("epochs", "ten", "epochs must be int, got 'ten'"),
        ("model", ["lenet"], "model must be str"),
        ("classes", [1, 2], "classes must be strings, got (1, 2)"),
    ],
)
def test_a_tampered_configuration_is_told(
    key: str, value: object, message: str, tmp_path: Path
) -> None:
    run = Run.create(CONFIG, tmp_path / "run")
    (run.path / "model.safetensors").touch()  # as if it had ended
    file = run.path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(RunError, match=re.escape(message)):
        recipes.predict(run.path, tmp_path / "digit.png")
