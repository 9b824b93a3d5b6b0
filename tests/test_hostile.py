"""Every file of the project's own hostile corpus through the library, as uploads are opened."""

import subprocess
import sys
from pathlib import Path

import pytest

from core import library, store
from core.errors import UserError
from tests.hostile_corpus import CASES, OPEN, write_corpus

# Plain torch.load: which payloads are real.
PLAIN_LOAD = """
import sys, pathlib, time, torch
marker, *paths = map(pathlib.Path, sys.argv[1:])
for path in paths:
    try:
        torch.load(path, weights_only=False)
    except Exception:
        pass
    for _ in range(100):  # of a process that was started
        if marker.exists():
            break
        time.sleep(0.02)
    print(int(marker.exists()))
    marker.unlink(missing_ok=True)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, cache_folder):
    """(the folder of the files, which counts as one of uploads; the marker that payloads make)."""
    folder, marker = store.uploads() / "corpus", tmp_path_factory.mktemp("marker") / "fired"
    write_corpus(folder, marker)
    assert not marker.exists()
    return folder, marker


def test_the_corpus_has_each_kind_and_honest_files_of_each():
    kinds = {case.file.split("/")[0] for case in CASES}
    assert kinds == {"checkpoints", "safetensors", "pt2", "torchscript", "keras", "onnx", "others"}
    assert {case.file.split("/")[0] for case in CASES if case.action == OPEN} == kinds - {"others"}
    assert len({case.file for case in CASES}) == len(CASES)


def test_the_payloads_are_real(corpus):
    folder, marker = corpus
    paths = [str(folder / case.file) for case in CASES if case.fires]
    ran = subprocess.run([sys.executable, "-c", PLAIN_LOAD, str(marker), *paths],
                         capture_output=True, text=True, check=True).stdout.split()
    assert dict(zip(paths, ran, strict=True)) == dict.fromkeys(paths, "1")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_each_file_gets_its_answer(case, corpus, tmp_path, monkeypatch):
    folder, marker = corpus
    path = folder / case.file
    files = sorted(folder.rglob("*"))
    monkeypatch.chdir(tmp_path)
    try:
        said = " ".join(library.open_model(library.model_id(path)).notes)
        did = OPEN
    except UserError as error:
        said, did = str(error), "refuse"
        assert Path(case.file).name in said
    assert not marker.exists()
    assert list(tmp_path.iterdir()) == []
    assert sorted(folder.rglob("*")) == files
    assert did == case.action, said
    assert not case.words or any(word in said.lower() for word in case.words), said
