"""The drawings of our own: all their scripts are joined, and none comes from elsewhere."""

from importlib import import_module

import pytest

from core.ui.components import HERE, MOUNT

FOLDERS = sorted(script.parent.name for script in HERE.glob("*/view.js"))


def test_the_drawings_are_found():
    assert {"graph", "parallel", "tree"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_script_is_in_the_module_once_and_only_the_last_exports(folder):
    js = import_module(f"core.ui.components.{folder}").SOURCES.js
    scripts = [*(HERE / folder).glob("*.js"), MOUNT]
    assert [js.count(script.read_text(encoding="utf-8")) for script in scripts] == [1] * len(scripts)
    assert js.endswith(MOUNT.read_text(encoding="utf-8"))
    assert js.count("\nexport ") == 1 and "\nimport " not in js


SENT = sorted(file for file in HERE.rglob("*.*") if file.suffix in (".js", ".css", ".html"))


@pytest.mark.parametrize("file", SENT, ids=lambda file: file.name)
def test_nothing_is_loaded_from_a_network(file):
    said = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "://" not in said and "@import" not in said
