"""A folder's id changes with each of its files, however many there are."""

import os

import pytest

from core.dataset_files.file_sources import Folder
from core.files import content_ids
from core.files.content_ids import of_folder

MANY = content_ids.AT_ONCE + 500


@pytest.fixture(params=[3, MANY])
def names(tmp_path, request):
    content_ids._stamped.clear()
    found = [f"{row:05d}.png" for row in range(request.param)]
    for name in found:
        (tmp_path / name).write_bytes(b"12345")
        os.utime(tmp_path / name, (1_000_000, 1_000_000))
    return found


@pytest.fixture
def at_each_look(monkeypatch):
    """Nothing is remembered, so that no clock counts."""
    monkeypatch.setattr(content_ids, "REMEMBERED", -1)


def test_one_file_in_the_middle_is_seen(tmp_path, names, at_each_look):
    folder, middle = Folder(tmp_path), tmp_path / names[len(names) // 2 - 1]
    before = of_folder(folder, names)
    assert of_folder(folder, names) == before
    middle.write_bytes(b"123456")
    os.utime(middle, (1_000_000, 1_000_000))
    larger = of_folder(folder, names)
    middle.write_bytes(b"54321")
    os.utime(middle, (1_000_001, 1_000_001))
    later = of_folder(folder, names)
    assert len({before, larger, later}) == 3


def test_names_and_what_else_is_said_count_at_once(tmp_path, names):
    folder = Folder(tmp_path)
    ids = [of_folder(folder, names), of_folder(folder, names[:-1]), of_folder(folder, names, "csv"),
           of_folder(folder, [*names[:-1], "other.png"])]
    assert len(set(ids)) == 4


def test_of_many_files_a_second_look_waits_its_turn(tmp_path, names, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(content_ids.time, "monotonic", lambda: now[0])
    looks, real = [], content_ids._with_stamps

    def look(*words):
        looks.append(words)
        now[0] += 0.5  # it takes half a second
        return real(*words)

    monkeypatch.setattr(content_ids, "_with_stamps", look)
    folder = Folder(tmp_path)
    first = of_folder(folder, names)
    now[0] += 9
    (tmp_path / names[0]).write_bytes(b"123456")
    second = of_folder(folder, names)
    now[0] += 2
    third = of_folder(folder, names)
    few = len(names) <= content_ids.AT_ONCE
    assert len(looks) == (3 if few else 2)
    assert (second == first) is not few
    assert third != first


def test_what_is_remembered_of_folders_is_bounded(tmp_path, names):
    for number in range(content_ids.FOLDERS_KEPT + 5):
        of_folder(Folder(tmp_path), names, str(number))
    assert len(content_ids._stamped) <= content_ids.FOLDERS_KEPT
