"""The graph on the page Architecture, of each form of file: found, clicked, coloured, saved."""

import io
import re
from pathlib import Path
from urllib.parse import urlparse
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.browser.conftest import Server, ready
from tests.conftest import ROOT

pytestmark = pytest.mark.browser
# A file, and a layer of it: what is looked for, and what the panel says then.
FORMS = [
    ("shapes-cnn.safetensors", "stage2.conv", "24 maps of 32 × 32"),
    ("shapes-cnn.pt2", "stage2.conv", "24 maps of 32 × 32"),
    ("shapes-cnn.torchscript.pt", "stage2.conv", "24 maps of 32 × 32"),
    ("shapes-cnn.onnx", "stage2.conv", "24 maps of 32 × 32"),
    ("digits-keras.keras", "norm1", "maps of"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The samples, and a file of weights named as TensorFlow names them."""
    folder = tmp_path_factory.mktemp("models")
    weights = {f"body/{layer}/{name}": torch.ones(3, 4) for layer in ("first", "second")
               for name in ("kernel:0", "bias:0")}
    save_file(weights | {"head/kernel:0": torch.ones(4, 2)}, folder / "slashes.safetensors")
    models = ":".join(map(str, (ROOT / "sample_models", folder)))
    server = Server(tmp_path_factory.mktemp("graph-cache"), NETLENS_MODELS=models)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for all, loaded once: models and tabs are chosen as a person does."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.asked = set()
    page.on("request", lambda request: page.asked.add(urlparse(request.url).hostname))
    page.goto(f"{server.url}/Architecture?model={FORMS[0][0]}&view=Graph")
    page.locator(".box[data-boxes]").wait_for()
    yield page
    context.close()


def opened(page, model):
    """The graph of a model, as a newcomer sees it."""
    box = page.locator(".box")
    chosen = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Model")
    if page.evaluate("new URLSearchParams(location.search).get('model')") != model:
        box.evaluate("box => delete box.dataset.boxes")  # comes again with the next drawing
        chosen.fill(model)
        page.get_by_role("option", name=model, exact=True).click()
    page.locator(".box[data-boxes]").wait_for()


def find(page, words):
    page.get_by_role("searchbox", name="Find a layer or operator").fill(words)
    page.get_by_role("searchbox", name="Find a layer or operator").press("Enter")


def panel(page, title, said):
    """Waits for the heading of what was clicked, and for what is said of it."""
    page.get_by_role("heading", name=title, exact=True).wait_for()
    page.get_by_test_id("stMain").get_by_text(said).first.wait_for()
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_test_id("stAlertContentError").count() == 0


def state(page):
    return page.locator(".box").evaluate("""box => [box.dataset.boxes, box.dataset.zoom,
        box.parentElement.querySelector(".facts").textContent,
        box.parentElement.querySelector("select").value]""")


def saved(page, kind):
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    return Path(download.value.path()).read_bytes()


def boxes(page):
    return int(page.locator(".box[data-boxes]").get_attribute("data-boxes"))


def test_each_form_of_file_is_drawn_and_a_click_shows_the_layer(page):
    for model, layer, said in FORMS:
        opened(page, model)
        assert boxes(page) >= 6, model
        find(page, layer)
        panel(page, layer, said)
    assert page.asked <= {"127.0.0.1", None}


def test_weights_alone_are_a_tree_with_the_reason(page):
    opened(page, "slashes.safetensors")
    page.get_by_text("without the flow between them").wait_for()
    find(page, "body.second")
    panel(page, "body.second", "2 tensors")


def test_a_click_on_a_box_selects_it_whether_layer_or_operation(page):
    opened(page, "shapes-vit.safetensors")
    find(page, "add")  # of the positions
    panel(page, "add", "tokens with")
    page.locator("canvas").first.scroll_into_view_if_needed()
    shown = page.locator(".facts").inner_text()
    assert " · add · " in shown
    box = page.locator(".box").first.bounding_box()
    page.mouse.click(box["x"] + 8, box["y"] + box["height"] - 8)  # beside all boxes
    page.get_by_text("Click a box to see its row").wait_for()
    ready(page)
    page.locator("canvas").first.scroll_into_view_if_needed()
    box = page.locator(".box").first.bounding_box()  # the page is shorter without the panel
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)  # where it was found
    panel(page, "add", "tokens with")
    page.get_by_text("It reads 1 tensor of weights: position.").wait_for()
    assert page.locator(".facts").inner_text() == shown


def test_colours_folds_zoom_and_selection_survive_a_rerun_and_another_page(page):
    opened(page, "shapes-vit.safetensors")
    page.get_by_role("button", name="Fold all", exact=True).click()
    folded = boxes(page)
    find(page, "blocks.1.attention.key")  # lies in a folded group
    panel(page, "blocks.1.attention.key", "tokens with")
    for colour in ("multiply_adds", "memory", "parameters"):
        page.locator(".bar select").select_option(colour)
        assert page.locator(".legend").inner_text().startswith("0 to ")
    page.get_by_role("button", name="Zoom in").click()
    before = state(page)
    assert int(before[0]) > folded
    assert before[3] == "parameters"
    page.keyboard.press("r")  # Streamlit's key for a rerun
    ready(page)
    assert state(page) == before
    navigation = page.get_by_test_id("stSidebarNav")
    navigation.get_by_role("link", name="Overview").click()
    page.locator(".box").wait_for(state="detached")
    navigation.get_by_role("link", name="Architecture").click()
    page.get_by_role("tab", name="Graph").click()
    panel(page, "blocks.1.attention.key", "tokens with")
    assert state(page) == before


def test_dead_units_are_a_colour_once_they_are_measured(page):
    opened(page, "shapes-cnn.safetensors")
    page.get_by_role("tab", name="Activations").click()
    page.get_by_text("Over the data", exact=True).click()
    page.get_by_text(re.compile(r"dead units? of")).wait_for()
    page.get_by_role("tab", name="Graph").click()
    page.locator(".box[data-boxes]").wait_for()
    page.locator(".bar select").select_option("dead")
    assert re.match(r"0 to [\d.]+ % in one box", page.locator(".legend").inner_text())


def test_the_files_are_whole(page):
    opened(page, "shapes-cnn.safetensors")
    page.get_by_role("button", name="Unfold all").click()
    number = boxes(page)
    drawing = ElementTree.fromstring(saved(page, "SVG"))
    texts = [text.text for text in drawing.iter() if text.tag.endswith("text")]
    assert "head · linear" in texts and len(texts) >= number
    picture = Image.open(io.BytesIO(saved(page, "PNG")))
    assert min(picture.size) > 100 and len(picture.convert("RGB").getcolors(1 << 24)) > 5
    dot = saved(page, "DOT").decode()
    text = re.sub(r'"(\\.|[^"\\])*"', "", dot)  # without what is quoted
    assert dot.startswith("digraph") and text.count("{") == text.count("}") > 1
    numbers = set(re.findall(r"^n(\d+) \[", dot, re.M))
    assert len(numbers) == number
    assert {end for edge in re.findall(r"n(\d+) -> n(\d+);", dot) for end in edge} == numbers
