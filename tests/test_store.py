"""Results on disk are whole or absent, bounded, and survive a killed process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core import store
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    return tmp_path


def put(key, **arrays):
    with store.writing(key) as writer:
        for name, values in arrays.items():
            writer.array(name, values.shape, str(values.dtype))[...] = values


def test_what_is_written_is_read_back_and_cannot_be_changed():
    values = np.random.default_rng(0).normal(size=(40, 7)).astype("float32")
    put("a", values=values, empty=np.zeros((0, 3), "float32"))
    found = store.read("a")
    assert np.array_equal(found["values"], values)
    assert found["empty"].shape == (0, 3)
    with pytest.raises(ValueError, match="read-only"):
        found["values"][0, 0] = 1


def test_an_error_while_writing_leaves_nothing(own_folder):
    with pytest.raises(RuntimeError), store.writing("a") as writer:
        writer.array("values", (3,), "float32")
        raise RuntimeError
    assert store.read("a") is None
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncate", "index", "missing"])
def test_a_damaged_result_is_dropped_and_can_be_written_again(own_folder, damage):
    put("a", values=np.ones((100, 9), "float32"))
    file = own_folder / "a" / ("index.json" if damage == "index" else "0.npy")
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-5])
    assert store.read("a") is None
    assert not (own_folder / "a").exists()
    put("a", values=np.ones(3, "float32"))
    assert store.read("a")["values"].sum() == 3


def test_the_oldest_go_first_when_the_limit_is_reached(own_folder, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE_GB", str(250_000 / 1e9))
    for age, key in enumerate("abc"):
        put(key, values=np.zeros(25_000, "float32"))  # 100 kB
        os.utime(own_folder / key, (time.time() - 1000 + age, time.time() - 1000 + age))
    put("d", values=np.zeros(25_000, "float32"))
    assert [key for key in "abcd" if store.read(key) is not None] == ["c", "d"]


def test_what_was_read_last_counts_as_young(own_folder, monkeypatch):
    for age, key in enumerate("ab"):
        put(key, values=np.zeros(25_000, "float32"))
        os.utime(own_folder / key, (time.time() - 1000 + age, time.time() - 1000 + age))
    store.read("a")
    monkeypatch.setenv("NETLENS_CACHE_GB", str(250_000 / 1e9))
    put("c", values=np.zeros(25_000, "float32"))
    assert [key for key in "abc" if store.read(key) is not None] == ["a", "c"]


def test_leftovers_of_dead_processes_are_removed_and_living_ones_kept(own_folder):
    old, young = own_folder / ".x.1", own_folder / ".y.2"
    for place in (old, young):
        place.mkdir()
    os.utime(old, (0, 0))
    store.trim()
    assert not old.exists()
    assert young.exists()


def test_a_process_killed_while_writing_leaves_no_result(own_folder):
    script = (
        "from core import store; import time\n"
        "with store.writing('a') as w:\n"
        "    w.array('v', (1000,), 'float32')[:] = 1\n"
        "    print('writing', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "NETLENS_CACHE": str(own_folder)},
    )
    assert child.stdout.readline() == b"writing\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert store.read("a") is None
    put("a", values=np.ones(4, "float32"))
    assert store.read("a")["values"].sum() == 4


def test_a_key_depends_on_every_part():
    keys = {
        store.key(model="m", data="d"),
        store.key(model="m", data="e"),
        store.key(model="m", data="d", layer="x"),
        store.key(model="n", data="d"),
    }
    assert len(keys) == 4
    assert store.key(b=1, a=2) == store.key(a=2, b=1)


def test_the_folder_is_where_the_environment_says(own_folder):
    assert store.folder() == Path(os.environ["NETLENS_CACHE"]) == own_folder


def test_what_was_made_by_other_code_has_another_key(tmp_path, monkeypatch):
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "store.py").write_text("a = 1")
    monkeypatch.setattr(store, "__file__", str(tmp_path / "core" / "store.py"))
    store.code.cache_clear()
    before = store.code()
    (tmp_path / "core" / "store.py").write_text("a = 2")
    assert store.code() == before, "looked at once a process"
    store.code.cache_clear()
    assert store.code() != before
    monkeypatch.undo()
    store.code.cache_clear()
