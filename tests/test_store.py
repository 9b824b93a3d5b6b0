"""Results on disk are whole or absent, bounded, and survive a killed process."""

import gc
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import pytest

from core import library, store
from core.dataset_files.tar_files import Tarred
from core.errors import UserError
from core.files import cache_space
from core.files.file_map import FileMap
from tests.conftest import ROOT

A, B, C, D = (letter * 32 for letter in "abcd")
DEAD = f".{A}.{B}"  # as a result is called while it is written


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    monkeypatch.setattr(cache_space, "_nameless", WeakKeyDictionary())  # what others hold open
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


@pytest.fixture
def room_for_two(monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE_GB", str(250_000 / 1e9))


def aged(place, seconds):
    for file in [*(place.iterdir() if place.is_dir() else ()), place]:
        os.utime(file, (time.time() - seconds, time.time() - seconds))


def large(key):
    put(key, values=np.zeros(25_000, "float32"))  # 100 kB


def test_the_oldest_go_first_when_the_limit_is_reached(own_folder, room_for_two):
    for age, key in enumerate((A, B, C)):
        large(key)
        aged(own_folder / key, 1000 - age)
    large(D)
    assert [key for key in (A, B, C, D) if store.read(key) is not None] == [C, D]


def test_what_was_read_last_counts_as_young(own_folder, monkeypatch):
    for age, key in enumerate((A, B)):
        large(key)
        aged(own_folder / key, 1000 - age)
    store.read(A)
    monkeypatch.setenv("NETLENS_CACHE_GB", str(250_000 / 1e9))
    large(C)
    assert [key for key in (A, B, C) if store.read(key) is not None] == [A, C]


def uploaded(key, size=100_000):
    place = store.uploads() / key
    place.mkdir(parents=True)
    (place / "set.npz").write_bytes(bytes(size))
    return place / "set.npz"


def test_uploads_count_and_go_with_what_was_left_of_them(own_folder, room_for_two):
    old, unfinished = uploaded(A), uploaded(B)
    unfinished.rename(unfinished.with_name(".set.npz"))  # the process was killed while it came in
    aged(old.parent, 900)
    aged(unfinished.parent, 1000)
    large(C)
    assert [place.name for place in store.uploads().iterdir()] == [A]
    large(D)
    assert not list(store.uploads().iterdir())
    assert store.read(C) is not None
    assert store.read(D) is not None


def test_an_upload_that_is_in_use_outlives_older_results(own_folder, samples, room_for_two):
    file = uploaded(A)
    large(B)
    aged(own_folder / B, 500)
    aged(file.parent, 1000)
    library.logs_id(file)  # as each run of a page asks
    large(C)
    assert file.exists()
    assert store.read(B) is None


def test_a_result_whose_deletion_was_cut_short_counts_and_goes(own_folder, room_for_two):
    large(A)
    (own_folder / A / store.INDEX).unlink()
    aged(own_folder / A, 1000)
    large(B)
    large(C)
    assert not (own_folder / A).exists()


def test_what_bears_no_name_of_ours_is_left_alone(own_folder, room_for_two):
    for name in (".config", "documents", "uploads/letters", ".x.1"):
        (own_folder / name).mkdir(parents=True)
        (own_folder / name / "file").write_bytes(bytes(400_000))
        aged(own_folder / name, 10 * cache_space.ABANDONED)
    (own_folder / "note.txt").write_text("mine")
    large(A)
    large(B)
    assert len(list(own_folder.rglob("file"))) == 4
    assert (own_folder / "note.txt").exists()
    assert store.read(A) is None, "there was no room for it"


@pytest.mark.parametrize("kind", ["tar.gz", "map"])
def test_what_has_no_name_on_disk_counts_while_it_is_open(own_folder, tmp_path_factory, kind,
                                                          room_for_two):
    source = tmp_path_factory.mktemp("source")
    (source / "a.png").write_bytes(bytes(200_000))
    with tarfile.open(source / "a.tar.gz", "w:gz") as tar:
        tar.add(source / "a.png", "a.png")
    held = Tarred(source / "a.tar.gz") if kind == "tar.gz" else FileMap(source / "a.png")
    assert list(own_folder.iterdir()) == []
    large(A)
    aged(own_folder / A, 1000)
    large(B)
    assert store.read(A) is None
    del held
    gc.collect()
    large(A)
    assert store.read(B) is not None


def test_leftovers_of_dead_processes_are_removed_and_living_ones_kept(own_folder):
    old, young = own_folder / DEAD, own_folder / f".{C}.{D}"
    for place in (old, young):
        place.mkdir()
    aged(old, cache_space.ABANDONED + 100)
    store.trim()
    assert not old.exists()
    assert young.exists()


def test_what_is_being_written_counts_and_stays_however_long_it_takes(own_folder, room_for_two):
    large(A)
    aged(own_folder / A, 1000)
    with store.writing(B) as writer:
        writer.array("values", (50_000,), "float32")
        unfinished = next(own_folder.glob(f".{B}.*"))
        aged(unfinished, cache_space.ABANDONED / 2)
        large(C)
        assert unfinished.exists()
        assert store.read(A) is None, "200 kB of the 250 are being written"
        large(A)
    assert store.read(B) is not None


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
    unfinished = next(own_folder.glob(".a.*"))
    aged(unfinished, 2 * cache_space.STARTING)
    store.trim()
    assert not unfinished.exists(), "nobody holds its lock"
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


def test_a_result_is_given_where_it_cannot_be_kept(tmp_path, monkeypatch):
    made = []

    def make():
        made.append(1)
        return {"layers": 3}

    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("NETLENS_CACHE", str(blocked / "below"))
    assert [store.kept("a" * 32, make) for _ in range(2)] == [{"layers": 3}] * 2 and len(made) == 2
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path / "cache"))
    assert [store.kept("a" * 32, make) for _ in range(2)] == [{"layers": 3}] * 2 and len(made) == 3


def test_a_small_result_does_not_have_all_that_is_kept_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    monkeypatch.setenv("NETLENS_CACHE_GB", "0.001")
    monkeypatch.setattr(store, "_unmeasured", 0.0)
    looked = []
    monkeypatch.setattr(store, "trim", lambda: looked.append(1))
    for number in range(60):  # 300 bytes and more each, of 10,000 that are a hundredth
        store.write_json(f"{number:032}", "x" * 200)
    assert 1 <= len(looked) <= 4


def test_damaged_json_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    store.write_json("a" * 32, {"layers": 3})
    file = tmp_path / ("a" * 32) / "0.npy"
    file.write_bytes(file.read_bytes()[:-2] + b"xx")
    assert store.kept("a" * 32, lambda: "made again") == "made again"
    assert store.read_json("a" * 32) == "made again"


def test_processes_that_finish_the_same_result_together_all_succeed(own_folder):
    with store.writing("same") as one, store.writing("same") as other:
        for files in (one, other):
            files.array("values", (3,), "int64")[...] = [1, 2, 3]
    assert store.read("same")["values"].tolist() == [1, 2, 3]
    (own_folder / "same" / store.INDEX).unlink()  # a deletion that was cut short
    with store.writing("same") as files:
        files.array("values", (3,), "int64")[...] = [4, 5, 6]
    assert store.read("same")["values"].tolist() == [4, 5, 6]
    assert [place.name for place in own_folder.iterdir()] == ["same"]


def test_an_index_without_arrays_is_computed_again(own_folder):
    with store.writing("empty") as files:
        files.array("values", (3,), "int64")
    (own_folder / "empty" / store.INDEX).write_text("{}")
    assert store.read("empty") is None


def test_a_limit_that_is_no_number_is_said_before_the_work(monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE_GB", "much")
    with pytest.raises(UserError, match="NETLENS_CACHE_GB is 'much'"), store.writing("any"):
        pytest.fail("the work has begun")
    monkeypatch.setenv("NETLENS_CACHE_GB", "")
    assert store.limit() == 5e9


def test_an_empty_name_of_the_cache_is_none(monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", "")
    assert store.folder().name == "netlens"
