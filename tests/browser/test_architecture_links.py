"""A copied link of the page Architecture opens the same view: the tree, the graph, the totals."""

from urllib.parse import parse_qs, urlparse

import pytest

from tests.browser.conftest import ready

pytestmark = pytest.mark.browser
MODEL = "shapes-cnn.safetensors"


def said(page):
    return {key: values[0] for key, values in parse_qs(urlparse(page.url).query).items()}


def until(page, **wanted):
    """Waits until the address says so; None: says nothing."""
    for key, value in wanted.items():
        page.wait_for_function(
            "([key, value]) => new URLSearchParams(location.search).get(key) === value",
            arg=[key, value])


@pytest.fixture
def link(browser, server):
    """Opens an address as somebody does who was sent it."""
    contexts = []

    def opened(address):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(90_000)
        page.goto(address)
        ready(page)
        return page

    yield opened
    for context in contexts:
        context.close()


def test_the_chosen_row_and_the_order_of_the_tree(page, server, link):
    page.goto(f"{server.url}/Architecture?model={MODEL}")
    ready(page)
    page.get_by_role("columnheader", name="Parameters").click()
    until(page, sort="-Parameters")
    page.get_by_role("row").filter(has_text="stage2.conv").first.click()
    until(page, row="stage2.conv")
    page.get_by_role("heading", name="stage2.conv", exact=True).wait_for()
    other = link(page.url)
    other.get_by_role("heading", name="stage2.conv", exact=True).wait_for()
    assert other.locator(".line[aria-selected=true]").inner_text().startswith("stage2.conv")
    lines = "lines => lines.map((line) => line.firstChild.textContent)"
    assert (other.locator(".line").evaluate_all(lines) == page.locator(".line").evaluate_all(lines))
    assert other.locator("[aria-sort=descending]").inner_text().startswith("Parameters")
    other.locator(".line[aria-selected=true]").click()  # is no longer chosen
    until(other, row=None)
    other.get_by_role("columnheader", name="Parameters").click()
    until(other, sort="Parameters")
    other.get_by_role("columnheader", name="Parameters").click()
    until(other, sort=None)
    ready(other)
    assert other.locator(".line[aria-selected=true]").count() == 0


def test_the_selected_box_and_the_colour_of_the_graph(page, server, link):
    page.goto(f"{server.url}/Architecture?model={MODEL}&view=Graph")
    page.locator(".box[data-boxes]").wait_for()
    search = page.get_by_role("searchbox", name="Find a layer or operator")
    search.fill("stage2.conv")
    search.press("Enter")
    page.locator(".bar select").select_option("multiply_adds")
    until(page, graph_colour="multiply_adds")
    page.get_by_role("heading", name="stage2.conv", exact=True).wait_for()
    box = said(page)["box"]
    other = link(page.url)
    other.get_by_role("heading", name="stage2.conv", exact=True).wait_for()
    assert other.locator(".bar select").input_value() == "multiply_adds"
    assert "stage2.conv" in other.locator(".facts").inner_text()
    assert said(other)["box"] == box
    other.locator(".bar select").select_option("type")
    until(other, graph_colour=None, box=box)


@pytest.mark.parametrize("words", [
    "row=no.such.layer&sort=-Nothing", "row=%3Cimg%3E&sort=--", "view=Graph&box=zzz",
    "view=Graph&graph_colour=%22%3E&box=", "view=Graph&graph_colour=dead"])
def test_an_address_that_says_nonsense_opens_the_page(words, server, link):
    page = link(f"{server.url}/Architecture?model={MODEL}&{words}")
    page.get_by_text("parameters in").first.wait_for()
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_test_id("stAlertContentError").count() == 0
    assert not said(page).keys() & {"row", "sort", "box", "graph_colour"}
