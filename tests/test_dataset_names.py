"""Data sets as people have them, told by the names of files and folders and by rough tables."""

import errno
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from core import library, store
from core.dataset_files import name_labels, parquet_images
from core.dataset_files.class_labels import label_notes
from core.dataset_files.name_labels import labels_in_names
from core.errors import UserError

RANDOM = np.random.default_rng(0)


def png(side=8):
    out = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def placed(place, names):
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(png())
    return place


def opened(path):
    return library.open_dataset(library.dataset_id(path))


def classes(data):
    """Class name by the path of each example."""
    return {path: data.class_names[label]
            for path, label in zip(data.metadata["path"], data.labels, strict=True)}


def said(data):
    return " ".join(data.notes)


# ---- names of pictures

@pytest.mark.parametrize("inside", ["", "train/", "images/"])
def test_classes_that_pictures_are_called_after(tmp_path, inside):
    names = [f"{inside}{kind}.{n}.png" for kind in ("cat", "dog") for n in range(4)]
    data = opened(placed(tmp_path / "pets", names))
    assert {path.rpartition("/")[2][:3]: name for path, name in classes(data).items()} == {
        "cat": "cat", "dog": "dog"}
    assert len(data) == 8
    assert "is what a picture is called" in said(data)
    assert "No labels" not in said(data)


@pytest.mark.parametrize("names", [
    [f"IMG_{n}" for n in range(4)] + [f"DSC_{n}" for n in range(4)],  # two cameras
    [f"cat_{n}" for n in range(4)],  # one name
    [f"cat_{n}" for n in range(4)] + ["dog_1"],  # one picture of a name
    [f"{kind}_{n}" for kind in "abcd" for n in range(2)],  # too few of each
    [f"{part}_{n}" for part in ("train", "val") for n in range(4)],
    [f"{n:05d}" for n in range(8)],
    [f"cat_{n}" for n in range(4)] + [f"dog_{n}" for n in range(4)] + ["readme"],
    [f"patient_a_{n}" for n in range(4)] + [f"patient_b_{n}" for n in range(4)],
])
def test_names_that_are_no_classes(names, tmp_path):
    assert labels_in_names([f"{name}.jpg" for name in names]) is None
    assert opened(placed(tmp_path / "set", [f"{name}.png" for name in names])).labels is None


def test_names_of_several_words():
    found = labels_in_names([f"{kind}{n}.jpg" for kind in ("american_bulldog_", "Bengal (")
                             for n in ("1", "22", "303")])
    assert found.class_names == ("Bengal", "american_bulldog")
    assert found.labels.tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(("name", "word"), [
    ("cat 12", "cat"), ("Bengal (3)", "Bengal"), ("cat_1_2", "cat_1"), ("b2-7", "b2"),
    ("\u732b_3", "\u732b"), ("cat(1)(2)", "cat(1)"), ("cat12x", ""), ("12", ""), ("_-3", ""), ("", ""),
])
def test_the_word_before_a_number(name, word):
    assert name_labels._before_number(name) == word


# ---- folders

def test_the_class_may_lie_above_a_folder_of_images(tmp_path):
    names = [f"train/{wnid}/images/{wnid}_{n}.png" for wnid in ("n01", "n02") for n in range(3)]
    assert set(classes(opened(placed(tmp_path / "tiny", names))).values()) == {"n01", "n02"}
    split = [f"{part}/images/{n}.png" for part in ("train", "test") for n in range(3)]
    data = opened(placed(tmp_path / "split", split))
    assert (len(data), data.labels) == (3, None)


def test_numbers_in_the_order_of_text_are_told(tmp_path):
    many = opened(placed(tmp_path / "many", [f"{n}/{n}.png" for n in range(11)]))
    assert many.class_names[:3] == ("0", "1", "10")
    assert "in the order of text (0, 1, 10, 2 …)" in said(many)
    few = opened(placed(tmp_path / "few", [f"{n}/{n}.png" for n in range(10)]))
    assert "order of text" not in said(few)
    np.savez(tmp_path / "ids.npz", images=np.zeros((12, 8, 8), np.uint8), labels=np.arange(12))
    assert "order of text" not in said(opened(tmp_path / "ids.npz"))


def test_class_names_of_thousands_of_digits():
    found, = label_notes(np.arange(3), ("1", "1" + "0" * 5000, "2"))
    assert "in the order of text" in found
    assert len(found) < 300
    assert label_notes(np.arange(3), ("1", "2", "3" * 5000)) == ()


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_of_kinds_that_are_not_read_are_counted(tmp_path, packed):
    place = placed(tmp_path / "set", ["a/1.png", "b/1.png"])
    for name in ("a/2.heic", "b/2.HEIC", "b/3.avif"):
        (place / name).write_bytes(b"\0\0\0\x18ftyp" + bytes(90))
    if packed:
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as made:
            for file in sorted(place.rglob("*.*")):
                made.write(file, file.relative_to(tmp_path))
        place = tmp_path / "set.zip"
    data = opened(place)
    assert len(data) == 2
    assert "3 pictures are left out, first " in said(data)
    assert "AVIF, HEIC is not read" in said(data)


def test_labels_in_files_that_are_not_read_are_named(tmp_path):
    place = placed(tmp_path / "set", [f"train/{n}.png" for n in range(3)])
    (place / "train/metadata.jsonl").write_text(json.dumps({"file_name": "0.png", "label": 1}))
    (place / "train/_annotations.coco.json").write_text("{}")
    (place / "labels.json").write_text('{"0.png": "cat"}')
    data = opened(place)
    assert data.labels is None
    assert "train/metadata.jsonl: not used, since no column names most of these pictures" in said(
        data)
    assert "1 file of annotations, boxes or outlines, not read" in said(data)
    assert "labels.json: JSON files beside pictures are not read" in said(data)


# ---- tables

def test_ids_with_a_folder_and_without_ending(tmp_path):
    place = placed(tmp_path / "set", [f"images/sub/im{n}.png" for n in range(8)])
    rows = [f"sub/im{n},{'ab'[n % 2]}\n" for n in range(8)]
    (place / "labels.csv").write_text("id,label\n" + "".join(rows))
    assert classes(opened(place)) == {
        f"images/sub/im{n}.png": "ab"[n % 2] for n in range(8)}


def test_one_hot_in_a_folder_beside_that_of_the_pictures(tmp_path):
    place = placed(tmp_path / "isic", [f"Task3_Training_Input/ISIC_{n:04d}.png" for n in range(6)])
    names = ("MEL", "NV", "BCC")
    (place / "Task3_Training_Truth").mkdir()
    pd.DataFrame({"image": [f"ISIC_{n:04d}" for n in range(6)]} | {
        name: [float(n % 3 == place) for n in range(6)] for place, name in enumerate(names)
    }).to_csv(place / "Task3_Training_Truth" / "truth.csv", index=False)
    assert list(classes(opened(place)).values()) == [names[n % 3] for n in range(6)]


def test_several_labels_at_once_are_columns_and_no_classes(tmp_path):
    paths = [f"train/patient{n}/study1/view.png" for n in range(8)]
    place = placed(tmp_path / "chest", paths)
    pd.DataFrame({"Path": [f"chest/{path}" for path in paths], "Age": range(30, 38),
                  "Edema": [1.0, 0.0] * 4, "Effusion": [1.0] * 3 + [0.0] * 5}
                 ).to_csv(place / "train.csv", index=False)
    data = opened(place)
    assert (len(data), data.labels) == (8, None)
    assert {"Edema", "Effusion", "Age"} <= set(data.metadata)
    assert "'Edema', 'Effusion' say several classes" in said(data)


def test_attributes_of_minus_one_and_one_are_two_classes(tmp_path):
    np.savez(tmp_path / "set.npz", images=np.zeros((6, 8, 8), np.uint8),
             labels=np.array([-1, 1, 1, -1, 1, 1]))
    data = opened(tmp_path / "set.npz")
    assert data.class_names == ("-1", "1")
    assert data.labels.tolist() == [0, 1, 1, 0, 1, 1]
    np.savez(tmp_path / "some.npz", images=np.zeros((6, 8, 8), np.uint8),
             labels=np.array([-1, 1, 0, -1, 1, 2]))
    assert opened(tmp_path / "some.npz").labels.tolist() == [-1, 1, 0, -1, 1, 2]


@pytest.mark.parametrize("last", [False, True])
def test_pixels_without_a_header_and_the_label_at_either_end(tmp_path, last):
    pixels, ids = RANDOM.integers(0, 256, (12, 64)), np.arange(12) % 3
    rows = np.c_[pixels, ids] if last else np.c_[ids, pixels]
    pd.DataFrame(rows).to_csv(tmp_path / "set.csv", index=False, header=False)
    data = opened(tmp_path / "set.csv")
    assert data.labels.tolist() == ids.tolist()
    assert np.array_equal(data.image(3).ravel(), pixels[3])


# ---- Parquet

def packed(place, pictures, rows_a_group):
    image = pa.array([{"bytes": picture, "path": None} for picture in pictures],
                     pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = pa.table({"image": image, "label": np.arange(len(pictures)) % 3})
    parquet.write_table(table, place, row_group_size=rows_a_group, use_dictionary=False)


def test_no_row_group_stays_in_memory(tmp_path):
    pictures = [png(120) for _ in range(40)]
    packed(tmp_path / "set.parquet", pictures, 20)
    before = pa.total_allocated_bytes()
    data = opened(tmp_path / "set.parquet")
    for row in (0, 39, 7, 21):
        assert np.array_equal(data.image(row), np.asarray(Image.open(io.BytesIO(pictures[row]))))
    assert pa.total_allocated_bytes() - before < min(map(len, pictures))
    assert not list(store.folder().glob("tmp*"))  # what is laid out has no name


def test_row_groups_beyond_what_is_kept_are_unpacked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_images, "KEPT_BYTES", 0)
    pictures = [png() if row % 5 else b"" for row in range(40)]
    packed(tmp_path / "set.parquet", pictures, 4)
    file = parquet.ParquetFile(tmp_path / "set.parquet")
    kept = parquet_images.KeptGroups()
    content = parquet_images.ParquetBytes(lambda: file, "image", "set.parquet", kept)
    for row in (39, 0, 1, 20, 0, 38, 5):
        assert content(row) == pictures[row]
    assert len(kept._groups) == parquet_images.FEWEST_KEPT


def test_a_parquet_file_in_an_archive_is_unpacked_once(tmp_path, monkeypatch):
    pictures = [png() for _ in range(40)]
    packed(tmp_path / "set.parquet", pictures, 2)
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "set.parquet", "set.parquet")
    data = opened(tmp_path / "set.zip")
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    for row in (0, 39, 7, 21):
        assert np.array_equal(data.image(row), np.asarray(Image.open(io.BytesIO(pictures[row]))))


def test_many_small_row_groups_keep_few_files_open(tmp_path):
    pictures = [png() for _ in range(2 * parquet_images.MOST_KEPT)]
    packed(tmp_path / "set.parquet", pictures, 1)
    kept = parquet_images.KeptGroups()
    content = parquet_images.ParquetBytes(
        lambda: parquet.ParquetFile(tmp_path / "set.parquet"), "image", "set.parquet", kept)
    assert [content(row) for row in range(len(pictures))] == pictures
    assert len(kept._groups) == parquet_images.MOST_KEPT


def test_no_room_for_row_groups_is_said(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parquet_images.tempfile, "TemporaryFile", full)
    with pytest.raises(UserError, match="its pictures do not fit"):
        parquet_images.Group("set.parquet")
