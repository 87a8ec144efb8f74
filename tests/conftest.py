"""Tests that visit every model are slow for families with published weights.

Tests that only a release needs, and those that need a browser, are slow too, so that
`-m "not slow"` leaves them out.
"""

import pytest
from tests.zoo.subjects import shell

from shapezoo import list_models
from shapezoo.models import Backbone
from shapezoo.registry import Entry
from shapezoo.weights import PublishedWeights


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of one model of such a family, or of its weights, as slow."""
    small = [name for name in list_models(published=False) if isinstance(shell(name), Backbone)]
    families = {*small, *list_models(published=True)}
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            subjects = item.callspec.params.values()
            if any(_model(subject) in families for subject in subjects):
                item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("release") or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.slow)


def _model(subject: object) -> str | None:
    """The name of the model that a test is about."""
    if isinstance(subject, Entry):
        return subject.name
    if isinstance(subject, PublishedWeights):
        return subject.model
    return subject if isinstance(subject, str) else None
