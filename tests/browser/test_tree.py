"""The tree of layers in Chromium: branches, keys, sorting; only what is in view is drawn."""

import json
from dataclasses import asdict

import pandas as pd
import pytest

from core.ui.components.tree import HERE, PARTS, Column
from core.ui.layer_tree import tree_rows

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=alert(1)>"


def shown(page, names, folded=(), columns=None):
    """The component on an empty page; what it tells the page is in window.sent."""
    css = (HERE / "tree.css").read_text(encoding="utf-8")
    html = (HERE / "tree.html").read_text(encoding="utf-8")
    script = "\n".join((HERE / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
    rows = tree_rows(pd.Series(names), "")
    columns = columns or [Column("Size", "number", [n * 7 % 11 for n in range(len(names))])]
    data = {"rows": asdict(rows), "columns": [asdict(column) for column in columns],
            "folded": list(folded), "heading": "Layer", "height": 500}
    page.set_content(f"<style>{css}</style><div id=host style='width:700px'>{html}</div>")
    page.evaluate("data => { window.data = data; window.sent = []; }", data)
    page.add_script_tag(content="(() => {" + script.replace(
        "export default function", "window.component = function") + "})()")
    page.evaluate("""() => {
        window.draw = () => component({ data: window.data,
            parentElement: document.querySelector("#host"),
            setStateValue: (name, value) => window.sent.push([name, value]) });
        window.draw();
    }""")
    return page


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
    page.wait_for_function("window.sent.length > 1")
    assert json.loads(sent(page, "folded")[-1]) == [1]
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
