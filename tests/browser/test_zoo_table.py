"""The table of models sorts and filters in the browser, and its pages show a diagram at once."""

from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Window

from shapezoo import list_models, model_info

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser

COLUMNS = 9


@pytest.fixture
def page(desktop: Window) -> "Page":
    return desktop.open("models/").page


def shown(page: "Page") -> list[str]:
    """The names of the models that are shown, from top to bottom."""
    names: list[str] = page.locator(".zoo-table tbody tr:visible th").all_inner_texts()
    return names


def head(page: "Page", name: str) -> "Locator":
    return page.get_by_role("columnheader", name=name)


def test_it_starts_with_the_most_accurate_published_model(page: "Page") -> None:
    assert shown(page)[0] == "vit_h_14"
    assert set(shown(page)) == set(list_models())
    assert head(page, "Accuracy").get_attribute("aria-sort") == "descending"
    assert page.locator(".zoo-table th[scope=col]").count() == COLUMNS
    table = page.locator(".zoo-table")
    assert table.evaluate("(table) => table.getBoundingClientRect().top") < 600  # first screen


def test_a_click_on_a_head_sorts_and_another_turns(page: "Page") -> None:
    by_size = sorted(list_models(), key=lambda name: model_info(name).parameters)
    sizes = [model_info(name).parameters for name in by_size]
    button = head(page, "Parameters").get_by_role("button")
    for order, expected in (("ascending", sizes), ("descending", sizes[::-1])):
        button.click()
        assert head(page, "Parameters").get_attribute("aria-sort") == order
        assert page.locator(".zoo-table [aria-sort]").count() == 1
        assert [model_info(name).parameters for name in shown(page)] == expected


def test_the_keyboard_sorts(page: "Page") -> None:
    head(page, "Model").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert shown(page) == sorted(list_models())
    page.keyboard.press("Space")
    assert shown(page) == sorted(list_models(), reverse=True)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Task"


def test_models_without_a_value_come_last_in_both_orders(page: "Page") -> None:
    published = set(list_models(published=True))
    button = head(page, "Licence").get_by_role("button")
    for _ in range(2):
        button.click()
        assert set(shown(page)[: len(published)]) == published


def test_filters_combine(page: "Page") -> None:
    status = page.get_by_role("status").filter(has_text="models")
    page.get_by_label("Filter").fill("resnet 2015")
    assert set(shown(page)) == {
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        *("resnet_micro", "resnet_small"),
    }
    assert status.inner_text() == f"7 of {len(list_models())} models"
    page.get_by_label("Published weights only").check()
    assert set(shown(page)) == set(list_models("resnet???", published=True)) | {
        *("resnet18", "resnet34", "resnet50"),
    }
    page.get_by_label("Filter").fill("")
    page.get_by_role("combobox", name="Task").select_option("forecasting")
    assert shown(page) == []
    page.get_by_label("Published weights only").uncheck()
    assert shown(page) == list_models(task="forecasting")


def test_a_filter_survives_sorting(page: "Page") -> None:
    page.get_by_label("Filter").fill("vgg")
    before = shown(page)
    head(page, "Parameters").get_by_role("button").click()
    assert shown(page) != before
    assert set(shown(page)) == set(before)


def test_without_javascript_it_is_a_plain_table(chromium: "Browser", home: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{home}models/")
    assert page.locator(".zoo-table tbody tr").count() == len(list_models())
    assert page.locator(".zoo-controls").count() == 0
    assert head(page, "Accuracy").inner_text() == "Accuracy"
    context.close()


def test_it_fits_the_window_as_a_table_or_as_cards(window: Window) -> None:
    page = window.open("models/").page
    row = page.locator(".zoo-table tbody tr").filter(has_text="resnet50").last
    box = page.locator(".zoo-models")
    assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
    label = (
        row.locator("td").nth(1).evaluate("(cell) => getComputedStyle(cell, '::before').content")
    )
    if window.look.width < 720:
        assert label == '"Parameters"'
        assert row.evaluate("(row) => row.getBoundingClientRect().height") > 200
        page.get_by_role("combobox", name="Sort by").select_option("Model")
        assert shown(page) == sorted(list_models())
        page.get_by_role("button", name="ascending").click()
        assert shown(page) == sorted(list_models(), reverse=True)
    else:
        assert label == "none"
        assert not page.get_by_role("combobox", name="Sort by").is_visible()


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "vit_b_16", "lenet", "gru"])
def test_the_diagram_of_a_model_is_seen_at_once(window: Window, name: str) -> None:
    page = window.open(f"models/{name}/").page
    box = page.locator(".zoo-diagram").bounding_box()
    assert box
    assert box["height"] <= 905
    if window.look.width > 720:
        assert box["y"] < 300
        tables = page.locator(".zoo-scroll:visible").all()
        assert tables
        assert all(t.evaluate("(box) => box.scrollWidth <= box.clientWidth") for t in tables)


def test_a_wide_table_scrolls_with_the_keyboard(window: Window) -> None:
    page = window.open("models/name_classifier/").page
    box = page.get_by_role("region", name="Layers of name_classifier")
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    moved = box.evaluate("(box) => box.scrollLeft > 0")
    assert moved == (window.look.width < 720)
