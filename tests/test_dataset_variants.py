"""Data as other people keep it: names, encodings and archives that are odd, but honest."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from core import store
from core.dataset_files.archives import Archive
from core.dataset_files.zip_files import Zipped
from core.errors import UserError
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


def listed(tmp_path, rests):
    """A list of pictures with these words after their paths."""
    for row, _ in enumerate(rests):
        written(tmp_path / f"{row}.png", picture())
    lines = [f"{row}.png{rest}" for row, rest in enumerate(rests)]
    return opened(written(tmp_path / "list.txt", "\n".join(lines).encode()))


def test_a_list_with_further_columns_as_tiny_imagenet_has(tmp_path):
    data = listed(tmp_path, ["\tn02\t0\t44\t62", "\tn01\t3\t4\t5", "\tn02\t1\t2\t3"])
    assert data.class_names == ("n01", "n02") and data.labels.tolist() == [1, 0, 1]
    assert data.metadata["column 5"].tolist() == ["62", "5", "3"]


def test_a_list_with_one_hot_labels(tmp_path):
    data = listed(tmp_path, [" 0 0 1", " 1 0 0", " 0 1 0"])
    assert data.labels.tolist() == [2, 0, 1] and len(data.class_names) == 3


def test_a_list_whose_class_names_have_spaces(tmp_path):
    data = listed(tmp_path, [" Boeing 737", " Airbus A320", " Boeing 737"])
    assert data.class_names == ("Airbus A320", "Boeing 737")


def test_a_folder_of_figures_beside_train_and_test_is_no_class(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for place in ("train/a/1", "train/b/2", "test/a/3", "test/b/4", "docs/figure"):
            archive.writestr(f"{place}.png", picture())
    data = opened(tmp_path / "set.zip")
    assert data.class_names == ("a", "b") and data.split == "test"
    assert "docs" in " ".join(data.notes)


def test_one_hot_labels_that_press_well_are_no_bomb(tmp_path):
    labels = np.eye(100)[np.arange(20_000) % 100]
    images = RANDOM.integers(0, 256, (20_000, 4, 4), dtype=np.uint8)
    np.savez_compressed(tmp_path / "set.npz", images=images, labels=labels)
    data = open_dataset(dataset_id(tmp_path / "set.npz"))
    assert np.array_equal(data.labels, np.arange(20_000) % 100)


def test_the_start_of_a_member_unpacks_no_more(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", RANDOM.integers(0, 9, 1_000_000).astype("S1").tobytes())
    monkeypatch.setattr(Archive, "read", lambda *given: pytest.fail("the whole member was read"))
    assert len(Zipped(tmp_path / "set.zip").start("a.csv", 16)) == 16


def test_uploaded_data_has_the_limits_of_uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    place = store.uploads() / "0" / "set.zip"
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("a/1.png", picture())
    held = []
    monkeypatch.setattr("core.dataset_files.archives.Archive.__init__",
                        lambda self, path, name, limits, **more: held.append(limits) or _stop())
    with pytest.raises(UserError):
        open_dataset(dataset_id(place))
    assert held[-1].unpacked_bytes == 50 * 512 * (1 << 20)


def _stop():
    raise UserError("stopped here")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_whose_extra_header_is_huge_is_refused(tmp_path, kind):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, 2 << 20
    body = header.tobuf(tarfile.GNU_FORMAT) + bytes(2 << 20)
    after = tarfile.TarInfo("a/1.png").tobuf()
    (tmp_path / "set.tar").write_bytes(body + after + bytes(1024))
    with pytest.raises(UserError, match="extra header"):
        open_dataset(dataset_id(tmp_path / "set.tar"))


def test_a_list_that_is_called_labels_names_no_classes(tmp_path):
    for i in range(4):
        written(tmp_path / "images" / f"{i}.png", picture())
    lines = "".join(f"images/{i}.png {i % 2}\n" for i in range(4))
    written(tmp_path / "labels.txt", lines.encode())
    data = opened(tmp_path / "labels.txt")
    assert data.class_names == ("0", "1")
    assert data.labels.tolist() == [0, 1, 0, 1]


def test_the_ending_of_another_format_is_read_and_told(tmp_path):
    for name, kind in (("a/1.png", "PNG"), ("a/2.jpg", "PNG"), ("b/3.JPEG", "JPEG")):
        written(tmp_path / "set" / name, picture(kind))
    data = opened(tmp_path / "set")
    assert len(data) == 3 and not data.unreadable
    assert [note for note in data.notes if "ending" in note] == [
        "1 picture with the ending of another format, read by what the bytes are."]
