"""Each kind of data set gives the pixels and labels that went in, and answers what is odd."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from core import library
from core.dataset_files.file_sources import Folder
from core.errors import UserError
from core.files import found_files
from core.plugins import discover
from tests.conftest import SHARED

FORMATS = discover("core.dataset_formats", "FORMAT")
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 8, 8), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (12, 6, 9, 3), dtype=np.uint8)
IDS = np.arange(12) % 4
NAMES = np.array(["cat", "dog", "ant", "bee"])
REAL = SHARED / "real" / "datasets"


def form_of(path):
    found = [name for name, form in FORMATS.items() if form.matches(path)]
    assert len(found) == 1, found
    return found[0]


def opened(path):
    return FORMATS[form_of(path)].load(path)


def refused(path, words):
    with pytest.raises(UserError, match=words) as error:
        opened(path)
    assert path.name in str(error.value)
    return str(error.value)


def pixels(data):
    return np.stack([data.image(row) for row in range(len(data))])


def label_names(data):
    return [data.class_names[label] if label >= 0 else None for label in data.labels]


def png(values):
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def class_folder(place, images=COLOUR, names=NAMES[IDS]):
    for row, (image, name) in enumerate(zip(images, names, strict=False)):
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / f"{row:02d}.png").write_bytes(png(image))
    return place


def same_as_class_folder(data):
    assert len(data) == 12
    for row, path in enumerate(data.metadata["path"].astype(str)):
        source = int(Path(path).stem)
        assert np.array_equal(data.image(row), COLOUR[source])
        assert label_names(data)[row] == NAMES[IDS][source]


# ---- IDX

def idx(values, code=8):
    kinds = {8: "u1", 0x0D: ">f4"}
    return bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + (
        values.astype(kinds[code]).tobytes())


@pytest.mark.parametrize("packed", [False, True])
def test_idx_file_and_folder(tmp_path, packed):
    pack, ending = (gzip.compress, ".gz") if packed else (bytes, "")
    images = tmp_path / f"t10k-images-idx3-ubyte{ending}"
    images.write_bytes(pack(idx(GREY)))
    (tmp_path / f"t10k-labels-idx1-ubyte{ending}").write_bytes(pack(idx(IDS)))
    for path in (images, tmp_path):
        data = opened(path)
        assert np.array_equal(pixels(data)[..., 0], GREY)
        assert data.labels.tolist() == IDS.tolist()
        assert data.split == "test"
    before = FORMATS["idx"].content_id(images)
    (tmp_path / f"t10k-labels-idx1-ubyte{ending}").write_bytes(pack(idx(IDS[::-1])))
    assert FORMATS["idx"].content_id(images) != before


def test_idx_splits_of_one_folder_are_listed_by_themselves(tmp_path, monkeypatch):
    for split in ("train", "t10k"):
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(idx(GREY))
        (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GREY)))
    monkeypatch.setenv("NETLENS_DATA", str(tmp_path))
    found_files.folders.cache_clear()
    names = [name for name in found_files.listing("data").paths if "idx3" in name]
    found_files.folders.cache_clear()
    assert names == ["t10k-images-idx3-ubyte", "train-images-idx3-ubyte"]


def test_idx_floats(tmp_path):
    path = tmp_path / "images-idx3"
    path.write_bytes(idx(GREY / 255, 0x0D))
    data = opened(path)
    assert np.array_equal(pixels(data)[..., 0], GREY)
    assert any("0 to 1" in note for note in data.notes)


@pytest.mark.parametrize(("content", "words"), [
    (b"\0\1" + idx(GREY)[2:], "magic"),
    (idx(GREY)[:-1], "do not match"),
    (idx(GREY) + b"\0", "do not match"),
    (idx(GREY)[:4] + struct.pack(">3I", *[2**32 - 1] * 3), "too large"),
    (idx(GREY)[:9], "truncated"),
    (gzip.compress(idx(GREY))[:60], "truncated|do not match"),
    (gzip.compress(idx(GREY)[:4] + struct.pack(">3I", 2000, 1000, 1000)), "expand|do not match"),
    (idx(GREY[:0]), "no images"),
])
def test_idx_damage(tmp_path, content, words):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    refused(path, words)


def test_idx_of_two_sets(tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(idx(GREY))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(IDS[:5]))
    refused(path, "must match")


# ---- NumPy

@pytest.mark.parametrize(("arrays", "split"), [
    ({"x_train": GREY[:3], "y_train": IDS[:3], "x_test": GREY, "y_test": IDS}, "test"),
    ({"test_labels": IDS[:, None], "train_images": GREY[:2], "test_images": GREY}, "test"),
    ({"images": GREY, "labels": IDS}, ""),
    ({"arr_0": GREY, "arr_1": IDS}, ""),
    ({"X": GREY.reshape(12, 64), "y": NAMES[IDS]}, ""),
    ({"data": GREY[:, None], "target": np.eye(4)[IDS]}, ""),
    ({"pictures": GREY[..., None], "kind": IDS.astype(float)}, ""),
])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, arrays, split, save):
    path = tmp_path / "set.npz"
    save(path, **arrays)
    data = opened(path)
    assert np.array_equal(pixels(data)[..., 0], GREY)
    assert data.split == split
    expected = NAMES[IDS].tolist() if arrays.get("y") is not None else [str(i) for i in IDS]
    assert label_names(data) == expected


def test_npz_with_names_and_columns(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, x=COLOUR, y=IDS, class_names=NAMES, weight=np.arange(12.0), other=np.zeros(3))
    data = opened(path)
    assert data.class_names == tuple(NAMES)
    assert np.array_equal(pixels(data), COLOUR)
    assert data.metadata["weight"].tolist() == list(range(12))


def test_npy_with_labels_beside(tmp_path):
    np.save(tmp_path / "x_test.npy", COLOUR.transpose(0, 3, 1, 2))
    np.save(tmp_path / "y_test.npy", IDS)
    data = opened(tmp_path / "x_test.npy")
    assert np.array_equal(pixels(data), COLOUR)
    assert data.labels.tolist() == IDS.tolist()
    assert not any(form.matches(tmp_path / "y_test.npy") for form in FORMATS.values())


@pytest.mark.parametrize(("values", "words"), [
    (GREY / 255.0, "0 to 1"), (GREY.astype(np.float32), "255"), (GREY / 127.5 - 1, "-1 to 1"),
    (GREY.astype(">u2") * 257, "16 bits"), (GREY > 127, "true or false"),
])
def test_ranges_are_told_and_undone(tmp_path, values, words):
    values = np.asfortranarray(values)
    np.save(tmp_path / "x.npy", values)
    data = opened(tmp_path / "x.npy")
    expected = (GREY > 127) * 255 if values.dtype == bool else GREY
    assert np.abs(pixels(data)[..., 0].astype(int) - expected).max() <= (words == "-1 to 1")
    assert any(words in note for note in data.notes)


def test_pixels_that_are_no_numbers_are_counted(tmp_path):
    values = GREY / 255.0
    values[0, 0, :3] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "x.npy", values)
    data = opened(tmp_path / "x.npy")
    assert any(note.startswith("3 pixels are NaN") for note in data.notes)
    assert data.image(0)[0, :3, 0].tolist() == [0, 0, 0]


def test_flat_rows_of_colour_in_either_order(tmp_path):
    smooth = np.stack([np.asarray(Image.fromarray(c).resize((16, 16))) for c in COLOUR])
    for name, order in (("planes", (0, 3, 1, 2)), ("pixels", (0, 1, 2, 3))):
        np.save(tmp_path / f"{name}.npy", smooth.transpose(order).reshape(12, -1))
        data = opened(tmp_path / f"{name}.npy")
        assert np.array_equal(pixels(data), smooth), name


class Payload:
    def __reduce__(self):
        return os.system, ("true",)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=GREY, y=np.array([Payload()] * 12))
    refused(tmp_path / "a.npz", "astype")
    np.save(tmp_path / "b.npy", np.array([Payload()]))
    refused(tmp_path / "b.npy", "astype")
    np.savez(tmp_path / "c.npz", x=GREY, y=IDS, extra=np.array([Payload()] * 12))
    assert any("extra" in note for note in opened(tmp_path / "c.npz").notes)


def npy_with(header):
    said = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(said)) + said + bytes(64)


@pytest.mark.parametrize("header", [
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1000, 1000, 1000)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 8)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1.0, 8, 8)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (__import__('os').getpid(), 8, 8)}",
    "{'descr': '|u1', 'fortran_order': False}", "((((((",
])
def test_headers_that_lie(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(npy_with(header))
    refused(tmp_path / "x.npy", "header")


@pytest.mark.parametrize(("arrays", "words"), [
    ({"x": GREY, "y": IDS[:5]}, "must match"), ({"x": GREY[:0], "y": IDS[:0]}, "no images"),
    ({"x": np.arange(12)}, "shape|no images"), ({"w": np.zeros(3)}, "no images"),
    ({"x": np.zeros((3, 8, 8), [("a", "u1")])}, "type"),
    ({"x": np.zeros((4, 63), np.uint8)}, "63 pixels"),
    ({"x": GREY, "y": np.ones((12, 3), int)}, "several labels"),
])
def test_npz_that_is_no_data_set(tmp_path, arrays, words):
    np.savez(tmp_path / "set.npz", **arrays)
    refused(tmp_path / "set.npz", words)


# ---- Pictures and folders

def test_one_picture(tmp_path):
    (tmp_path / "photo").write_bytes(png(COLOUR[0]))
    data = opened(tmp_path / "photo")
    assert np.array_equal(data.image(0), COLOUR[0])
    assert data.labels is None
    with pytest.raises(IndexError):
        data.image(1)


def test_odd_pictures_are_told(tmp_path):
    frames = [Image.fromarray(image) for image in COLOUR[:3]]
    exif = Image.Exif()
    exif[0x0112] = 6
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "turned.jpg", exif=exif)
    frames[0].convert("CMYK").save(tmp_path / "print.tif")
    Image.new("L", (3000, 2)).save(tmp_path / "line.png")
    frames[0].save(tmp_path / "named.png", "JPEG")
    words = {"moving.gif": "frames", "turned.jpg": "EXIF", "print.tif": "CMYK",
             "line.png": "narrow", "named.png": "JPEG"}
    for name, word in words.items():
        assert any(word in note for note in opened(tmp_path / name).notes), name
    assert opened(tmp_path / "turned.jpg").image(0).shape == (9, 6, 3)
    together = opened(tmp_path)
    assert len(together) == 5
    assert sum(any(word in note for note in together.notes) for word in words.values()) >= 4


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.heic", b"\0\0\0\x18ftypheic" + bytes(60), "HEIC"), ("a.png", b"", "empty"),
    ("a.jpg", b"<!DOCTYPE html>", "HTML"), ("a.png", b"%!PS-Adobe-3.0 EPSF", "EPS"),
    ("a.png", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ("a.png", b"text", "cannot be read"),
])
def test_what_is_called_a_picture(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, words)


def test_a_wrong_checksum_is_found(tmp_path):
    content = bytearray(png(COLOUR[0]))
    content[content.index(b"IDAT") + 20] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png", "damaged|cannot be read")


def test_flat_folder(tmp_path):
    for row, image in enumerate(COLOUR):
        (tmp_path / f"{row:02d}.png").write_bytes(png(image))
    data = opened(tmp_path)
    assert np.array_equal(pixels(data), COLOUR)
    assert data.labels is None
    assert any("No labels" in note for note in data.notes)
    table = pd.DataFrame({"file": [f"{row:02d}.png" for row in range(12)], "label": NAMES[IDS],
                          "age": range(12)})
    before = FORMATS["flat_folder"].content_id(tmp_path)
    table.to_csv(tmp_path / "labels.csv", index=False)
    data = opened(tmp_path)
    same_as_class_folder(data)
    assert data.metadata["age"].tolist() == list(range(12))
    assert FORMATS["flat_folder"].content_id(tmp_path) != before


def test_unreadable_pictures_are_skipped_and_listed(tmp_path):
    class_folder(tmp_path)
    (tmp_path / "cat" / "empty.png").write_bytes(b"")
    (tmp_path / "dog" / "cut.png").write_bytes(png(COLOUR[0])[:30])
    (tmp_path / "dog" / "pointer.png").write_bytes(b"version https://git-lfs" + bytes(108))
    data = opened(tmp_path)
    same_as_class_folder(data)
    unreadable = {path for path, _ in data.unreadable}
    assert unreadable == {"cat/empty.png", "dog/cut.png", "dog/pointer.png"}
    assert any(note.startswith("3 of 15") for note in data.notes)


def test_pointers_of_git_lfs_are_named_as_such(tmp_path):
    class_folder(tmp_path)
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64)
    refused(tmp_path, "Git LFS pointers.*git lfs pull")


def test_a_picture_cut_later_is_an_error_of_its_own(tmp_path):
    data = opened(class_folder(tmp_path))
    place = tmp_path / data.metadata["path"][3]
    place.write_bytes(place.read_bytes()[:-30])
    with pytest.raises(UserError, match=place.name):
        data.image(3)
    place.unlink()
    with pytest.raises(UserError, match=place.name):
        data.image(3)
    assert data.image(4).shape == (6, 9, 3)


def test_what_folders_are_data_sets(tmp_path):
    class_folder(tmp_path / "sets" / "train")
    class_folder(tmp_path / "sets" / "val")
    for name in ("n01", "n02"):
        class_folder(tmp_path / "tiny" / name, names=["images"] * 12)
    for split in ("train", "test"):
        class_folder(tmp_path / "flat", names=[split] * 12)
    found = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))
             if path.is_dir() and FORMATS["image_folder"].matches(path)]
    assert found == ["sets/train", "sets/val", "tiny"]
    assert opened(tmp_path / "tiny").class_names == ("n01", "n02")
    assert form_of(tmp_path / "flat" / "test") == "flat_folder"
    assert opened(tmp_path / "sets" / "val").split == "validation"


def test_a_folder_of_many_is_looked_at_by_sample_only(tmp_path, monkeypatch):
    content = png(GREY[0])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(600):
            (tmp_path / name / f"{i:04d}.png").write_bytes(content)
    reads = []
    plain = Folder.read
    monkeypatch.setattr(Folder, "read", lambda self, name, limit: (reads.append(name),
                                                                   plain(self, name, limit))[1])
    data = opened(tmp_path)
    assert len(data) == 1200
    assert len(set(reads)) <= 100
    assert data.labels.sum() == 600
    assert str(data.metadata["path"].dtype).startswith("large_string")


# ---- Tables and lists

def test_table_of_paths(tmp_path):
    class_folder(tmp_path / "pictures")
    paths = [f"pictures/{NAMES[i]}/{row:02d}.png" for row, i in enumerate(IDS)]
    table = pd.DataFrame({"image": paths,
                          "class_index": IDS * 5, "name": NAMES[IDS], "note": ["a, b"] * 12})
    for name, separator in (("labels.csv", ","), ("labels.tsv", "\t"), ("semicolons.csv", ";")):
        table.to_csv(tmp_path / name, sep=separator, index=False)
        data = opened(tmp_path / name)
        same_as_class_folder(data)
        assert data.labels.tolist() == (IDS * 5).tolist()
        assert data.class_names[5] == "dog"
        assert data.metadata["note"].tolist() == ["a, b"] * 12


def test_table_of_names_without_ending_and_one_hot(tmp_path):
    class_folder(tmp_path / "pictures", names=["all"] * 12)
    hot = pd.DataFrame(np.eye(4)[IDS], columns=NAMES)
    hot.insert(0, "image", [f"{row:02d}.png" for row in range(12)])
    hot.to_csv(tmp_path / "hot.csv", index=False)
    same_as_class_folder(opened(tmp_path / "hot.csv"))
    pd.DataFrame({"image_id": [f"{row:02d}" for row in range(12)], "label": NAMES[IDS]}).to_csv(
        tmp_path / "stems.csv", index=False)
    same_as_class_folder(opened(tmp_path / "stems.csv"))


def test_paths_that_lead_outside_are_never_opened(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(COLOUR[0]))
    inside = tmp_path / "set"
    inside.mkdir()
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    paths = ["../secret.png", str(tmp_path / "secret.png"), "file:///secret.png", "~/secret.png",
             "http://127.0.0.1:9/secret.png", "\\\\host\\share\\secret.png", "link.png",
             "C:\\secret.png"]
    pd.DataFrame({"image": paths, "label": "a"}).to_csv(inside / "labels.csv", index=False)
    refused(inside / "labels.csv", "leads outside")
    class_folder(inside)
    table = pd.DataFrame({"image": [*paths, "cat/00.png"], "label": "a"})
    table.to_csv(inside / "labels.csv", index=False)
    data = opened(inside / "labels.csv")
    assert len(data) == 1
    assert len(data.unreadable) == len(paths)


@pytest.mark.parametrize("header", [True, False])
def test_table_of_pixels(tmp_path, header):
    table = pd.DataFrame(GREY.reshape(12, 64), columns=[f"pixel{i}" for i in range(64)])
    table.insert(0, "label", IDS)
    table.to_csv(tmp_path / "pixels.csv", index=False, header=header)
    data = opened(tmp_path / "pixels.csv")
    assert np.array_equal(pixels(data)[..., 0], GREY)
    assert data.labels.tolist() == IDS.tolist()


def test_pixels_in_one_cell_with_blank_labels(tmp_path):
    texts = [" ".join(map(str, image.ravel())) for image in GREY]
    table = pd.DataFrame({"emotion": ["", *IDS[1:].astype(str)], "pixels": texts,
                          "Usage": "PublicTest"})
    table.to_csv(tmp_path / "faces.csv", index=False)
    data = opened(tmp_path / "faces.csv")
    assert np.array_equal(pixels(data)[..., 0], GREY)
    assert data.labels.tolist() == [-1, *IDS[1:]]
    assert set(data.metadata["Usage"]) == {"PublicTest"}


@pytest.mark.parametrize("text", [
    "epoch,accuracy,loss\n0,0.5,1.2\n1,0.6,1.1\n", "", "a\n", "\0\0\0",
    "step;" + ";".join(f"layer{i}/weight" for i in range(20)) + "\n"])
def test_tables_that_are_no_pictures(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    assert not any(form.matches(tmp_path / "log.csv") for form in FORMATS.values())


def test_damaged_lines_are_counted(tmp_path):
    class_folder(tmp_path)
    lines = [f"{NAMES[i]}/{row:02d}.png,{NAMES[i]}" for row, i in enumerate(IDS)]
    lines = ["path,label", *lines[:6], "a,b,c,d", *lines[6:]]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    data = FORMATS["text_table"].load(tmp_path / "labels.csv")
    same_as_class_folder(data)
    assert any(note.startswith("1 lines") for note in data.notes)


def test_list_of_pictures_relative_and_rooted(tmp_path):
    class_folder(tmp_path / "train")
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    for prefix in ("train/", "/home/someone/jobs/train/", "./train/"):
        lines = [f"{prefix}{NAMES[i]}/{row:02d}.png {i}" for row, i in enumerate(IDS)]
        (tmp_path / "val.txt").write_text("\n".join(lines))
        data = opened(tmp_path / "val.txt")
        same_as_class_folder(data)
        assert data.class_names == tuple(NAMES)
    assert not any(form.matches(tmp_path / "labels.txt") for form in FORMATS.values())


# ---- Parquet

def hugging_face(path, cells, rows_a_group=5):
    picture = pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = pa.table({"image": picture, "label": IDS[:len(cells)],
                      "photographer": ["x"] * len(cells)})
    label = {"names": NAMES.tolist(), "_type": "ClassLabel"}
    said = {"huggingface": json.dumps({"info": {"features": {"label": label}}})}
    parquet.write_table(table.replace_schema_metadata(said), path, row_group_size=rows_a_group)


def test_parquet_of_hugging_face(tmp_path):
    path = tmp_path / "test-00000-of-00001.parquet"
    hugging_face(path, [{"bytes": png(image), "path": "/etc/passwd"} for image in COLOUR])
    data = opened(path)
    assert np.array_equal(pixels(data), COLOUR)
    assert [np.array_equal(data.image(row), COLOUR[row]) for row in (11, 0, 6, 5)] == [True] * 4
    assert label_names(data) == NAMES[IDS].tolist()
    assert list(data.metadata.columns) == ["path", "label", "photographer"]


def test_parquet_of_a_split_in_several_files(tmp_path):
    cells = [{"bytes": png(image), "path": None} for image in COLOUR]
    whole = [f"test-{n:05d}-of-00003.parquet" for n in range(3)]
    for nth, name in enumerate(whole):
        table = pa.table({"image": pa.array(cells[nth * 4:nth * 4 + 4]),
                          "label": NAMES[IDS[nth * 4:nth * 4 + 4]]})
        parquet.write_table(table, tmp_path / name)
    hugging_face(tmp_path / "train-00000-of-00001.parquet", cells)
    data = opened(tmp_path / whole[0])
    assert np.array_equal(pixels(data), COLOUR)
    assert label_names(data) == NAMES[IDS].tolist()
    assert "Read from 3 of 3 files." in data.notes
    assert [name for name in whole if FORMATS["parquet"].matches(tmp_path / name)] == whole[:1]
    before = FORMATS["parquet"].content_id(tmp_path / whole[0])
    (tmp_path / whole[2]).unlink()
    assert FORMATS["parquet"].content_id(tmp_path / whole[0]) != before
    data = opened(tmp_path / whole[0])
    assert np.array_equal(pixels(data), COLOUR[:8])
    assert "Read from 2 of 3 files; 1 are not here." in data.notes


def test_parquet_with_broken_cells(tmp_path):
    cells = [{"bytes": png(image), "path": None} for image in COLOUR]
    cells[2], cells[7] = {"bytes": b"text", "path": "x"}, None
    cells[9] = {"bytes": None, "path": "a"}
    hugging_face(tmp_path / "a.parquet", cells)
    data = opened(tmp_path / "a.parquet")
    kept = [row for row in range(12) if row not in (2, 7, 9)]
    assert np.array_equal(pixels(data), COLOUR[kept])
    assert data.labels.tolist() == IDS[kept].tolist()
    assert len(data.unreadable) == 3


def test_parquet_of_pixels_and_of_paths(tmp_path):
    pixel_table = pd.DataFrame(GREY.reshape(12, 64)).rename(columns=str).assign(label=IDS)
    pixel_table.to_parquet(tmp_path / "pixels.parquet")
    data = opened(tmp_path / "pixels.parquet")
    assert np.array_equal(pixels(data)[..., 0], GREY)
    assert data.labels.tolist() == IDS.tolist()
    class_folder(tmp_path)
    paths = [f"{NAMES[i]}/{row:02d}.png" for row, i in enumerate(IDS)]
    pd.DataFrame({"path": paths, "label": NAMES[IDS]}).to_parquet(tmp_path / "paths.parquet")
    same_as_class_folder(opened(tmp_path / "paths.parquet"))


def test_hostile_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"label": pa.array(np.zeros(21_000_000, np.int8))}), path)
    refused(path, "too many")
    long_text = pa.DictionaryArray.from_arrays(np.zeros(400_000, np.int32), ["x" * 100_000])
    repeated = {"image": pa.array(["a.png"] * 400_000), "text": long_text}
    parquet.write_table(pa.table(repeated), path, store_schema=False)
    refused(path, "too large")
    hugging_face(path, [{"bytes": png(image), "path": None} for image in COLOUR])
    content = path.read_bytes()
    for cut in (0, 3, 40, len(content) - 1):
        path.write_bytes(content[:cut])
        refused(path, "empty|damaged|truncated")


# ---- CIFAR

def cifar_rows(count=7):
    images = RANDOM.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return images, images.transpose(0, 3, 1, 2).reshape(count, 3072), np.arange(count) % 3


@pytest.mark.parametrize("labels", [1, 2])
def test_cifar_binary(tmp_path, labels):
    images, rows, ids = cifar_rows()
    coarse = [np.full((7, 1), 9, np.uint8)] * (labels - 1)
    records = np.hstack([*coarse, ids.astype(np.uint8)[:, None], rows])
    meta = {1: "batches.meta.txt", 2: "fine_label_names.txt"}[labels]
    (tmp_path / meta).write_text("\n".join(NAMES) + "\n\n")
    names = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"]
    names = names if labels == 1 else ["test.bin"]
    parts = [slice(0, 4), slice(4, 7), slice(0, 7)][-len(names):]
    for name, part in zip(names, parts, strict=True):
        (tmp_path / name).write_bytes(records[part].tobytes())
    data = opened(tmp_path / names[0])
    assert np.array_equal(pixels(data), images)
    assert label_names(data) == NAMES[ids].tolist()
    assert data.split == ("train" if labels == 1 else "test")
    if labels == 1:
        assert not FORMATS["cifar_binary"].matches(tmp_path / "data_batch_2.bin")
    else:
        assert set(data.metadata["coarse_label"]) == {9}


@pytest.mark.parametrize("labels", [list, np.asarray])
@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar_python(tmp_path, protocol, labels):
    images, rows, ids = cifar_rows()
    for name, part in (("data_batch_1", slice(0, 4)), ("data_batch_2", slice(4, 7)),
                       ("test_batch", slice(0, 7))):
        batch = {b"data": rows[part], b"labels": labels(ids[part].tolist()), b"batch_label": name.encode(),
                 b"filenames": [f"{row}.png".encode() for row in range(7)[part]]}
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    meta = pickle.dumps({"label_names": NAMES.tolist()}, protocol=protocol)
    (tmp_path / "batches.meta").write_bytes(meta)
    data = opened(tmp_path / "data_batch_1")
    assert np.array_equal(pixels(data), images)
    assert label_names(data) == NAMES[ids].tolist()
    assert data.metadata["path"].tolist() == [f"{row}.png" for row in range(7)]
    hostile = pickle.dumps({"data": Payload(), "labels": []}, protocol=protocol)
    (tmp_path / "test_batch").write_bytes(hostile)
    said = refused(tmp_path / "test_batch", "code that would run")
    assert "Download CIFAR again" in said
    assert "weights" not in said


# ---- Archives

def packed(folder, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder.parent))
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
            archive.add(folder, "./data")
    return path


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
def test_archives_of_each_kind(tmp_path, name, cache_folder):
    class_folder(tmp_path / "classes")
    class_folder(tmp_path / "splits" / "train", COLOUR[:4])
    class_folder(tmp_path / "splits" / "test")
    class_folder(tmp_path / "table", names=["images"] * 12)
    paths = [f"images/{row:02d}.png" for row in range(12)]
    table = pd.DataFrame({"file": paths, "label": NAMES[IDS]})
    table.to_csv(tmp_path / "table" / "labels.csv", index=False)
    before = set(cache_folder.rglob("*"))
    for folder in ("classes", "splits", "table"):
        data = opened(packed(tmp_path / folder, tmp_path / name))
        same_as_class_folder(data)
        assert data.split == ("test" if folder == "splits" else "")
    two_files = {"t10k-images-idx3-ubyte": idx(GREY), "t10k-labels-idx1-ubyte": idx(IDS)}
    one_file = {"set.npz": saved(x=GREY, y=IDS)}
    for folder, files in {"idx": two_files, "npz": one_file}.items():
        (tmp_path / folder).mkdir()
        for file, content in files.items():
            (tmp_path / folder / file).write_bytes(content)
        data = opened(packed(tmp_path / folder, tmp_path / name))
        assert np.array_equal(pixels(data)[..., 0], GREY)
        assert data.labels.tolist() == IDS.tolist()
    assert set(cache_folder.rglob("*")) == before


def saved(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png"])
def test_paths_out_of_archives(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cat/0.png", png(COLOUR[0]))
        archive.writestr(name, png(COLOUR[0]))
    refused(tmp_path / "a.zip", "outside")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    refused(tmp_path / "a.tar", "outside")
    assert not (tmp_path.parent / "evil.png").exists()


def test_hostile_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/0.png", bytes(30_000_000))
    refused(tmp_path / "bomb.zip", "bomb")
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as file:
        file.write(bytes(30_000_000))
    refused(tmp_path / "bomb.tar.gz", "bomb")
    link = tarfile.TarInfo("cat/link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        archive.addfile(link)
        archive.add(class_folder(tmp_path / "set"), ".")
    data = opened(tmp_path / "links.tar")
    same_as_class_folder(data)
    assert any(note.startswith("1 link or") for note in data.notes)
    content = (tmp_path / "links.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[:3000])
    refused(tmp_path / "cut.tar", "tar")
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:
        archive.write(tmp_path / "bomb.zip", "inner.zip")
    refused(tmp_path / "nested.zip", "inside")
    (tmp_path / "text.zip").write_bytes(b"not a zip")
    refused(tmp_path / "text.zip", "not a zip")


# ---- Real and hostile files

@pytest.mark.parametrize(("place", "examples", "classes"), [
    ("mnist_idx", 10_000, 10), ("fashion_mnist_test_png", 10_000, 10),
    ("cifar10_test_jpg", 10_000, 10), ("cifar10_test200_lossless/png", 200, 10),
    ("cifar10_train4000_lossless/cifar10_train4000.npz", 4_000, 10), ("hymenoptera_val", 91, 2),
    ("imagenet_sample_200", 200, 200), ("imagenet_sample_200/labels.csv", 200, 200),
    ("fer2013_private_test", 3_589, 7), ("pneumoniamnist_balanced_npz/pneumoniamnist.npz", 468, 2),
    ("cifar10_index_to_file.csv", 10_000, 10),
])
def test_real_sets(place, examples, classes):
    if not REAL.is_dir():
        pytest.skip("the real data sets are not here")
    data = opened(REAL / place)
    assert len(data) == len(data.labels) == examples
    assert len(np.unique(data.labels)) == classes
    assert data.image(examples - 1).dtype == np.uint8


def test_the_folder_of_all_real_sets_is_no_set_itself():
    if not REAL.is_dir():
        pytest.skip("the real data sets are not here")
    for path in (REAL, REAL.parent, REAL / "label_errors_mnist_cifar10"):
        assert not any(form.matches(path) for form in FORMATS.values())


def test_real_mnist_against_its_bytes():
    if not REAL.is_dir():
        pytest.skip("the real data sets are not here")
    content = gzip.decompress((REAL / "mnist_idx" / "t10k-images-idx3-ubyte.gz").read_bytes())
    data = opened(REAL / "mnist_idx")
    expected = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
    assert np.array_equal(data.image(1234)[..., 0], expected[1234])
    assert np.array_equal(data.image(9999)[..., 0], expected[9999])


def hostile_entries():
    manifest = SHARED / "hostile" / "manifest.json"
    if not manifest.is_file():
        return []
    kinds = ("images", "archives", "arrays", "tables")
    return [entry for entry in json.loads(manifest.read_text())["entries"]
            if entry["file"].split("/")[0] in kinds and "labels-idx1" not in entry["file"]]


@pytest.mark.parametrize("entry", hostile_entries(), ids=lambda entry: entry["file"])
def test_hostile_files(entry):
    allowed = {entry["action"], *(entry.get("also_ok") or [])}
    try:
        data = library.open_dataset(library.dataset_id(SHARED / "hostile" / entry["file"]))
        said, refusal = " ".join(data.notes), False
    except UserError as error:
        said, refusal = str(error), True
    named = not entry["must_say"] or any(word.lower() in said.lower() for word in entry["must_say"])
    if refusal:
        assert "reject" in allowed, said
        assert named, said
    else:
        assert "accept" in allowed or ("warn" in allowed and named), said
