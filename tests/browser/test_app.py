"""What a person does, in a real browser: open, choose, click, follow a link, break a file."""

import json
import math
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from tensorboard.util.tensor_util import make_tensor_proto

from tests.browser.conftest import Server, own_stop, ready
from tests.event_files import NAME, scalar, tensor, write

pytestmark = pytest.mark.browser
PAGES = ["Overview", "Architecture", "Training curves", "Embeddings", "Hard examples", "Saliency"]


def go(page, name):
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    page.wait_for_timeout(300)
    ready(page)


def address(name):
    return "" if name == "Overview" else name.replace(" ", "_")


def heading(page):
    return page.get_by_test_id("stMain").get_by_role("heading").first.inner_text()


def no_errors(page):
    assert page.get_by_test_id("stAlertContentError").count() == 0
    assert page.get_by_test_id("stException").count() == 0


def click_a_point(page, chart):
    """Moves over a canvas until a tooltip names an example and shows its picture, clicks there;
    gives the example."""
    canvas = chart.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tip = page.locator("#vg-tooltip-element.visible")
    for row in range(4, 36):
        for column in range(2, 39):
            page.mouse.move(
                box["x"] + box["width"] * column / 40, box["y"] + box["height"] * row / 40
            )
            if tip.count() and (found := re.search(r"example\s*(\d+)", tip.inner_text())):
                shown = "() => document.querySelector('#vg-tooltip-element img')?.naturalWidth === 64"
                page.wait_for_function(shown)
                page.mouse.down()
                page.mouse.up()
                return int(found[1])
    raise AssertionError("no point was found under the mouse")


def test_a_first_visit_shows_the_sample_and_every_page(server, page):
    page.goto(server.url)
    ready(page)
    assert heading(page) == "shapes-cnn.safetensors"
    page.get_by_text(re.compile(r"of 2,000 right \(\d\d\.\d %\)")).wait_for()
    for name in PAGES[1:]:
        go(page, name)
        assert heading(page) == name
        no_errors(page)
    assert page.outside == []


def test_pick_a_model_click_a_point_see_its_picture_and_explain_it(server, page):
    page.goto(f"{server.url}/Embeddings")
    ready(page)
    page.get_by_test_id("stSidebarUserContent").get_by_role("combobox").first.click()
    page.get_by_role("option", name="digits-cnn.safetensors").click()
    page.wait_for_timeout(500)
    ready(page)
    assert "model=digits-cnn.safetensors" in page.url
    example = click_a_point(page, page.get_by_test_id("stVegaLiteChart").first)
    page.get_by_text("1 example chosen").wait_for()
    ready(page)
    card = page.locator("button.card")
    assert card.count() == 1
    assert f"#{example}" in card.inner_text()
    assert card.locator("img").get_attribute("src").startswith("data:image/webp;base64,")
    assert f"examples={example}" in page.url
    go(page, "Saliency")
    assert f"#{example}" in page.locator("button.card").inner_text()
    assert page.get_by_text("Grad-CAM", exact=True).count() >= 1
    no_errors(page)


def test_the_first_request_after_a_start_may_be_a_deep_link(browser, page, tmp_path):
    server = Server(tmp_path)
    try:
        page.goto(
            f"{server.url}/Hard_examples?model=digits-cnn.safetensors&data=digits-test.json&logs=none&examples=3,17&hardness=Margin"
        )
        ready(page)
        assert heading(page) == "Hard examples"
        assert page.get_by_test_id("stSidebarNav").get_by_role("link").count() == len(PAGES)
        assert page.get_by_text("2 examples chosen").count() == 1
        assert page.locator("button.card", has_text="#17").count() >= 1
        assert page.get_by_role("radio", name="Margin").is_checked()
        no_errors(page)
    finally:
        server.stop()


def test_a_copied_link_opens_the_same_view(server, browser, page):
    page.goto(f"{server.url}/Hard_examples?model=digits-cnn.safetensors")
    ready(page)
    page.locator("button.card").nth(2).click()
    page.get_by_text("1 example chosen").wait_for()
    ready(page)
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stPopoverBody").get_by_test_id("stCode").inner_text().strip()
    assert "examples=" in link
    other = browser.new_context().new_page()
    other.goto(link)
    ready(other)
    assert other.get_by_text("1 example chosen").count() == 1
    assert heading(other) == "Hard examples"
    other.context.close()


def test_the_way_back_keeps_choices_and_settings(server, page):
    page.goto(f"{server.url}/Training_curves?model=digits-cnn.safetensors")
    ready(page)
    go(page, "Architecture")
    page.get_by_label("Find", exact=True).fill("conv")
    page.get_by_label("Find", exact=True).press("Enter")
    ready(page)
    assert "find=conv" in page.url
    go(page, "Overview")
    assert "model=digits-cnn.safetensors" in page.url
    page.go_back()
    page.wait_for_timeout(1000)
    ready(page)
    assert heading(page) == "Architecture"
    assert page.get_by_label("Data set", exact=True).input_value() == "digits-test.json"
    for _ in range(4):
        if heading(page) != "Training curves":
            page.go_back()
            page.wait_for_timeout(1000)
            ready(page)
    assert heading(page) == "Training curves"
    assert page.get_by_label("Training logs", exact=True).input_value() == "logs/digits"
    no_errors(page)


def test_a_finding_opens_its_examples_though_others_were_chosen(server, page):
    page.goto(f"{server.url}/?examples=3,4")
    ready(page)
    page.get_by_role("button", name=re.compile(r"\d+ pictures?")).first.click()
    page.wait_for_timeout(1000)
    ready(page)
    assert heading(page) == "Hard examples" and "examples=" in page.url
    assert page.get_by_text("2 examples chosen").count() == 0
    no_errors(page)


def test_another_sample_leaves_the_chosen_examples_what_they_are(server, page):
    page.goto(f"{server.url}/Embeddings?model=digits-cnn.safetensors&data=digits-all.json&sample=500")
    ready(page)
    example = click_a_point(page, page.get_by_test_id("stVegaLiteChart").first)
    page.get_by_text("1 example chosen").wait_for()
    ready(page)
    card = page.locator("button.card")
    path = f"digits/{example:04d}.png"  # as the data set numbers its pictures
    assert f"#{example}" in card.inner_text() and path in card.get_attribute("title")
    assert f"examples={example}" in page.url
    picture = card.locator("img").get_attribute("src")
    for sample in ("all", "500"):
        page.get_by_label("Examples used", exact=True).click()
        page.get_by_role("option", name=sample, exact=True).click()
        page.wait_for_timeout(500)
        ready(page)
        assert f"#{example}" in card.inner_text() and path in card.get_attribute("title"), sample
        assert card.locator("img").get_attribute("src") == picture, sample
        assert f"examples={example}" in page.url, sample
    no_errors(page)


def test_a_correction_of_the_card_is_in_the_address(server, browser, page):
    page.goto(f"{server.url}/?model=digits-cnn.safetensors")
    ready(page)
    before = page.get_by_text(re.compile("of 504 right")).inner_text()
    page.get_by_role("button", name="Model card").click()
    page.get_by_label("Mean", exact=True).fill("0.9")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_timeout(1000)
    ready(page)
    after = page.get_by_text(re.compile("of 504 right")).inner_text()
    assert after != before
    assert "card=" in page.url
    other = browser.new_context().new_page()
    other.goto(page.url)
    ready(other)
    assert other.get_by_text(re.compile("of 504 right")).inner_text() == after
    other.context.close()


def test_a_broken_upload_is_one_message_and_nothing_is_lost(server, page):
    page.goto(f"{server.url}/?model=digits-cnn.safetensors")
    ready(page)
    page.get_by_role("button", name="Add file").click()
    page.locator("input[type=file]").set_input_files(
        {
            "name": "net.pt",
            "mimeType": "application/octet-stream",
            "buffer": b"<!DOCTYPE html><title>404</title>",
        }
    )
    told = page.get_by_test_id("stAlertContentError").inner_text()
    assert "net.pt" in told
    assert "HTML" in told
    ready(page)
    page.get_by_text(re.compile("of 504 right")).wait_for()
    assert page.get_by_test_id("stException").count() == 0
    assert heading(page) == "digits-cnn.safetensors", "what was open is open"
    assert "model=digits-cnn.safetensors" in page.url
    go(page, "Architecture")
    no_errors(page)


def test_of_files_added_together_those_that_open_are_opened(server, page, samples):
    page.goto(f"{server.url}/?model=digits-cnn.safetensors")
    ready(page)
    page.get_by_role("button", name="Add file").click()
    broken, unknown, log = (
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        for name, content in (
            ("net.pt", b"<!DOCTYPE html><title>404</title>"),
            ("notes.xyz", b"nothing that is known"),
            ("run.csv", b"epoch,loss\n1,0.5\n2,0.25\n"),
        )
    )
    page.locator("input[type=file]").set_input_files([broken, unknown, log])
    page.wait_for_url(re.compile("logs=run.csv(/|%2F)uploaded"))
    ready(page)
    told = page.get_by_test_id("stAlertContentError").all_inner_texts()
    assert [name for name in ("net.pt", "notes.xyz") for words in told if name in words] == [
        "net.pt", "notes.xyz"]
    assert heading(page) == "digits-cnn.safetensors"
    page.reload()  # the address says all that is open, also what was a default before
    ready(page)
    assert page.get_by_test_id("stAlertContentError").count() == 0
    assert "logs=run.csv" in page.url


def test_settings_and_corrections_outlive_a_page_change(server, page):
    page.goto(f"{server.url}/Hard_examples?card=%7B%22title%22%3A%22Own%22%7D")
    ready(page)
    page.get_by_test_id("stMain").get_by_text("Margin", exact=True).click()
    page.wait_for_url(re.compile("hardness=Margin"))
    ready(page)
    for name in ("Saliency", "Hard examples", "Overview"):
        go(page, name)
        page.wait_for_url(re.compile("card="))
        if name == "Hard examples":
            page.wait_for_url(re.compile("hardness=Margin"))
    page.get_by_text("Own · ").wait_for()
    page.go_back()
    page.wait_for_url(re.compile("hardness=Margin"))


def test_the_open_tab_of_each_page_is_open_again(server, page):
    page.goto(f"{server.url}/Architecture")
    ready(page)
    page.get_by_role("tab", name="Graph").click()
    page.wait_for_url(re.compile("view=Graph"))
    go(page, "Training curves")
    page.get_by_role("tab", name="Runs").click()
    page.wait_for_url(re.compile("curves=Runs"))
    ready(page)
    go(page, "Architecture")
    page.get_by_role("tab", name="Graph", selected=True).wait_for()
    page.go_back()
    page.get_by_role("tab", name="Runs", selected=True).wait_for()
    page.wait_for_url(re.compile(r"Training_curves\?curves=Runs$"))  # defaults are not in it
    no_errors(page)


def test_an_uploaded_model_is_opened_with_its_card(server, page, samples):
    page.goto(server.url)
    ready(page)
    page.get_by_role("button", name="Add file").click()
    page.locator("input[type=file]").set_input_files(
        [samples / "digits-cnn.card.json", samples / "digits-cnn.safetensors"]
    )
    page.wait_for_url(re.compile("model=digits-cnn.safetensors(/|%2F)uploaded.*card="))
    ready(page)
    assert heading(page) == "digits-cnn.safetensors"
    title = json.loads((samples / "digits-cnn.card.json").read_text(encoding="utf-8"))["title"]
    page.get_by_text(f"{title} · ").wait_for()


def test_a_pass_is_stopped_and_started_again_while_the_page_stays_usable(browser, page, tmp_path):
    server = Server(tmp_path, OMP_NUM_THREADS="1")
    try:
        page.goto(
            f"{server.url}/?model=shapes-vit.safetensors&data=shapes-train.json&logs=logs%2Fshapes"
        )
        page.get_by_text(re.compile(r"of 4,000 examples, [\d,]+ a second, .* left")).wait_for()
        assert heading(page) == "shapes-vit.safetensors"
        own_stop(page).click()
        page.get_by_text("was stopped, so").wait_for()
        go(page, "Architecture")
        no_errors(page)
        go(page, "Overview")
        assert page.get_by_text("was stopped, so").count() == 1, "what was stopped stays stopped"
        page.get_by_role("button", name="Start again").click()
        page.get_by_text(re.compile(r"of 4,000 right")).wait_for()
    finally:
        server.stop()


class Listener(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(404)
        self.end_headers()

    def log_message(self, *words):
        pass


def test_names_from_files_are_text_and_cause_no_outside_request(browser, page, tmp_path, samples):
    import json

    listener = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    lure = f"![x](http://127.0.0.1:{listener.server_port}/x.png)"
    names = [
        lure,
        "<img src=x onerror=alert(1)>",
        "**bold** :red[x] $y$ www.evil.example HTTPS://evil.example a@evil.example",
        *(f"class {i} {lure}" for i in range(7)),
    ]
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "net.safetensors").write_bytes((samples / "digits-cnn.safetensors").read_bytes())
    card = json.loads((samples / "digits-cnn.card.json").read_text()) | {
        "class_names": names,
        "title": lure,
        "data": None,
    }
    (folder / "net.card.json").write_text(
        json.dumps({k: v for k, v in card.items() if v is not None})
    )
    said = f"{' '.join(names)}\n\n|a|b|\n|---|---|\n|1|{lure}|\n"
    run = tmp_path / "logs" / "run www.evil.example"
    write(run / NAME, [scalar("www.evil.example", 0, 1), scalar("www.evil.example", 1, math.nan),
                       tensor(lure, 0, make_tensor_proto(said.encode()), "text")])
    server = Server(tmp_path / "cache", "--models", str(folder), "--logs", str(run.parent))
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    try:
        for name in PAGES:
            page.goto(
                f"{server.url}/{address(name)}?model=net.safetensors&data=digits-test.json"
            )
            ready(page)
            no_errors(page)
            _leads_nowhere(page, server.url)
        page.goto(f"{server.url}/Training_curves?curves=Pictures+and+text")
        page.get_by_test_id("stMain").locator("table").wait_for()
        ready(page)
        _leads_nowhere(page, server.url)
        assert Listener.asked == []
        assert page.outside == []
    finally:
        server.stop()
        listener.shutdown()


def _leads_nowhere(page, own):
    """Links are the app's own, and to the papers of methods."""
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(link => link.href)")
    assert [link for link in links if not link.startswith((own, "https://arxiv.org/"))] == []


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_every_page_fits_its_width(server, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(90_000)
    for name in PAGES:
        page.goto(f"{server.url}/{address(name)}")
        ready(page)
        no_errors(page)
        wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert wide <= width, name
    context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_many_chosen_cards_leave_the_first_chart_near_the_top(server, browser, width):
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{server.url}/Hard_examples?examples={','.join(map(str, range(60)))}")
    ready(page)
    cards = page.locator(".cards").first
    assert cards.locator(".card").count() == 60
    seen, whole = cards.evaluate("cards => [cards.clientHeight, cards.scrollHeight]")
    assert 200 < seen < 500 < whole  # two rows and a part of the third
    cards.locator(".card").last.scroll_into_view_if_needed()
    assert cards.evaluate("cards => cards.scrollTop") > 0
    assert page.locator(".cards").nth(1).evaluate("cards => cards.scrollHeight <= cards.clientHeight")
    context.close()


@pytest.mark.parametrize("part", ["Saliency", "Architecture?view=Activations"])
def test_many_chosen_cards_are_one_row_above_what_is_said_of_the_first(server, page, part):
    numbers = ",".join(map(str, range(200)))
    page.goto(f"{server.url}/{part}{'&' if '?' in part else '?'}examples={numbers}")
    ready(page)
    cards = page.locator(".cards.strip")
    assert cards.locator(".card").count() == 200
    each = [cards.locator(".card").nth(place).bounding_box() for place in (0, 1, 50, 199)]
    assert len({box["y"] for box in each}) == 1
    seen, whole = cards.evaluate("cards => [cards.clientWidth, cards.scrollWidth]")
    assert seen < 1280 < whole
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 1280
    if part == "Saliency":
        assert page.get_by_role("heading", level=4).bounding_box()["y"] < 500
    cards.locator(".card").last.click()  # scrolls there
    page.wait_for_timeout(500)
    ready(page)
    assert "examples=199%2C0%2C1%2C" in page.url or "examples=199,0,1," in page.url
    assert "#199" in cards.locator(".card").first.inner_text()
    assert cards.evaluate("cards => cards.scrollLeft") == 0
