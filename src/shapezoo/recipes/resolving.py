"""Configurations from the name of a model or of a dataset, with defaults that suit the dataset."""

from typing import Any

from shapezoo._names import did_you_mean
from shapezoo.creating import UnknownModelError, find_entry
from shapezoo.recipes.configuration import DataMismatchError, RunConfig
from shapezoo.recipes.sources import SOURCES
from shapezoo.zoo import list_models


def resolve(name: str, data: str | None = None) -> tuple[str, str]:
    """Return the names of a model and a dataset that fit together, from the name of either.

    A dataset has a model that suits it. For a model, it is the first dataset for its task.

    Args:
        name: The name of a model, or of a dataset.
        data: The name of the dataset, if `name` is that of a model.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: No dataset is for the task of the model, or two datasets are named.

    Example:
        ```pycon
        >>> from shapezoo import recipes
        >>> recipes.resolve("names")
        ('name_classifier', 'names')

        ```
    """
    if name in SOURCES:
        if data not in (None, name):
            raise DataMismatchError(f"{name!r} and {data!r} are two datasets; name a model for one")
        return SOURCES[name].model, name
    try:
        task = find_entry(name).task
    except UnknownModelError as error:
        hint = did_you_mean(name, [*SOURCES, *list_models()])
        advice = hint or f"the datasets are {', '.join(SOURCES)}; 'shapezoo list' shows the models"
        raise UnknownModelError(f"no model or dataset is called {name!r}; {advice}") from error
    if data is not None:
        return name, data
    for suitable, source in SOURCES.items():
        if source.task == task:
            return name, suitable
    tasks = ", ".join(f"{source.task} ({dataset})" for dataset, source in SOURCES.items())
    raise DataMismatchError(f"model {name!r} is for {task}; the datasets are for {tasks}")


def configure(name: str, data: str | None = None, **settings: Any) -> RunConfig:
    """Return the configuration of a run, with defaults that suit its dataset.

    Args:
        name: The name of a model, or of a dataset, as for `resolve`.
        data: The name of the dataset, if `name` is that of a model.
        **settings: Attributes of the configuration; missing ones have the defaults for the
            dataset, or those of `RunConfig`.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: No dataset is for the task of the model, or two datasets are named.
        RunError: A value has the wrong type or is out of range.

    Example:
        ```pycon
        >>> from shapezoo import recipes
        >>> config = recipes.configure("text", epochs=3)
        >>> config.model, config.epochs, config.lr
        ('character_rnn', 3, 0.004)

        ```
    """
    name, data = resolve(name, data)
    defaults = SOURCES[data].defaults if data in SOURCES else {}
    return RunConfig(name, data=data, **{**defaults, **settings})
