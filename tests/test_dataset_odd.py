"""Data sets as they come from other machines and other programs; what is not read is said."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core import library
from core.dataset_formats import DataSet


def pictures(folder: Path, number: int) -> Path:
    folder.mkdir(parents=True)
    for row in range(number):
        Image.fromarray(np.full((4, 5), 40 * row, np.uint8)).save(folder / f"{row}.png")
    return folder


def opened(path: Path) -> DataSet:
    return library.open_dataset(library.dataset_id(path))


def png(grey: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 5), (grey,) * 3).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("before", ["C:\\me\\data\\", "d:/data/", "/home/me/data/", "data\\", ""])
def test_paths_of_another_machine_are_found_by_their_end(tmp_path, before):
    folder = pictures(tmp_path / "img", 3).parent
    table = pd.DataFrame({"path": [f"{before}img{before[-1:] or '/'}{row}.png" for row in (2, 0)],
                          "label": ["cat", "dog"]})
    table.to_csv(folder / "t.csv", index=False)
    data = opened(folder / "t.csv")
    assert [int(data.image(row)[0, 0, 0]) for row in range(2)] == [80, 0]
    assert np.take(data.class_names, data.labels).tolist() == table["label"].tolist()


@pytest.mark.parametrize("said", ["C:\\other\\secret.png", "C:secret.png", "\\\\server\\0.png",
                                  "C:\\..\\0.png", "https://example.org/0.png"])
def test_what_lies_elsewhere_stays_closed(tmp_path, said):
    pictures(tmp_path / "set" / "img", 2)
    Image.new("L", (4, 4)).save(tmp_path / "secret.png")
    pd.DataFrame({"path": ["img/0.png", "img/1.png", said], "label": ["a", "b", "a"]}).to_csv(
        tmp_path / "set" / "t.csv", index=False)
    data = opened(tmp_path / "set" / "t.csv")
    assert len(data) == 2 and data.unreadable[0][0] == said
    assert "1 of 3 rows skipped: 1 path leads outside." in data.notes


def test_columns_that_say_two_classes_of_an_example_are_no_labels(tmp_path):
    pictures(tmp_path / "img", 2)
    text = "path,cat,dog\nimg/0.png,1,1\nimg/1.png,0,1\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    data = opened(tmp_path / "t.csv")
    assert data.labels is None
    assert data.metadata["cat"].tolist() == [1, 0]
    assert any("'cat', 'dog' say several classes" in note for note in data.notes)


def test_parquet_says_which_columns_it_cannot_show(tmp_path):
    """A column of lists, as of several labels a row, would else seem to be no label at all."""
    pq.write_table(pa.table({
        "image": [{"bytes": png(9), "path": "x.png"}] * 3, "label": [[0, 1], [1], [0]],
        "depth": [b"1", b"2", b"3"], "place": ["a", "b", "c"]}), tmp_path / "set.parquet")
    data = opened(tmp_path / "set.parquet")
    said = " ".join(data.notes)
    assert data.labels is None and data.image(0).max() == 9
    assert "2 columns of lists, records or bytes left out: 'label', 'depth'." in said
    assert "place" in data.metadata


def test_parquet_with_all_columns_in_use_says_nothing_of_them(tmp_path):
    pq.write_table(pa.table({"image": [{"bytes": png(9), "path": "x.png"}] * 3,
                             "label": [0.0, 1.0, 0.0]}), tmp_path / "set.parquet")
    data = opened(tmp_path / "set.parquet")
    assert data.labels.tolist() == [0, 1, 0] and "left out" not in " ".join(data.notes)


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_one_folder_of_pictures_is_said_alike_packed_or_not(tmp_path, kind):
    root = pictures(tmp_path / "photos" / "2024", 3).parent
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root))
    plain, inside = opened(root), opened(packed)
    assert plain.labels is inside.labels is None and len(plain) == len(inside) == 3
    assert set(plain.notes) <= set(inside.notes)
    assert any("not in class folders" in note for note in plain.notes)


@pytest.mark.parametrize("kind", ["pictures", "array"])
def test_integers_of_16_bits_are_told_to_the_last_figure(tmp_path, kind):
    values = np.array([[92, 65460], [300, 400]], np.uint16)
    if kind == "array":
        np.savez(tmp_path / "a.npz", x=np.stack([values] * 2))
    else:
        for name in ("a.png", "b.png"):
            Image.fromarray(values).save(tmp_path / name)
    data = opened(tmp_path / "a.npz" if kind == "array" else tmp_path)
    assert any(" from 92 to 65,460, 16 bits" in note for note in data.notes)


@pytest.mark.parametrize(("name", "said"), [("x_test.npy", "NumPy arrays"), ("a.parquet", "parquet")])
def test_a_format_named_in_a_sentence_keeps_its_capitals(tmp_path, name, said):
    if name.endswith("npy"):
        np.save(tmp_path / name, np.zeros((2, 4, 5), np.uint8))
    else:
        cells = [{"bytes": png(grey), "path": f"{grey}.png"} for grey in (10, 20)]
        pq.write_table(pa.table({"image": cells, "label": [0, 1]}), tmp_path / name)
    assert opened(tmp_path).notes[0] == f"Read inside {tmp_path.name}: {said}."
