"""The graph on the page Architecture, of each form of file: found, clicked, coloured, saved."""

import io
import re
from pathlib import Path
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


def opened(page, server, model, **more):
    asked = "&".join(f"{name}={value}" for name, value in more.items())
    page.goto(f"{server.url}/Architecture?model={model}&view=Graph&{asked}")
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


def test_each_form_of_file_is_drawn_and_a_click_shows_the_layer(server, page):
    for model, layer, said in FORMS:
        opened(page, server, model)
        assert int(page.locator(".box").get_attribute("data-boxes")) >= 6, model
        find(page, layer)
        panel(page, layer, said)
    assert page.outside == []


def test_a_click_on_a_box_selects_it_whether_layer_or_operation(server, page):
    opened(page, server, "shapes-vit.safetensors", data="shapes-test.json")
    page.locator("canvas").first.scroll_into_view_if_needed()
    find(page, "add")  # of the positions
    shown = page.locator(".facts").inner_text()
    assert " · add · " in shown
    box = page.locator(".box").first.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + 8, box["y"] + box["height"] - 8)  # beside all boxes
    page.get_by_text("Click a box to see its row").wait_for()
    page.mouse.click(*middle)  # where the search brought it
    panel(page, "add", "tokens with")
    page.get_by_text("It reads 1 tensor of weights: position.").wait_for()
    assert page.locator(".facts").inner_text() == shown


def test_colours_folds_zoom_and_selection_survive_a_rerun_and_another_page(server, page):
    opened(page, server, "shapes-vit.safetensors")
    folded = int(page.locator(".box").get_attribute("data-boxes"))
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
    navigation.get_by_role("link", name="Saliency").click()
    page.get_by_role("heading", name="Saliency", exact=True).wait_for()
    navigation.get_by_role("link", name="Architecture").click()
    ready(page)
    page.get_by_role("tab", name="Graph").click()
    panel(page, "blocks.1.attention.key", "tokens with")
    assert state(page) == before


def test_dead_units_are_a_colour_once_they_are_measured(server, page):
    page.goto(f"{server.url}/Architecture?model=shapes-cnn.safetensors&view=Activations"
              "&activations=Over%20the%20data")
    page.get_by_text(re.compile(r"dead units? of")).wait_for()
    page.get_by_role("tab", name="Graph").click()
    page.locator(".box[data-boxes]").wait_for()
    page.locator(".bar select").select_option("dead")
    assert re.match(r"0 to [\d.]+ % in one box", page.locator(".legend").inner_text())


def test_the_files_are_whole(server, page):
    opened(page, server, "shapes-cnn.safetensors")
    page.get_by_role("button", name="Unfold all").click()
    boxes = int(page.locator(".box").get_attribute("data-boxes"))
    drawing = ElementTree.fromstring(saved(page, "SVG"))
    texts = [text.text for text in drawing.iter() if text.tag.endswith("text")]
    assert "head · linear" in texts and len(texts) >= boxes
    picture = Image.open(io.BytesIO(saved(page, "PNG")))
    assert min(picture.size) > 100 and len(picture.convert("RGB").getcolors(1 << 24)) > 5
    dot = saved(page, "DOT").decode()
    text = re.sub(r'"(\\.|[^"\\])*"', "", dot)  # without what is quoted
    assert dot.startswith("digraph") and text.count("{") == text.count("}") > 1
    numbers = set(re.findall(r"^n(\d+) \[", dot, re.M))
    assert len(numbers) == boxes
    assert {end for edge in re.findall(r"n(\d+) -> n(\d+);", dot) for end in edge} == numbers


def test_weights_alone_are_a_tree_with_the_reason(server, page):
    opened(page, server, "slashes.safetensors")
    page.get_by_text("without the flow between them").wait_for()
    find(page, "body.second")
    panel(page, "body.second", "2 tensors")
