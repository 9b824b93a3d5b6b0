"""Rules of the house: imports point down, nothing is executed, pages are thin."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FILES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "Home.py"])
PAGES = sorted(ROOT.glob("pages/*.py"))
LAZY = {
    "umap",
    "tensorflow",
    "keras",
    "onnx",
    "onnxruntime",
    "sklearn",
    "captum",
    "tf_explain",
    "h5py",
}
FEATURES = {
    "overview",
    "hard_examples",
    "embeddings",
    "explain",
    "architecture",
    "training_curves",
    "compare",
    "data_flow",
    "setup_finder",
}
BASE = {
    "errors",
    "plugins",
    "card",
    "device",
    "layers",
    "library",
    "cache",
    "inference",
    "jobs",
    "store",
    "preprocess",
    "labels",
    "images",
}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imports(path, outermost=False):
    """Modules that a file imports; `outermost`: only those imported when the file is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if outermost else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_streamlit_and_altair_are_imported_only_where_things_are_drawn(path):
    drawn = (
        path.is_relative_to(ROOT / "core/ui")
        or path.parent.name == "pages"
        or path.name in ("cache.py", "Home.py")
    )
    tops = {module.partition(".")[0] for module in imports(path)}
    assert drawn or not tops & {"streamlit", "altair"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path):
    mine = path.relative_to(ROOT).parts
    for module in imports(path):
        assert not module.startswith(("pages", "Home", "tests", "sample_models")), module
        if mine[0] == "core" and mine[1] not in ("ui", "__main__.py"):
            assert not module.startswith("core.ui"), module
        if mine[0] == "core" and path.stem in BASE | FEATURES and len(mine) == 2:
            assert module not in {
                f"core.{name}" for name in (FEATURES | {"score", "reports"}) - {path.stem}
            }, module


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_are_thin(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert not {m.partition(".")[0] for m in imports(path)} & {"torch", "numpy", "torchvision"}
    assert ast.get_docstring(tree).partition("\n")[0].endswith("?"), (
        "the first line is the page's question"
    )
    assert "chosen = page()" in text
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno <= 40, node.name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_are_imported_inside_functions(path):
    assert not {m.partition(".")[0] for m in imports(path, outermost=True)} & LAZY


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_that_a_file_says_is_executed(path):
    forbidden_calls = {"eval", "exec", "compile", "__import__"}
    forbidden_attributes = {
        ("torch", "load"),
        ("jit", "load"),
        ("export", "load"),
        ("pickle", "load"),
        ("pickle", "loads"),
        ("hub", "load"),
        ("os", "system"),
        ("pd", "read_pickle"),
    }
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name):
            assert function.id not in forbidden_calls, node.lineno
        elif isinstance(function, ast.Attribute):
            owner = function.value
            owner = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            assert (owner, function.attr) not in forbidden_attributes, node.lineno
            assert function.attr not in ("query", "backward"), node.lineno
        for keyword in node.keywords:
            allowed = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            assert keyword.arg != "allow_pickle" or allowed, node.lineno


def test_what_the_first_page_needs_imports_nothing_heavy():
    script = (
        "import sys\nimport core.ui.frame, core.overview, core.hard_examples\n"
        "import core.ui.overview, core.ui.charts\n"
        "from core.plugins import discover\n"
        "for p in ('model_formats', 'dataset_formats', 'log_formats', 'architectures'):\n"
        "    discover(f'core.{p}', 'FORMAT')\n"
        f"print(sorted(set({sorted(LAZY)!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_reading_logs_imports_nothing_heavy():
    script = (
        "import sys, core.logs, core.reports, core.__main__\n"
        "print([m for m in ('torch', 'streamlit', 'altair', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_file_names_a_place_of_the_machine_that_made_it():
    told = [str(Path.home())] if len(str(Path.home())) > 5 else []
    for path in [
        *FILES,
        *ROOT.glob("tests/**/*.py"),
        *ROOT.glob("*.md"),
        *ROOT.glob("sample_models/*.json"),
    ]:
        text = path.read_text(encoding="utf-8")
        assert not [place for place in told if place in text], path


@pytest.mark.parametrize("path", [path for path in FILES if "ui" in path.parts], ids=name_of)
def test_fragments_that_run_by_themselves_have_their_own_place(path):
    """See core.ui.boundary._own_place: without it the page is empty on a slow machine."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    timed = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and any("run_every" in ast.unparse(decorator) for decorator in function.decorator_list)
    }
    placed = [
        ast.unparse(call.func)
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and "_own_place" in ast.unparse(block.items[0])
        for call in ast.walk(block)
        if isinstance(call, ast.Call)
    ]
    called = [ast.unparse(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call)]
    assert [name for name in called if name in timed] == [name for name in placed if name in timed]
