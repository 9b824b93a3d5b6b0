"""Data as other people keep it: names, encodings and archives that are odd, but honest."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from core.library import dataset_id, open_dataset

RANDOM = np.random.default_rng(0)


def picture(kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (9, 13, 3), dtype=np.uint8)).save(out, kind)
    return out.getvalue()


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def opened(path):
    """The data set, each picture of which can be decoded."""
    data = open_dataset(dataset_id(path))
    assert all(data.image(row).shape == (9, 13, 3) for row in range(len(data)))
    return data


def test_class_names_are_text_and_endings_of_any_case(tmp_path):
    for name in ("grüne Äpfel", "red apple", "[x](y)"):
        written(tmp_path / name / "1.JPG", picture("JPEG"))
        written(tmp_path / name / "2.JpEg", picture("JPEG"))
    data = opened(tmp_path)
    assert data.class_names == ("[x](y)", "grüne Äpfel", "red apple")
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_list_whose_root_is_elsewhere(tmp_path):
    lines = []
    for row in range(4):
        written(tmp_path / "img" / f"{row}.png", picture())
        lines.append(f"/data/someone/set/img/{row}.png {row % 2}")
    data = opened(written(tmp_path / "list.txt", "\n".join(lines).encode()))
    assert data.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_table_as_windows_writes_it(tmp_path, encoding):
    rows = ["path\tlabel\tnote"]
    for row in range(4):
        written(tmp_path / "my img" / f"{row} é.png", picture())
        rows.append(f"my img\\{row} é.png\t{'xy'[row % 2]}\tn{row}")
    data = opened(written(tmp_path / "t.tsv", "\r\n".join(rows).encode(encoding)))
    assert data.class_names == ("x", "y")
    assert data.labels.tolist() == [0, 1, 0, 1]
    assert data.metadata["note"].tolist() == ["n0", "n1", "n2", "n3"]


def test_one_hot_columns_of_a_table(tmp_path):
    rows = ["image,MEL,NV"]
    for row in range(4):
        written(tmp_path / f"{row}.png", picture())
        rows.append(f"{row}.png,{row % 2}.0,{1 - row % 2}.0")
    data = opened(written(tmp_path / "t.csv", "\n".join(rows).encode()))
    assert np.take(data.class_names, data.labels).tolist() == ["NV", "MEL", "NV", "MEL"]


TREE = [(f"my set/{name}/{row}.png", picture()) for name in ("a b", "ß") for row in range(2)]
LITTER = [("__MACOSX/my set/a b/._0.png", b"x"), ("my set/.DS_Store", b"x"), (".DS_Store", b"x")]


def test_a_zip_as_a_mac_makes_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, content in TREE + LITTER:
            archive.writestr(name, content)
    data = opened(tmp_path / "set.zip")
    assert (data.class_names, data.labels.tolist()) == (("a b", "ß"), [0, 0, 1, 1])


@pytest.mark.parametrize(("ending", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
def test_a_tar_of_the_folder_it_was_made_in(tmp_path, ending, mode):
    path = tmp_path / f"set{ending}"
    with tarfile.open(path, mode) as archive:
        for name, content in TREE + LITTER:
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = opened(path)
    assert (data.class_names, data.labels.tolist()) == (("a b", "ß"), [0, 0, 1, 1])
