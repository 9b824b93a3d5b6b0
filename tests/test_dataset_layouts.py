"""Layouts of well-known data sets, made small: each opens as what it is, or says what to do."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

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
        assert said(data, "imagelabels.mat: MATLAB files are not read")
        assert said(data, "save them as a CSV")


@pytest.mark.parametrize("name", ["test_32x32.mat", "emnist-letters.mat"])
def test_matlab_alone_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(500))
    assert found_files.format_of(tmp_path / name, "core.dataset_formats") is None
    with pytest.raises(UserError, match=name):
        dataset_id(tmp_path / name)


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
