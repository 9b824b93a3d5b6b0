"""A folder that holds one data set of any kind is opened as that; of more, what is shown is told."""

import bz2
import json
import lzma
import os
import pickle
import shutil
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import library
from core.dataset_formats import image_folder
from core.errors import UserError
from core.files import found_files
from core.plugins import discover
from tests.conftest import SHARED
from tests.test_dataset_formats import (
    COLOUR,
    GREY,
    IDS,
    NAMES,
    cifar_rows,
    class_folder,
    hugging_face,
    idx,
    label_names,
    opened,
    pixels,
    png,
    refused,
    same_as_class_folder,
)

FORMATS = discover("core.dataset_formats", "FORMAT")
REAL = SHARED / "real" / "datasets"


def said(data, words):
    return any(words in note for note in data.notes)


def pictures(place, rows=range(12), ending="png"):
    place.mkdir(parents=True, exist_ok=True)
    for row in rows:
        (place / f"{row:02d}.{ending}").write_bytes(png(COLOUR[row]))
    return place


def table(path, rows=range(12), **columns):
    """A CSV of ids and names of classes."""
    names = {"id": [f"{row:02d}" for row in rows], "label": [NAMES[IDS[row]] for row in rows]}
    pd.DataFrame({**names, **columns}).to_csv(path, index=False)


# ---- What a folder holds

@pytest.mark.parametrize("splits", [("train", "val", "test"), ("training_set", "test_set")])
def test_the_parent_of_the_splits(tmp_path, splits):
    for split in splits:
        class_folder(tmp_path / split, *([] if split.startswith("test") else [COLOUR[:4]]))
    (tmp_path / "README.md").write_text("pictures")
    data = opened(tmp_path)
    same_as_class_folder(data)
    assert data.split == "test"
    assert data.class_names == tuple(sorted(NAMES))
    assert all(said(data, split) for split in splits)
    assert found_files.kind_of(tmp_path) == "data"


def test_splits_in_folders_of_their_own_name(tmp_path):
    class_folder(tmp_path / "seg_train" / "seg_train", COLOUR[:4])
    class_folder(tmp_path / "seg_test" / "seg_test")
    same_as_class_folder(opened(tmp_path))


def test_splits_without_classes(tmp_path):
    for split in ("train", "test"):
        pictures(tmp_path / split / "images", range(12 if split == "test" else 3))
    data = opened(tmp_path)
    assert (len(data), data.labels, data.split) == (12, None, "test")


def test_an_empty_class_folder_is_told(tmp_path):
    folder = class_folder(tmp_path / "set")
    first = library.dataset_id(folder)
    assert not said(opened(folder), "holds no picture")
    (folder / "aardvark").mkdir()
    assert library.dataset_id(folder) != first, "else what was opened before would stay"
    assert said(opened(folder), "1 sub-folder holds no picture and is no class, first aardvark")
    assert opened(folder).class_names == tuple(sorted(NAMES))


def test_a_folder_in_a_folder(tmp_path):
    class_folder(tmp_path / "unpacked" / "photographs" / "all")
    same_as_class_folder(opened(tmp_path / "unpacked"))


def test_both_splits_of_idx(tmp_path):
    for split, ids in (("train", IDS[::-1]), ("t10k", IDS)):
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(idx(GREY))
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx(ids))
    data = opened(tmp_path)
    assert data.labels.tolist() == IDS.tolist()
    assert said(data, "not shown: train-images-idx3-ubyte")


@pytest.mark.parametrize("kind", ["binary", "python"])
def test_batches_of_cifar_100(tmp_path, kind):
    images, rows, ids = cifar_rows()
    for split in ("train", "test"):
        if kind == "binary":
            records = np.hstack([np.full((7, 1), 9), ids[:, None], rows]).astype(np.uint8)
            (tmp_path / f"{split}.bin").write_bytes(records.tobytes())
            (tmp_path / "fine_label_names.txt").write_text("\n".join(NAMES))
        else:
            batch = {"data": rows, "fine_labels": ids.tolist(), "coarse_labels": [9] * 7}
            (tmp_path / split).write_bytes(pickle.dumps(batch, protocol=2))
            (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": NAMES.tolist()}))
    data = opened(tmp_path)
    assert np.array_equal(pixels(data), images)
    assert label_names(data) == NAMES[ids].tolist()
    assert data.split == "test"
    assert said(data, "not shown: train")


def test_arrays(tmp_path):
    np.savez(tmp_path / "set.npz", x_train=GREY[:3], y_train=IDS[:3], x_test=GREY, y_test=IDS)
    assert opened(tmp_path).labels.tolist() == IDS.tolist()
    assert said(opened(tmp_path), "train (3)")
    (tmp_path / "set.npz").unlink()
    for split, count in (("train", 5), ("test", 12)):
        np.save(tmp_path / f"x_{split}.npy", GREY[:count])
        np.save(tmp_path / f"y_{split}.npy", IDS[:count])
    data = opened(tmp_path)
    assert (data.labels.tolist(), data.split) == (IDS.tolist(), "test")
    assert said(data, "not shown: x_train.npy")
    before = library.dataset_id(tmp_path)
    np.save(tmp_path / "y_test.npy", IDS[::-1])
    assert library.dataset_id(tmp_path) != before


def test_parquet_of_two_splits(tmp_path):
    cells = [{"bytes": png(image), "path": None} for image in COLOUR]
    hugging_face(tmp_path / "test-00000-of-00001.parquet", cells)
    hugging_face(tmp_path / "train-00000-of-00001.parquet", cells[:5])
    data = opened(tmp_path)
    assert (len(data), said(data, "not shown: train-00000")) == (12, True)


@pytest.mark.parametrize("folder", ["images", "pics", "train", "."])
def test_a_table_beside_its_pictures(tmp_path, folder):
    pictures(tmp_path / folder)
    paths = [f"{folder}/{row:02d}.png" for row in range(12)]
    pd.DataFrame({"path": paths, "label": NAMES[IDS]}).to_csv(tmp_path / "labels.csv", index=False)
    same_as_class_folder(opened(tmp_path))


def test_a_list_beside_its_pictures(tmp_path):
    pictures(tmp_path / "jpg")
    lines = [f"jpg/{row:02d}.png {name}" for row, name in enumerate(NAMES[IDS])]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    same_as_class_folder(opened(tmp_path))


def test_a_preview_is_not_taken_for_the_data(tmp_path):
    np.savez(tmp_path / "set.npz", x=GREY, y=IDS)
    (tmp_path / "preview.png").write_bytes(png(COLOUR[0]))
    (tmp_path / "notes.txt").write_text("about")
    (tmp_path / "more.json").write_text("{}")
    data = opened(tmp_path)
    assert data.labels.tolist() == IDS.tolist()
    assert said(data, "Other data in it, not shown: folder of pictures (1 examples)")


def test_a_damaged_file_beside_another_is_told(tmp_path):
    np.savez(tmp_path / "set.npz", x=GREY, y=IDS)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(GREY)[:40])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(GREY)[:40])
    data = opened(tmp_path)
    assert said(data, "t10k-images-idx3-ubyte")
    (tmp_path / "set.npz").unlink()
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte.*do not match"):
        library.open_dataset(library.dataset_id(tmp_path))


# ---- What a folder is not

def test_several_sets_are_named(tmp_path):
    class_folder(tmp_path / "animals" / "set")
    class_folder(tmp_path / "flowers")
    np.savez(tmp_path / "digits.npz", x=GREY, y=IDS)
    class_folder(tmp_path / "birds")
    assert found_files.kind_of(tmp_path) is None
    with pytest.raises(UserError, match=r"several, .*birds, digits\.npz, flowers: choose one"):
        library.dataset_id(tmp_path)


def test_a_folder_without_data_says_what_it_holds(tmp_path):
    (tmp_path / "labels.npy").write_bytes(b"")
    np.save(tmp_path / "labels.npy", IDS)
    (tmp_path / "votes.json").write_text("[]")
    with pytest.raises(UserError, match=r"holds labels\.npy, votes\.json"):
        library.dataset_id(tmp_path)


def test_logs_with_arrays_beside_them_stay_logs(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss\n0,1.5\n1,1.2\n2,1.1\n")
    assert found_files.kind_of(tmp_path) == "logs"
    np.savez(tmp_path / "predictions.npz", x=GREY, y=IDS)
    assert found_files.kind_of(tmp_path) == "logs"


def test_the_listing_still_names_what_lies_in_the_folder(tmp_path, monkeypatch):
    for split in ("train", "test"):
        class_folder(tmp_path / split)
    monkeypatch.setenv("NETLENS_DATA", str(tmp_path))
    found_files.folders.cache_clear()
    names = [name for name in found_files.listing("data").paths if "/" not in name][:2]
    found_files.folders.cache_clear()
    assert names == ["test", "train"]


# ---- Links

def test_class_folders_that_are_links_are_told(tmp_path):
    class_folder(tmp_path / "real")
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in NAMES:
        (linked / name).symlink_to(tmp_path / "real" / name, target_is_directory=True)
    assert found_files.kind_of(linked) is None
    with pytest.raises(UserError, match=r"only symbolic links .ant, bee, cat, dog., which are not"):
        library.dataset_id(linked)
    (tmp_path / "real" / "emu").symlink_to(tmp_path / "real" / "cat", target_is_directory=True)
    data = opened(tmp_path / "real")
    same_as_class_folder(data)
    assert said(data, "1 link or special file was skipped: links are not followed")


@pytest.mark.parametrize("deep", [(), ("train",)])
def test_class_folders_of_links_or_of_nothing_are_told(tmp_path, deep):
    class_folder(tmp_path / "real")
    linked, empty = tmp_path.joinpath("linked", *deep), tmp_path.joinpath("empty", *deep)
    for name in NAMES:
        (linked / name).mkdir(parents=True)
        (empty / name).mkdir(parents=True)
        (empty / name / ".DS_Store").write_bytes(b"\0")
        for picture in (tmp_path / "real" / name).iterdir():
            (linked / name / picture.name).symlink_to(picture)
    first = "/".join((*deep, "ant", sorted(os.listdir(linked / "ant"))[0]))
    with pytest.raises(UserError, match=rf"only symbolic links .{first}, .* are not followed"):
        library.dataset_id(tmp_path / "linked")
    with pytest.raises(UserError, match=r"(folders are|folder is) empty"):
        library.dataset_id(tmp_path / "empty")
    (empty / "ant" / "notes.txt").write_text("Taken in May.")
    with pytest.raises(UserError) as refusal:
        library.dataset_id(tmp_path / "empty")
    assert "empty:" not in str(refusal.value)


def test_pictures_of_odd_names_and_kinds_are_read_or_told(tmp_path):
    class_folder(tmp_path)
    (tmp_path / "cat" / "new\nline.png").write_bytes(png(COLOUR[0]))
    count = sum(path.suffix == ".png" for path in tmp_path.rglob("*"))
    data = opened(tmp_path)
    assert len(data) == count
    assert "cat/new\nline.png" in list(data.metadata["path"])
    (tmp_path / "cat" / "old.tga").write_bytes(b"\0")
    (tmp_path / "cat" / "icon.ICO").write_bytes(b"\0")
    assert said(opened(tmp_path), "2 pictures are left out, first cat/icon.ICO: ICO, TGA is not")


# ---- Ids without the ending

@pytest.mark.parametrize("folder", ["train", "images", "images/train", "."])
def test_ids_are_names_without_ending(tmp_path, folder):
    pictures(tmp_path / folder)
    table(tmp_path / "labels.csv")
    data = opened(tmp_path / "labels.csv")
    same_as_class_folder(data)
    same_as_class_folder(opened(tmp_path))
    assert data.metadata["path"].iloc[0].endswith("00.png")


def test_kaggles_folders(tmp_path):
    pictures(tmp_path / "train")
    pictures(tmp_path / "test", range(5))  # with the same names
    table(tmp_path / "train.csv")
    table(tmp_path / "sample_submission.csv", range(5), label=["ant"] * 5)
    data = opened(tmp_path)
    same_as_class_folder(data)
    assert all(path.startswith("train/") for path in data.metadata["path"])
    assert said(data, "not shown: sample_submission.csv")


def test_an_id_that_fits_several_pictures_is_listed(tmp_path):
    pictures(tmp_path / "a")
    pictures(tmp_path / "b", range(3))
    table(tmp_path / "labels.csv")
    data = opened(tmp_path / "labels.csv")
    assert len(data) == 9
    assert [reason.split(";")[0] for _, reason in data.unreadable] == [
        "could be any of several pictures"] * 3


def test_steps_of_a_log_are_no_ids(tmp_path):
    for step in range(3):
        (tmp_path / f"{step}.png").write_bytes(png(COLOUR[step]))
    (tmp_path / "log.csv").write_text("step,loss\n0,1.5\n1,1.2\n2,1.1\n")
    assert not FORMATS["text_table"].matches(tmp_path / "log.csv")


@pytest.mark.parametrize("cell", ["../secret", "/etc/hostname", "a/b", "", "\0"])
def test_ids_lead_nowhere(tmp_path, cell):
    (tmp_path / "secret.png").write_bytes(png(COLOUR[0]))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "t.csv").write_text(f"id,label\n{cell},x\n")
    assert not FORMATS["text_table"].matches(tmp_path / "set" / "t.csv")


# ---- Tars packed otherwise

@pytest.mark.parametrize("ending", ["tar.bz2", "tbz2", "tar.xz", "txz", "tar"])
@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_packed_tars(tmp_path, ending, pack):
    with tarfile.open(tmp_path / "plain.tar", "w") as archive:
        archive.add(class_folder(tmp_path / "set"), ".")
    content = pack((tmp_path / "plain.tar").read_bytes())
    (tmp_path / f"set.{ending}").write_bytes(content)
    if ending == "tar":
        assert not FORMATS["archive"].matches(tmp_path / "set.tar")
        return
    same_as_class_folder(opened(tmp_path / f"set.{ending}"))
    (tmp_path / f"cut.{ending}").write_bytes(content[:-60])
    refused(tmp_path / f"cut.{ending}", "damaged or cut off|truncated")
    (tmp_path / f"bomb.{ending}").write_bytes(pack(bytes(60_000_000)))
    refused(tmp_path / f"bomb.{ending}", "bomb")


def test_xz_that_asks_for_much_memory(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(bytes(100), filters=filters))
    refused(tmp_path / "a.tar.xz", "damaged or cut off.*[Mm]emory")


def test_xz_of_several_streams_with_padding(tmp_path):
    with tarfile.open(tmp_path / "plain.tar", "w") as archive:
        archive.add(class_folder(tmp_path / "set"), ".")
    content = (tmp_path / "plain.tar").read_bytes()
    streams = [lzma.compress(content[start : start + 3000]) for start in range(0, len(content), 3000)]
    (tmp_path / "a.tar.xz").write_bytes((b"\0" * 8).join(streams) + b"\0" * 4)
    same_as_class_folder(opened(tmp_path / "a.tar.xz"))


# ---- Real sets: each entry of the manifest, by its folder

def manifest():
    path = SHARED / "real" / "manifest.json"
    entries = json.loads(path.read_text())["entries"] if path.is_file() else []
    return [entry for entry in entries if entry["kind"] == "datasets"]


# What the manifest says in words only.
CLASSES = {"cifar10_train4000_lossless": 10, "hymenoptera_val": 2, "fer2013_private_test": 7,
           "imagenet_sample_200": 200, "pneumoniamnist_balanced_npz": 2}
EXAMPLES = {"cifar10_train4000_lossless": 4_000, "imagenet_sample_200": 200}


@pytest.mark.parametrize("entry", manifest(), ids=lambda entry: entry["id"])
def test_each_real_set_opens_as_the_manifest_says(entry):
    place = REAL.parent / (entry.get("folder") or os.path.dirname(entry["files"][0]["file"]))
    if "JSON" in entry["format"]:  # lists about other sets, no pictures
        with pytest.raises(UserError, match=r"It holds README\.md, cifar10_mturk\.json"):
            library.dataset_id(place)
        return
    data, expected = library.open_dataset(library.dataset_id(place)), entry["expected"]
    found = np.bincount(data.labels)
    assert len(data) == expected.get("n", expected.get("test", EXAMPLES.get(entry["id"])))
    per_class = expected.get("per_class", [])
    per_class = [per_class] * 10 if isinstance(per_class, int) else per_class
    assert found.tolist() == (per_class or found.tolist())
    classes = len(per_class) or expected.get("classes") or CLASSES[entry["id"]]
    assert np.count_nonzero(found) == classes
    if "disgust" in expected:
        assert found[data.class_names.index("disgust")] == expected["disgust"]
    if "val" in expected:
        assert said(data, f"train ({expected['train']:,}), validation ({expected['val']:,})")
    assert data.image(len(data) - 1).dtype == np.uint8
    assert found_files.kind_of(place) == "data"


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_only_folder_of_pictures_is_no_class(tmp_path, kind):
    """As photos/2024/*.jpg: a class that nothing is told from would be a false label."""
    root = tmp_path / "photos"
    (root / "2024").mkdir(parents=True)
    for row in range(3):
        Image.fromarray(np.full((6, 5), 40 * row, np.uint8)).save(root / "2024" / f"{row}.png")
    if kind == "zip":
        shutil.make_archive(str(root), "zip", root)
        root = tmp_path / "photos.zip"
    data = library.open_dataset(library.dataset_id(root))
    assert len(data) == 3 and data.labels is None and data.class_names == ()
    assert any("not in class folders" in note for note in data.notes)


def test_one_of_two_class_folders_may_be_empty_but_not_beside_a_table(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "cat/0.png")
    assert image_folder.matches(tmp_path)
    (tmp_path / "other.csv").write_text("path,label\na.png,1\n")
    assert not image_folder.matches(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_names_that_are_no_utf8_are_spelled_out_and_read(tmp_path, packed):
    folder, shades = tmp_path / "set", {}
    for number, name in enumerate((b"a/1.png", b"caf\xe9/2.png", b"caf\xe9/\xff.png")):
        place = folder / os.fsdecode(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shades[name.decode(errors="backslashreplace")] = 40 * number
        Image.fromarray(np.full((5, 5), 40 * number, np.uint8)).save(place)
    (folder / os.fsdecode(b"empty\xe9")).mkdir()
    path = folder
    if packed:
        with tarfile.open(path := tmp_path / "set.tar", "w") as tar:
            tar.add(folder, "set")
    data = library.open_dataset(library.dataset_id(path))
    assert data.class_names == ("a", "caf\\xe9")
    found = {name.removeprefix("set/"): int(data.image(row).max())
             for row, name in enumerate(data.metadata["path"])}
    assert found == shades
    assert packed or any("first empty\\xe9" in note for note in data.notes)
