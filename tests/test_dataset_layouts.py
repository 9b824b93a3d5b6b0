"""Layouts of well-known data sets, made small: each opens as what it is, or says what to do."""

import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from scipy.io import loadmat, savemat

from core.dataset_files import json_rows
from core.dataset_files.matlab_files import arrays_in, values_of
from core.errors import UserError
from core.files import found_files
from core.library import dataset_id
from core.plugins import discover
from tests.test_dataset_folders import said
from tests.test_dataset_formats import label_names, png

RANDOM = np.random.default_rng(5)
FORMATS = discover("core.dataset_formats", "FORMAT")


def opened(path, count):
    """The data set by the only format that knows it, each picture of which can be decoded."""
    found = [form for form in FORMATS.values() if form.matches(path)]
    assert len(found) == 1, [form.title for form in found]
    data = found[0].load(path)
    assert len(data) == count
    assert all(data.image(row).dtype == np.uint8 for row in range(count))
    return data


def both_ways(tmp_path, place, count):
    """The folder, and the same in a zip."""
    folder = opened(place, count)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in sorted(place.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(place).as_posix())
    packed = opened(tmp_path / "packed.zip", count)
    assert sorted(names_of(folder)) == sorted(names_of(packed))
    return folder, packed


def names_of(data):
    labels = [None] * len(data) if data.labels is None else label_names(data)
    return [(Path(path).stem, label)
            for path, label in zip(data.metadata["path"].astype(str), labels, strict=True)]


def written(path, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, kind) if kind else path.write_bytes(png(pixels))
    return path


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# ---- Pictures and their masks

@pytest.mark.parametrize(("pictures", "masks"), [
    ("images", "masks"), ("images", "annotations"), ("images", "labels"), ("train", "train_masks"),
    ("JPEGImages", "SegmentationClass"), ("imgs", "imgs_mask")])
def test_masks_are_no_class(tmp_path, pictures, masks):
    place = tmp_path / "set"
    for row in range(5):
        written(place / pictures / f"{row:03d}.jpg", "JPEG")
        suffix = "_mask" if masks == "train_masks" else ""
        written(place / masks / f"{row:03d}{suffix}.png")
    for data in both_ways(tmp_path, place, 5):
        assert data.labels is None
        assert all(path.startswith(f"{pictures}/") for path in data.metadata["path"].astype(str))
        assert said(data, "5 pictures are masks")


def test_voc_with_lists_and_boxes(tmp_path):
    place = tmp_path / "VOC2012"
    for row in range(6):
        written(place / "JPEGImages" / f"2007_{row:06d}.jpg", "JPEG")
        text(place / "Annotations" / f"2007_{row:06d}.xml", "<annotation/>")
    for row in range(3):
        written(place / "SegmentationClass" / f"2007_{row:06d}.png")
        written(place / "SegmentationObject" / f"2007_{row:06d}.png")
    for data in both_ways(tmp_path, place, 6):
        assert said(data, "6 pictures are masks")
        assert said(data, "6 files of annotations")


def test_masks_beside_each_picture_in_class_folders(tmp_path):
    place = tmp_path / "busi"
    for name in ("benign", "malignant"):
        for row in range(3):
            written(place / name / f"{name} ({row}).png")
            written(place / name / f"{name} ({row})_mask.png")
        written(place / name / f"{name} (0)_mask_1.png")
    for data in both_ways(tmp_path, place, 6):
        assert data.class_names == ("benign", "malignant")
        assert said(data, "8 pictures are masks")


def test_masks_in_splits(tmp_path):
    for split in ("train", "test"):
        for row in range(3):
            written(tmp_path / "set" / split / "images" / f"{row}.png")
            written(tmp_path / "set" / split / "masks" / f"{row}.png")
    for data in both_ways(tmp_path, tmp_path / "set", 3):
        assert data.split == "test"
        assert data.labels is None
        assert said(data, "not shown")


def test_boxes_of_yolo(tmp_path):
    for split in ("train", "val"):
        for row in range(3):
            written(tmp_path / "set" / "images" / split / f"{row}.png")
            text(tmp_path / "set" / "labels" / split / f"{row}.txt", "0 0.5 0.5 0.1 0.1\n")
    for data in both_ways(tmp_path, tmp_path / "set", 3):
        assert data.split == "validation"
        assert data.labels is None


@pytest.mark.parametrize("names", [("mask", "no_mask"), ("with_mask", "without_mask"),
                                   ("seg", "label", "cat")])
def test_classes_that_are_called_masks_stay_classes(tmp_path, names):
    for name in names:
        for row in range(3):
            written(tmp_path / "set" / name / f"{row}.png")
    for data in both_ways(tmp_path, tmp_path / "set", 3 * len(names)):
        assert set(data.class_names) == set(names)


# ---- Folders of well-known sets

def test_food_101(tmp_path):
    place, lines = tmp_path / "food-101", {"train": [], "test": []}
    for name in ("apple_pie", "waffles"):
        for row in range(8):
            written(place / "images" / name / f"{name[0]}{1000 + row}.jpg", "JPEG")
            lines["test" if row < 2 else "train"].append(f"{name}/{name[0]}{1000 + row}")
    for split, said_lines in lines.items():
        text(place / "meta" / f"{split}.txt", "\n".join(said_lines))
        text(place / "meta" / f"{split}.json", json.dumps(said_lines))
    text(place / "meta" / "classes.txt", "apple_pie\nwaffles\n")
    text(place / "meta" / "labels.txt", "Apple pie\nWaffles\n")
    for data in both_ways(tmp_path, place, 4):
        assert data.split == "test"
        assert label_names(data) == ["apple_pie"] * 2 + ["waffles"] * 2
        assert said(data, "meta/train.txt")


def test_food_101_without_lists(tmp_path):
    for name in ("apple_pie", "waffles"):
        written(tmp_path / "food" / "images" / name / "1.jpg", "JPEG")
    text(tmp_path / "food" / "meta" / "about.txt", "pictures of food")
    for data in both_ways(tmp_path, tmp_path / "food", 2):
        assert data.class_names == ("apple_pie", "waffles")


@pytest.mark.parametrize(("folder", "beside"), [("101_ObjectCategories", "Annotations"),
                                                ("Images", "Annotation")])
def test_wrapped_class_folders(tmp_path, folder, beside):
    place = tmp_path / "set"
    for name in ("n02085620-Chihuahua", "n02085782-Japanese_spaniel"):
        for row in range(3):
            written(place / folder / name / f"image_{row:04d}.jpg", "JPEG")
            text(place / beside / name / f"image_{row:04d}", "<annotation/>")
    for data in both_ways(tmp_path, place, 6):
        assert data.class_names == ("n02085620-Chihuahua", "n02085782-Japanese_spaniel")


def test_tiny_imagenet(tmp_path):
    place, ids = tmp_path / "tiny-imagenet-200", ("n01443537", "n01629819")
    for name in ids:
        for row in range(4):
            written(place / "train" / name / "images" / f"{name}_{row}.JPEG", "JPEG")
        text(place / "train" / name / f"{name}_boxes.txt", f"{name}_0.JPEG\t0\t10\t63\t58\n")
    lines = [f"val_{row}.JPEG\t{ids[row % 2]}\t0\t32\t44\t62" for row in range(4)]
    text(place / "val" / "val_annotations.txt", "\n".join(lines))
    for row in range(4):
        written(place / "val" / "images" / f"val_{row}.JPEG", "JPEG")
        written(place / "test" / "images" / f"test_{row}.JPEG", "JPEG")
    text(place / "wnids.txt", "\n".join(ids))
    text(place / "words.txt", "n01443537\tgoldfish, Carassius auratus\nn01629819\tfire salamander\n")
    for data in both_ways(tmp_path, place, 4):
        assert data.split == "validation"
        assert dict(names_of(data)) == {f"val_{row}": ("goldfish", "fire salamander")[row % 2]
                                        for row in range(4)}
    data = opened(place / "train", 8)
    assert data.class_names == ids


def test_oxford_pets(tmp_path):
    place, lines = tmp_path / "pets", ["#Image CLASS-ID SPECIES BREED ID", "#1:37 Class ids"]
    for index, name in enumerate(("Abyssinian", "american_bulldog", "Bengal")):
        for row in range(4):
            written(place / "images" / f"{name}_{row}.jpg", "JPEG")
            written(place / "annotations" / "trimaps" / f"{name}_{row}.png")
            lines.append(f"{name}_{row} {index + 1} 1 {index + 1}")
    text(place / "annotations" / "list.txt", "\n".join(lines))
    for data in both_ways(tmp_path, place, 12):
        assert all(stem.startswith(f"{label}_") for stem, label in names_of(data))
        assert data.class_names == ("Abyssinian", "american_bulldog", "Bengal")


def test_flowers_with_labels_in_matlab(tmp_path):
    place = tmp_path / "flowers-102"
    for row in range(4):
        written(place / "jpg" / f"image_{row:05d}.jpg", "JPEG")
    (place / "imagelabels.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    for data in both_ways(tmp_path, place, 4):
        assert data.labels is None
        assert said(data, "imagelabels.mat: MATLAB files beside pictures are not read")
        assert said(data, "save them as a CSV")


@pytest.mark.parametrize("name", ["test_32x32.mat", "emnist-letters.mat"])
def test_matlab_alone_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(500))
    assert found_files.format_of(tmp_path / name, "core.dataset_formats") is None
    with pytest.raises(UserError, match=name):
        dataset_id(tmp_path / name)


OTHERS = {"info": {"a": 1, "b": np.zeros(3)}, "cells": np.array([1, "x"], dtype=object), "t": "text",
          "half": np.ones((2, 2)) * 1j}
NUMBERS = {"small": np.arange(5.0), "truth": np.array([True, False]), "negative": -np.arange(300),
           "single": RANDOM.random((3, 4), dtype=np.float32), "none": np.zeros((0, 3))}


@pytest.mark.parametrize("packed", [False, True])
def test_numbers_in_matlab(tmp_path, packed):
    savemat(tmp_path / "x.mat", OTHERS | NUMBERS, do_compression=packed)
    expected = loadmat(tmp_path / "x.mat")
    found = arrays_in(memoryview((tmp_path / "x.mat").read_bytes()))
    assert [array.name for array in found] == list(NUMBERS)
    for array in found:
        values = values_of(array, "x.mat")
        assert np.array_equal(values, expected[array.name])
        assert values.dtype == expected[array.name].dtype


@pytest.mark.parametrize("packed", [False, True])
def test_svhn(tmp_path, packed):
    for split in ("train", "test"):
        images = RANDOM.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
        ids = (np.arange(20) % 10 + 1)[:, None].astype(np.uint8)
        savemat(tmp_path / f"{split}_32x32.mat", {"X": images, "y": ids} | OTHERS,
                do_compression=packed)
    for path in (tmp_path / "test_32x32.mat", tmp_path):
        data = opened(path, 20)
        assert all(np.array_equal(data.image(row), images[..., row]) for row in range(20))
        assert data.labels.tolist() == [*range(1, 10), 0] * 2
        assert data.class_names == tuple("0123456789")
        assert data.split == "test"
        assert said(data, "The label 10 stands for the digit 0")


@pytest.mark.parametrize("last", [False, True])
def test_matlab_with_examples_at_either_end(tmp_path, last):
    images = RANDOM.integers(0, 256, (7, 5, 6), dtype=np.uint8)
    savemat(tmp_path / "x.mat", {"images": images.transpose(1, 2, 0) if last else images,
                                 "labels": np.arange(7) % 3})
    data = opened(tmp_path / "x.mat", 7)
    assert all(np.array_equal(data.image(row)[..., 0], images[row]) for row in range(7))
    assert data.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("held", [
    {"cube": np.zeros((5, 6, 7))}, {"X": np.zeros((4, 4, 3, 6)), "y": np.zeros(5)},
    {"dataset": {"images": np.zeros((4, 784)), "labels": np.zeros(4)}}, {"y": np.zeros(5)}])
def test_matlab_without_pictures_and_labels(tmp_path, held):
    savemat(tmp_path / "x.mat", held)
    assert found_files.format_of(tmp_path / "x.mat", "core.dataset_formats") is None
    with pytest.raises(UserError, match="no array of pictures with one of labels was found"):
        dataset_id(tmp_path / "x.mat")


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_matlab_is_refused(tmp_path, packed):
    """Each cut and each changed byte of the head gives the right pictures, others, or an answer."""
    path = tmp_path / "x.mat"
    savemat(path, {"X": np.zeros((4, 4, 3, 6), np.uint8), "y": np.arange(6)}, do_compression=packed)
    whole = path.read_bytes()
    changed = [whole[:end] for end in range(100, len(whole), 7)]
    for place in range(124, min(len(whole), 460)):
        changed += [whole[:place] + bytes([value]) + whole[place + 1:] for value in (0, 7, 255)]
    for content in changed:
        try:
            for array in arrays_in(memoryview(content)):
                assert values_of(array, "x.mat").shape == array.shape
        except UserError as error:
            assert "x.mat" in str(error)


def test_matlab_that_claims_much_is_refused(tmp_path):
    savemat(tmp_path / "x.mat", {"X": np.zeros((64, 64, 3, 900), np.uint8), "y": np.arange(900)},
            do_compression=True)
    with pytest.raises(UserError, match="too large"):
        opened(tmp_path / "x.mat", 900)


def test_gtsrb(tmp_path):
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for row in range(6):
        written(tmp_path / "Images" / f"{row:05d}.ppm", "PPM")
        rows.append(f"{row:05d}.ppm;53;54;6;5;48;49;{16 if row % 2 else 1}")
    table = text(tmp_path / "Images" / "GT-final_test.csv", "\n".join(rows))
    data = opened(table, 6)
    assert label_names(data) == ["1", "16"] * 3
    assert {"Width", "Roi.X1"} <= set(data.metadata)


def test_ham10000(tmp_path):
    place, rows = tmp_path / "ham", []
    for row in range(8):
        part = f"HAM10000_images_part_{1 + row // 4}"
        written(place / part / f"ISIC_{row:07d}.jpg", "JPEG")
        rows.append({"lesion_id": f"HAM_{row // 2:07d}", "image_id": f"ISIC_{row:07d}",
                     "dx": ("nv", "mel")[row % 2], "dx_type": "histo", "age": 50.0, "sex": "male"})
    pd.DataFrame(rows).to_csv(place / "HAM10000_metadata.csv", index=False)
    for data in both_ways(tmp_path, place, 8):
        assert label_names(data) == ["nv", "mel"] * 4
        assert "age" in data.metadata


def test_numbered_parts_are_no_classes(tmp_path):
    for row in range(6):
        written(tmp_path / "chest" / f"images_{row // 2:03d}" / f"{row:08d}.png")
    for data in both_ways(tmp_path, tmp_path / "chest", 6):
        assert data.labels is None


def test_eurosat_with_tables_of_splits(tmp_path):
    place, rows = tmp_path / "EuroSAT", []
    for label, name in enumerate(("AnnualCrop", "Forest")):
        for row in range(4):
            written(place / name / f"{name}_{row}.jpg", "JPEG")
            rows.append({"Filename": f"{name}/{name}_{row}.jpg", "Label": label, "ClassName": name})
    pd.DataFrame(rows).to_csv(place / "train.csv")  # with an index that has no name
    data = opened(place / "train.csv", 8)
    assert data.class_names == ("AnnualCrop", "Forest")
    assert label_names(data) == ["AnnualCrop"] * 4 + ["Forest"] * 4
    for data in both_ways(tmp_path, place, 8):
        assert data.class_names == ("AnnualCrop", "Forest")


def test_fer2013(tmp_path):
    usage = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 3
    pixels = [" ".join(map(str, RANDOM.integers(0, 256, 48 * 48))) for _ in usage]
    pd.DataFrame({"emotion": np.arange(9) % 7, "pixels": pixels, "Usage": usage}).to_csv(
        tmp_path / "fer2013.csv", index=False)
    data = opened(tmp_path / "fer2013.csv", 3)
    assert data.split == "test"
    assert label_names(data) == ["6", "0", "1"]
    assert np.array_equal(data.image(2).ravel(), np.array(pixels[8].split(), np.uint8))
    assert said(data, "validation (2 rows), train (4 rows)")


def test_fashion_mnist_as_a_table(tmp_path):
    images = RANDOM.integers(0, 256, (20, 784))
    columns = {"label": np.arange(20) % 10} | {f"pixel{i + 1}": images[:, i] for i in range(784)}
    pd.DataFrame(columns).to_csv(tmp_path / "fashion-mnist_test.csv", index=False)
    names = {str(i): name for i, name in enumerate("abcdefghij")}
    text(tmp_path / "class_names.json", json.dumps(names))
    data = opened(tmp_path / "fashion-mnist_test.csv", 20)
    assert np.array_equal(data.image(3).ravel(), images[3])
    assert label_names(data) == list("abcdefghij") * 2


# ---- Columns of tables

def pictures(place, count=6):
    return [written(place / f"{row}.png").name for row in range(count)]


@pytest.mark.parametrize("without", [False, True])
def test_records_with_paths_and_no_bytes(tmp_path, without):
    names = pictures(tmp_path / "images")
    cells = [{"path": f"images/{name}"} if without else {"bytes": None, "path": f"images/{name}"}
             for name in names]
    fields = [("path", pa.string())] if without else [("bytes", pa.binary()), ("path", pa.string())]
    table = pa.table({"image": pa.array(cells, pa.struct(fields)), "answer": [4, 3, 2, 4, 3, 2]})
    parquet.write_table(table, tmp_path / "set.parquet")
    data = opened(tmp_path / "set.parquet", 6)
    assert label_names(data) == ["4", "3", "2"] * 2
    assert said(data, "'answer'")
    assert np.array_equal(data.image(1), np.asarray(Image.open(tmp_path / "images" / "1.png")))


def test_records_as_text(tmp_path):
    names = pictures(tmp_path)
    cells = [str({"bytes": None, "path": name}) for name in names]
    pd.DataFrame({"image": cells, "label": list("abcabc")}).to_csv(tmp_path / "x.csv")
    assert label_names(opened(tmp_path / "x.csv", 6)) == list("abcabc")


def test_oddly_named_labels(tmp_path):
    names = pictures(tmp_path)
    cells = [{"bytes": (tmp_path / name).read_bytes(), "path": name} for name in names]
    fields = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    parquet.write_table(pa.table({"image": pa.array(cells, fields), "zzz": [1, 0, 1, 0, 2, 2]}),
                        tmp_path / "odd.parquet")
    data = opened(tmp_path / "odd.parquet", 6)
    assert data.labels.tolist() == [1, 0, 1, 0, 2, 2]
    assert said(data, "'zzz'")
    rows = [f"{index},{name},{index % 2}" for index, name in enumerate(names)]
    text(tmp_path / "unnamed.csv", "\n".join([",file,", *rows]))  # an index, and a label unnamed
    assert opened(tmp_path / "unnamed.csv", 6).labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize("kind", ["csv", "parquet", "bytes"])
@pytest.mark.parametrize(("column", "values", "shown"), [
    ("split", ["train", "test", "train", "val", "test", "train"], [1, 4]),
    ("is_valid", [False, True, True, False, False, True], [1, 2, 5]),
    ("Subset", ["train", "valid"] * 3, [1, 3, 5])])
def test_a_column_of_splits(tmp_path, kind, column, values, shown):
    names = pictures(tmp_path)
    table = pd.DataFrame({"image": names, "label": list("abcdef"), column: values})
    if kind == "bytes":
        table["image"] = [{"bytes": (tmp_path / name).read_bytes(), "path": name} for name in names]
    place = tmp_path / ("x.csv" if kind == "csv" else "x.parquet")
    table.to_csv(place, index=False) if kind == "csv" else table.to_parquet(place)
    data = opened(place, len(shown))
    assert label_names(data) == ["abcdef"[row] for row in shown]
    assert data.class_names == tuple("abcdef")
    assert data.split == ("test" if column == "split" else "validation")
    for place, row in enumerate(shown):
        assert np.array_equal(data.image(place), np.asarray(Image.open(tmp_path / f"{row}.png")))
    assert said(data, "not shown: ")


def test_a_test_split_without_labels_is_not_chosen(tmp_path):
    table = pd.DataFrame({"path": pictures(tmp_path), "label": ["a", "b", "a", "b", "", ""],
                          "split": ["train"] * 2 + ["val"] * 2 + ["test"] * 2})
    table.to_csv(tmp_path / "x.csv", index=False)
    data = opened(tmp_path / "x.csv", 2)
    assert data.split == "validation"
    assert not said(data, "missing")


# ---- Names for ids

@pytest.mark.parametrize(("file", "content"), [
    ("classes.txt", "cat\ndog\nfox\n"), ("labels.txt", "0 cat\n1 dog\n2 fox\n"),
    ("classes.txt", "0: cat\n1: dog\n2: fox\n"), ("class_names.json", '["cat", "dog", "fox"]'),
    ("class_to_idx.json", '{"cat": 0, "dog": 1, "fox": 2}'),
    ("label_map.json", '{"id2label": {"0": "cat", "1": "dog", "2": "fox"}}'),
    ("imagenet_class_index.json", '{"0": ["n0", "cat"], "1": ["n1", "dog"], "2": ["n2", "fox"]}')])
@pytest.mark.parametrize("kind", ["csv", "list"])
def test_names_beside(tmp_path, file, content, kind):
    names, ids = pictures(tmp_path), [0, 1, 0, 1, 1, 0]
    text(tmp_path / file, content)
    if kind == "csv":
        place = tmp_path / "x.csv"
        pd.DataFrame({"path": names, "label": ids}).to_csv(place, index=False)
    else:
        lines = [f"{name} {label}" for name, label in zip(names, ids, strict=True)]
        place = text(tmp_path / "x.txt", "\n".join(lines))
    data = opened(place, 6)
    assert data.class_names == ("cat", "dog", "fox")
    assert data.labels.tolist() == ids
    assert said(data, f"Class names from {file}")


@pytest.mark.parametrize("content", ["cat\ndog\n", "1 cat\n2 dog\n"])
def test_ids_that_begin_at_one(tmp_path, content):
    text(tmp_path / "classes.txt", content)
    pd.DataFrame({"path": pictures(tmp_path), "label": [1, 2] * 3}).to_csv(
        tmp_path / "x.csv", index=False)
    data = opened(tmp_path / "x.csv", 6)
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 1] * 3
    assert said(data, "begin at 1")


def test_names_that_do_not_reach_are_said(tmp_path):
    text(tmp_path / "classes.txt", "cat\ndog\n")
    pd.DataFrame({"path": pictures(tmp_path), "label": [0, 5] * 3}).to_csv(
        tmp_path / "x.csv", index=False)
    data = opened(tmp_path / "x.csv", 6)
    assert label_names(data) == ["0", "5"] * 3
    assert said(data, "classes.txt has 2 names")


def test_folders_of_ids_keep_their_order(tmp_path):
    place = tmp_path / "set"
    for name in ("0", "1", "10", "2"):
        written(place / name / "x.png")
    text(place / "cat_to_name.json", json.dumps({n: f"flower {n}" for n in ("0", "1", "2", "10")}))
    for data in both_ways(tmp_path, place, 4):
        assert data.class_names == ("flower 0", "flower 1", "flower 10", "flower 2")
        assert data.labels.tolist() == [0, 1, 2, 3]


def test_one_hot_columns_of_pixels(tmp_path):
    images = RANDOM.integers(0, 256, (6, 64))
    columns = {f"p{i}": images[:, i] for i in range(64)} | {
        name: (np.arange(6) % 3 == place).astype(int) for place, name in enumerate("abc")}
    pd.DataFrame(columns).to_csv(tmp_path / "x.csv", index=False)
    assert label_names(opened(tmp_path / "x.csv", 6)) == list("abcabc")


# ---- JSON lines and WebDataset

RECORDS = [{"file_name": f"sub/{n}.png", "label": "béta" if n % 2 else "a, b", "age": n + 0.5,
            "large": 2**70 if n else 1, "box": [1, 2], "word": None if n == 1 else f"w{n}"}
           for n in range(6)]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_metadata_in_json_lines(tmp_path, split):
    place = tmp_path / "set"
    for name in ("train", split):
        for record in RECORDS:
            written(place / name / record["file_name"])
        text(place / name / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in RECORDS))
    expected = pd.DataFrame(RECORDS)
    for data in both_ways(tmp_path, place, 6):
        assert data.split == split
        assert list(data.metadata["path"]) == [f"{split}/{n}" for n in expected["file_name"]]
        assert label_names(data) == expected["label"].tolist()
        assert data.metadata["age"].tolist() == expected["age"].tolist()
        assert data.metadata["large"].astype(str).tolist() == ["1"] + [str(2**70)] * 5
        assert data.metadata["word"].isna().tolist() == expected["word"].isna().tolist()
        assert said(data, "1 column of lists or records left out, first 'box'")


def test_json_lines_opened_by_name(tmp_path):
    rows = [{"image": name, "label": row % 3} for row, name in enumerate(pictures(tmp_path))]
    lines = text(tmp_path / "x.jsonl", "\n".join(["not json", *map(json.dumps, rows), '{"ima']))
    text(tmp_path / "classes.txt", "cat\ndog\nbird\n")
    before = dataset_id(lines)
    data = opened(lines, 6)
    assert label_names(data) == ["cat", "dog", "bird"] * 2
    assert said(data, "2 lines are cut off or no JSON object and skipped")
    text(tmp_path / "classes.txt", "cat\ndog\ncow\n")
    assert dataset_id(lines) != before


@pytest.mark.parametrize("line", ['{"step": 1, "loss": 0.5}', "[" * 100_000, '{"image": 3}', ""])
def test_json_lines_without_pictures_are_no_data(tmp_path, line):
    pictures(tmp_path)
    lines = text(tmp_path / "x.jsonl", f"{line}\n" * 3)
    assert found_files.format_of(lines, "core.dataset_formats") is None


def test_json_lines_that_lead_outside(tmp_path):
    written(tmp_path / "secret.png")
    rows = [{"file_name": name, "label": 1} for name in ("../secret.png", "1.png", "/etc/1.png")]
    written(tmp_path / "set" / "1.png")
    lines = text(tmp_path / "set" / "x.jsonl", "\n".join(map(json.dumps, rows)))
    data = opened(lines, 2)  # the picture is meant by the end of the rooted path too
    assert set(data.metadata["path"]) == {"1.png"}
    assert [path for path, _ in data.unreadable] == ["../secret.png"]


def test_more_cells_than_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "BYTES_A_CELL", 1 << 40)
    rows = [{"image": name, "label": 1} for name in pictures(tmp_path)]
    with pytest.raises(UserError, match="too many"):
        opened(text(tmp_path / "x.jsonl", "\n".join(map(json.dumps, rows))), 6)


def webdataset(place, records=True):
    """Six examples as webdataset.TarWriter names them."""
    for row in range(6):
        key = place / "images" / f"{row:06d}"
        written(key.with_suffix(".jpg"), "JPEG")
        text(key.with_suffix(".cls"), f"{row % 3}\n")
        if records:
            text(key.with_suffix(".json"), json.dumps({"path": f"of {row}", "width": row, "x": [1]}))
            text(key.with_suffix(".txt"), f"caption number {row}\n")
    return place


@pytest.mark.parametrize("records", [True, False])
def test_webdataset(tmp_path, records):
    place = webdataset(tmp_path / "shard", records)
    text(place / "classes.txt", "cat\ndog\nbird\n")
    with tarfile.open(tmp_path / "test-000001.tar", "w") as shard:
        shard.add(place, ".")
    for path in (place, place / "images", tmp_path / "test-000001.tar"):
        data = opened(path, 6)
        stems = [Path(name).stem for name in data.metadata["path"]]
        assert stems == [f"{row:06d}" for row in range(6)]
        assert data.labels.tolist() == [0, 1, 2] * 2
        assert data.class_names == tuple("012" if path.name == "images" else ("cat", "dog", "bird"))
        if records:
            assert data.metadata["width"].tolist() == list(range(6))
            assert data.metadata["path in the json"].tolist() == [f"of {n}" for n in range(6)]
            assert data.metadata["text"].tolist() == [f"caption number {n}" for n in range(6)]
    assert data.split == "test"


def test_a_large_unpacked_webdataset(tmp_path):
    """Of which only some entries are looked at, in no order."""
    content = png(RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    for row in range(2_000):
        (tmp_path / f"{row}.png").write_bytes(content)
        text(tmp_path / f"{row}.cls", f"{row % 7}")
        text(tmp_path / f"{row}.json", "{}")
    assert opened(tmp_path, 2_000).labels.tolist() == [int(Path(name).stem) % 7 for name in sorted(
        f"{row}.png" for row in range(2_000))]


def test_webdataset_with_gaps(tmp_path):
    place = webdataset(tmp_path / "shard") / "images"
    (place / "000001.cls").unlink()
    (place / "000002.cls").write_bytes(b"\xff" * (2 << 20))
    written(place / "000003.mask.png")
    before = dataset_id(place)
    data = opened(place, 5)
    assert label_names(data) == ["0", None, "0", "1", "2"]
    assert said(data, "2 pictures without a class, or beside another of the same name, left out")
    assert said(data, "1 file beside the pictures cannot be read")
    text(place / "000003.cls", "2")
    assert dataset_id(place) != before
    for row in range(6):
        (place / f"{row:06d}.cls").unlink(missing_ok=True)
    assert opened(tmp_path / "shard", 6).labels is None


@pytest.mark.parametrize("split", [False, True])
def test_what_datasets_saves_to_disk_is_said(tmp_path, split):
    place = tmp_path / "saved" / "test"
    place.mkdir(parents=True)
    table = pa.table({"label": [0, 1]})
    file = place / "data-00000-of-00001.arrow"
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    text(place / "state.json", "{}")
    text(place.parent / "dataset_dict.json", '{"splits": ["test"]}')
    with pytest.raises(UserError, match=r"save_to_disk writes.*to_parquet"):
        dataset_id(place if split else place.parent)
    with pytest.raises(UserError, match=r"Arrow file.*to_parquet"):
        dataset_id(file)


# ---- Tables and arrays that people have

def test_captions_are_no_classes(tmp_path):
    names = pictures(tmp_path)
    captions = [f"a drawing of {n} red squares" for n in range(6)]
    pd.DataFrame({"file_name": names, "text": captions}).to_csv(
        tmp_path / "metadata.csv", index=False)
    data = opened(tmp_path / "metadata.csv", 6)
    assert data.labels is None
    assert data.metadata["text"].tolist() == captions
    assert said(data, "No column is called label, so none of 'text' is taken for labels")


@pytest.mark.parametrize(("cells", "labelled"), [
    (list("aabbcc"), True), (["a", "a", "a|b", "a|b", "c", "c"], False), (list("abcdef"), False)])
def test_the_last_word_of_a_column(tmp_path, cells, labelled):
    pd.DataFrame({"file": pictures(tmp_path), "patient_sex": list("MFMFMF"), "Finding Labels": cells,
                  "view": list("PPAAPP")}).to_csv(tmp_path / "x.csv", index=False)
    data = opened(tmp_path / "x.csv", 6)
    assert (data.labels is not None) == labelled
    if labelled:
        assert label_names(data) == cells
    else:
        assert said(data, "none of 'patient_sex', 'Finding Labels', 'view' is taken for labels")


@pytest.mark.parametrize("content", ["", "filename,label\n", "id,label\n1,cat\n2,dog\n"])
def test_a_table_that_names_no_picture_is_said(tmp_path, content):
    for row in range(4):
        written(tmp_path / "set" / f"{row:05d}.png")
    text(tmp_path / "set" / "labels.csv", content)
    for data in both_ways(tmp_path, tmp_path / "set", 4):
        assert data.labels is None
        assert said(data, "labels.csv: not used, since no column names most of these pictures")


def test_names_as_kaggle_calls_their_file(tmp_path):
    pd.DataFrame({"image_id": pictures(tmp_path), "label": [0, 1] * 3}).to_csv(
        tmp_path / "train.csv", index=False)
    text(tmp_path / "label_num_to_disease_map.json", '{"0": "Blight (CBB)", "1": "Healthy"}')
    assert opened(tmp_path / "train.csv", 6).class_names == ("Blight (CBB)", "Healthy")


def test_kuzushiji_mnist(tmp_path):
    images = RANDOM.integers(0, 256, (6, 5, 5), dtype=np.uint8)
    np.savez_compressed(tmp_path / "kmnist-test-imgs.npz", images)
    np.savez_compressed(tmp_path / "kmnist-test-labels.npz", np.arange(6, dtype=np.uint8) % 3)
    for path in (tmp_path / "kmnist-test-imgs.npz", tmp_path):
        data = opened(path, 6)
        assert data.labels.tolist() == [0, 1, 2] * 2
        assert all(np.array_equal(data.image(n)[..., 0], images[n]) for n in range(6))
    before = dataset_id(tmp_path / "kmnist-test-imgs.npz")
    np.savez_compressed(tmp_path / "kmnist-test-labels.npz", np.arange(6) % 2)
    assert dataset_id(tmp_path / "kmnist-test-imgs.npz") != before


def test_cifar_10_c(tmp_path):
    for name in ("fog", "frost"):
        np.save(tmp_path / f"{name}.npy", RANDOM.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8))
    np.save(tmp_path / "few.npy", np.zeros((5, 4, 4, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(6) % 3)
    assert opened(tmp_path / "frost.npy", 6).labels.tolist() == [0, 1, 2] * 2
    assert opened(tmp_path / "few.npy", 5).labels is None
