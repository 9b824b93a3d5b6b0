"""A drawing of core.ui.components alone on an empty page."""

from typing import Any

from playwright.sync_api import Page

from core.ui.components import Sources

SCRIPT = """(() => { %s
    const parentElement = document.querySelector("#host");
    const setStateValue = (name, value) => window.sent.push([name, value]);
    window.draw = () => component({ data: window.data, parentElement, setStateValue });
    window.draw();
    Object.assign(window, { shown: VIEWS.get(parentElement), %s });
})()"""


def placed(page: Page, sources: Sources, data: dict[str, Any], width: int = 700,
           names: tuple[str, ...] = ()) -> Page:
    """What it tells the page is in window.sent, its View in window.shown, and of its scripts these
    `names` too; window.draw() is a rerun with window.data."""
    page.set_content(f"<style>{sources.css}</style>"
                     f"<div id=host style='width:{width}px'>{sources.html}</div>")
    page.evaluate("data => { window.data = data; window.sent = []; }", data)
    script = sources.js.replace("export default function", "function component")
    page.add_script_tag(content=SCRIPT % (script, ", ".join(names)))
    return page
