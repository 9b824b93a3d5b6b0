"""The sidebar in a browser: what is open stays open, and what was stated stays to be mended."""

import io
import re
import zipfile
from urllib.parse import quote

from PIL import Image

from tests.browser.conftest import ready


def six_pictures() -> bytes:
    """A data set of two classes, too small for a sample of it."""
    packed, drawn = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(drawn, "PNG")
    with zipfile.ZipFile(packed, "w") as archive:
        for row in range(6):
            archive.writestr(f"six/{'cat' if row < 3 else 'dog'}/{row}.png", drawn.getvalue())
    return packed.getvalue()


def test_the_open_popover_stays_open_though_a_field_above_it_goes(server, page):
    page.goto(f"{server.url}/?model=shapes-cnn.safetensors&data=shapes-test.json")
    ready(page)
    assert page.get_by_test_id("stSidebar").get_by_text("Examples used").count() == 1
    page.get_by_role("button", name="Add file").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "six.zip", "mimeType": "application/zip", "buffer": six_pictures()})
    page.wait_for_url(re.compile("data=six.zip"))
    ready(page)
    assert page.get_by_test_id("stSidebar").get_by_text("Examples used").count() == 0
    opened = page.get_by_test_id("stPopoverBody")
    assert opened.count() == 1 and "Model, data set, training log" in opened.inner_text()


def test_a_broken_correction_stays_in_its_field_on_every_page(server, page):
    page.goto(f"{server.url}/?model=digits-cnn.safetensors&card={quote('{bad')}")
    for name in ("Saliency", "Architecture"):
        ready(page)
        page.get_by_role("link", name=name).first.click()
        page.wait_for_url(re.compile(f"{name}.*card="))
    ready(page)
    assert page.get_by_test_id("stAlertContentError").count() == 1
    page.get_by_role("button", name="Model card").click()
    field = page.get_by_label("Corrections as JSON")
    field.and_(page.locator("[value='{bad']")).wait_for()
    field.fill('{"title":"Mine"}')
    field.press("Enter")
    page.wait_for_url(re.compile("Mine"))
    ready(page)
    assert page.get_by_test_id("stAlertContentError").count() == 0
