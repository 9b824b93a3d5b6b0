"""The tree of layers in Chromium: branches, keys, sorting; only what is in view is drawn."""

from dataclasses import asdict

import pandas as pd
import pytest
import torch
import torchvision

from core.ui.components.tree import SOURCES, Column
from core.ui.layer_tree import tree_rows
from tests.browser.conftest import Server, ready
from tests.browser.empty_page import placed

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=alert(1)>"


def shown(page, names, folded=(), columns=None):
    """The component on an empty page; what it tells the page is in window.sent."""
    rows = tree_rows(pd.Series(names), "")
    columns = columns or [Column("Size", "number", [n * 7 % 11 for n in range(len(names))])]
    return placed(page, SOURCES, {
        "rows": asdict(rows), "columns": [asdict(column) for column in columns],
        "folded": list(folded), "heading": "Layer", "height": 500})


def labels(page):
    return page.locator(".line .cell.first span:last-child").all_inner_texts()


def sent(page, kind):
    return [value for name, value in page.evaluate("window.sent") if name == kind]


NAMES = ["a", "a.x", "a.x.1", "a.y", "b", "b.z", EVIL]


def test_branches_close_and_open_by_arrow_and_by_key(page):
    shown(page, NAMES)
    assert labels(page) == ["a", "x", "1", "y", "b", "z", EVIL]
    page.get_by_label("Close a", exact=True).click()
    assert labels(page) == ["a", "b", "z", EVIL]
    page.wait_for_function("window.sent.length")
    assert sent(page, "folded") == ["[0]"]
    assert "3 of 7 rows" in page.locator(".foot").inner_text()
    for key in ("Home", "ArrowRight"):
        page.keyboard.press(key)
    assert labels(page) == ["a", "x", "1", "y", "b", "z", EVIL]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):  # to 1, back, shut x
        page.keyboard.press(key)
    assert labels(page) == ["a", "x", "y", "b", "z", EVIL]
    page.wait_for_function("window.sent.at(-1)[1] === '[1]'")  # a slow machine tells the steps too
    assert page.locator("img").count() == 0


def test_a_row_is_chosen_by_click_and_by_key_and_let_go(page):
    shown(page, NAMES)
    page.locator(".line", has_text="y").click()
    page.locator(".tree").press("ArrowDown")
    page.locator(".tree").press("Enter")
    page.locator(".tree").press("Enter")
    assert sent(page, "row") == [3, 4, None]
    assert page.locator('.line[aria-selected="true"]').count() == 0


def test_folds_and_choice_outlast_a_rerun(page):
    shown(page, NAMES, folded=(4,))
    assert labels(page) == ["a", "x", "1", "y", "b", EVIL]
    page.get_by_label("Close a.x", exact=True).click()
    page.locator(".line", has_text="y").click()
    page.wait_for_function("window.sent.length > 1")
    page.evaluate("() => { window.data.folded = []; window.draw(); }")  # the page lags behind
    assert labels(page) == ["a", "x", "y", "b", EVIL]
    assert page.locator('.line[aria-selected="true"]').inner_text().startswith("y")


def test_sorting_lays_the_rows_flat_and_the_third_click_is_the_tree(page):
    values = [3.0, None, 10.0, 2.0, 1.0, None, 7.0]
    shown(page, NAMES, columns=[Column("Size", "number", values), Column("Kind", "text", ["k"] * 7)])
    head = page.locator(".head .cell", has_text="Size")
    orders = []
    for _ in range(3):
        head.click()
        orders.append(labels(page))
    assert orders[0] == ["a.x.1", EVIL, "a", "a.y", "b", "a.x", "b.z"]  # the missing ones last
    assert orders[1] == ["b", "a.y", "a", EVIL, "a.x.1", "a.x", "b.z"]
    assert orders[2] == ["a", "x", "1", "y", "b", "z", EVIL]
    page.locator(".head .cell", has_text="Kind").click()
    assert labels(page) == NAMES  # equal ones in the order of the tree


def test_of_thousands_only_those_in_view_are_drawn(page):
    names = [name for n in range(400) for name in
             (f"b{n}", *(f"b{n}.{part}" for part in "vwxyz"))]
    shown(page, names)
    assert page.locator(".line").count() < 50
    page.locator(".tree").focus()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.line.at')?.textContent.startsWith('z')")
    assert page.locator(".line").count() < 50
    assert page.locator(".body").evaluate("e => e.clientHeight") == 32 * len(names)


def test_headings_are_reached_and_sort_by_key_and_keep_the_focus(page):
    more = [Column(f"Column {n}", "text", ["v" * 20] * 7) for n in range(6)]
    sizes = Column("Size", "number", [3.0, None, 10.0, 2.0, 1.0, None, 7.0])
    shown(page, NAMES, columns=[*more, sizes])
    focused = "document.activeElement.textContent"
    page.locator(".tree").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Layer"
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "Size ↓"
    assert labels(page)[:2] == ["a.x.1", EVIL]
    title, table = (page.locator(one).bounding_box() for one in (".head .cell:focus", ".tree"))
    assert title["x"] + title["width"] <= table["x"] + table["width"] + 1  # brought into view
    page.evaluate("() => { window.draw(); }")  # a rerun of the page
    assert page.evaluate(focused) == "Size ↓"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == "Column 5"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert sent(page, "row") == [2]


def test_a_double_click_folds_and_chooses_once(page):
    shown(page, NAMES)
    page.locator(".line", has_text="a").first.dblclick()
    assert labels(page) == ["a", "b", "z", EVIL]
    assert sent(page, "row") == [0]


def test_shares_that_are_little_are_not_said_to_be_none(page):
    shares = Column("Share", "share", [1.0, 0.5, 0.0999, 0.0123, 0.00004, 0.0, None])
    shown(page, NAMES, columns=[shares])
    assert page.locator(".number").all_inner_texts() == [
        "100.0 %", "50.0 %", "10.0 %", "1.23 %", "< 0.01 %", "0 %"]


def test_a_row_fills_a_table_that_is_wider_than_its_columns(page):
    shown(page, NAMES)
    line, cell = (page.locator(one).first.bounding_box() for one in
                  (".line", ".line .cell:last-child"))
    assert abs(cell["x"] + cell["width"] - line["x"] - line["width"]) < 1


def test_decimals_have_three_digits_and_the_smallest_and_largest_an_exponent(page):
    values = [0, -0.01234, 12.3456, -1.5e-7, 2345678.9, None]
    shown(page, list("abcdef"), columns=[Column("Mean", "decimal", values)])
    cells = page.locator(".line .cell.amount").all_inner_texts()
    assert cells == ["0", "-0.0123", "12.3", "-1.50e-7", "2.35e+6", ""]


def test_no_figure_and_no_name_is_cut_and_columns_are_no_wider_than_they_need(page):
    values = [-0.0571, 0.00511, -1.23e-5, 99900.0]
    shapes = ["512 × 256 × 3 × 3", "1 × 1", "64", ""]
    names = ["block", "block.num_batches_tracked", "block.i", "block.WWWWWWWW"]
    shown(page, names, columns=[Column("Mean", "decimal", values), Column("Shape", "text", shapes),
                                Column("Zeros", "percent", [0.00001, 0.5, 1.0, None]),
                                Column("Standard deviation", "number", [1, 2, 3, 4])])
    cells = page.locator(".cell > span:last-child")
    assert cells.evaluate_all("all => all.every((one) => one.scrollWidth <= one.clientWidth)")
    assert "< 0.01 %" in cells.all_inner_texts()
    spare = page.locator(".line").first.locator(".cell").evaluate_all(
        "all => all.slice(1, 4).map((cell) => cell.clientWidth)")
    widest = page.evaluate("""() => [...Array(3).keys()].map((column) => Math.max(
        ...[...document.querySelectorAll(".line")].map((line) => {
            const span = line.children[column + 1].querySelector("span").cloneNode(true);
            document.body.append(span);
            span.style.cssText = "position: absolute; white-space: nowrap; font: 13px var(--st-font)";
            return span.getBoundingClientRect().width;
        })))""")
    assert all(room - words < 40 for room, words in zip(spare, widest, strict=True))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """The app's address with a ResNet-18."""
    folder = tmp_path_factory.mktemp("models")
    torch.save(torchvision.models.resnet18().state_dict(), folder / "resnet18.pth")
    server = Server(tmp_path_factory.mktemp("tree-cache"), NETLENS_MODELS=str(folder))
    yield f"{server.url}/Architecture?model=resnet18.pth&data=none"
    server.stop()


def in_sight(page):
    """Titles of the columns that are seen whole without scrolling."""
    end = page.locator(".tree").evaluate("e => e.getBoundingClientRect().left + e.clientWidth")
    titles = page.locator(".head .cell")
    return [title for title, box in zip(titles.all_inner_texts(), titles.evaluate_all(
        "all => all.map((cell) => cell.getBoundingClientRect().right)"), strict=True)
        if box <= end + 0.5]


def test_what_is_asked_for_most_is_in_sight_in_wide_and_narrow_windows(page, resnet):
    page.goto(resnet)
    page.get_by_role("button", name="Time each layer").click()
    page.get_by_role("columnheader", name="Time").wait_for()
    ready(page)
    assert in_sight(page)[:7] == [
        "Layer", "Type", "Parameters", "Share", "Output", "Multiply-adds", "Time"]
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.querySelector('[data-testid=stMain]').clientWidth < 391")
    page.wait_for_timeout(500)
    assert in_sight(page) == ["Layer", "Type", "Parameters"]
    page.locator(".tree").evaluate("e => e.scrollBy(600, 0)")  # the names stay
    name, table = (page.locator(one).first.bounding_box() for one in (".line .first", ".tree"))
    assert abs(name["x"] - table["x"]) < 3


def test_a_long_type_is_shortened_and_said_where_the_mouse_rests(page):
    long = "NonDynamicallyQuantizableLinear" * 2
    shown(page, NAMES, columns=[Column("Type", "name", ["ReLU"] * 6 + [long])])
    cell = page.locator(".line").last.locator(".cell").nth(1)
    assert cell.get_attribute("title") == long
    assert page.locator(".line").first.locator(".cell").nth(1).get_attribute("title") is None
