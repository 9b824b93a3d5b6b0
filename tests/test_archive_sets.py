"""Archives of pictures of which some members cannot be read: the others are, and those are listed."""

import io
import stat
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from core import library
from core.dataset_files.tar_files import Tarred
from core.dataset_files.zip_files import Zipped
from core.dataset_formats import archive as archive_format
from core.errors import UserError

ENTRY = b"PK\x01\x02"  # of the zip's directory


def picture(value):
    out = io.BytesIO()
    Image.fromarray(np.full((5, 4, 3), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def members(number=3):
    """(name, bytes) of two classes, the value of the pixels is the position."""
    return [(f"set/{kind}/{row}.png", picture(10 * row + at))
            for at, kind in enumerate(("cat", "dog")) for row in range(number)]


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def patched(path, name, offset, values):
    """The zip with bytes of one entry of its directory changed."""
    content = bytearray(path.read_bytes())
    at = content.index(name.encode(), content.index(ENTRY)) - 46
    assert content[at:at + 4] == ENTRY
    content[at + offset:at + offset + len(values)] = values
    path.write_bytes(content)
    return path


def opened(path):
    return library.open_dataset(library.dataset_id(path))


def is_whole(data, but=()):
    """Whether the data holds all `members` but those, each with its own pixels and label."""
    expected = {name.removeprefix("set/"): content for name, content in members()}
    paths = [str(path).removeprefix("set/") for path in data.metadata["path"]]
    assert sorted(paths) == sorted(set(expected) - set(but))
    for row, path in enumerate(paths):
        assert np.array_equal(data.image(row), np.asarray(Image.open(io.BytesIO(expected[path]))))
        assert data.class_names[data.labels[row]] == path.split("/")[0]
    return True


def test_backslashes_of_old_windows_tools_are_slashes(tmp_path):
    files = [(name.replace("/", "\\"), content) for name, content in members()]
    data = opened(zipped(tmp_path / "old.zip", [("set\\cat\\", b""), *files]))
    assert is_whole(data)
    assert not data.unreadable


@pytest.mark.parametrize(("offset", "values", "word"), [
    (10, struct.pack("<H", 9), "Deflate64"), (10, struct.pack("<H", 12), "BZIP2"),
    (10, struct.pack("<H", 77), "number 77"), (8, struct.pack("<H", 1), "encrypted"),
    (38, struct.pack("<I", (stat.S_IFLNK | 0o777) << 16), "link"),
])
def test_one_member_that_cannot_be_read_leaves_the_others(tmp_path, offset, values, word):
    path = patched(zipped(tmp_path / "a.zip", members()), "set/dog/1.png", offset, values)
    data = opened(path)
    assert is_whole(data, but=["dog/1.png"])
    assert [name for name, _ in data.unreadable] == ["dog/1.png"]
    assert word in data.unreadable[0][1]
    assert sum(word in note for note in data.notes) == 1


def test_a_name_that_appears_twice_is_read_once_as_programs_unpack_it(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path / "a.zip", [("set/dog/1.png", picture(99)), *members()])
    data = opened(path)
    assert is_whole(data)
    assert "twice" in data.unreadable[0][1]
    assert any("1 file of the archive left out, first 'dog/1.png'" in note for note in data.notes)


def test_an_archive_without_one_readable_file_says_why(tmp_path):
    path = zipped(tmp_path / "a.zip", members(1))
    for name, _ in members(1):
        patched(path, name, 8, struct.pack("<H", 1))
    with pytest.raises(UserError, match=r"a\.zip holds nothing .* 2 files, .* is encrypted"):
        opened(path)


@pytest.mark.parametrize("name", ["..\\evil.png", "C:\\evil.png", "\\evil.png", "a\\..\\..\\b.png"])
def test_backslashes_that_lead_outside_are_an_attack(tmp_path, name):
    with pytest.raises(UserError, match="outside"):
        opened(zipped(tmp_path / "a.zip", [*members(), (name, picture(0))]))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(UserError, match="outside"):
        opened(tmp_path / "a.tar")


def test_a_bomb_among_pictures_is_still_refused_whole(tmp_path):
    path = zipped(tmp_path / "a.zip", [*members(), ("set/dog/9.png", bytes(30_000_000))])
    with pytest.raises(UserError, match="bomb"):
        opened(path)


def entry(name, content=b"", **more):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


def test_a_tar_with_backslashes_links_and_second_names(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, content in members():
            archive.addfile(*entry(name.replace("/", "\\"), content))
        archive.addfile(*entry("set/dog/8.png", type=tarfile.SYMTYPE, linkname="/etc/hostname"))
        archive.addfile(*entry("set/dog/9.png", type=tarfile.LNKTYPE, linkname="set/cat/2.png"))
        archive.addfile(*entry("set/dog/7.png", type=tarfile.LNKTYPE, linkname="/etc/hostname"))
    source = Tarred(tmp_path / "a.tar")
    content = dict(members())
    assert source.read("set/dog/9.png", 1000) == content["set/cat/2.png"]
    assert [name for name, _ in source.unreadable] == ["set/dog/8.png", "set/dog/7.png"]
    data = opened(tmp_path / "a.tar")
    assert len(data) == 7
    assert data.unreadable == tuple(source.unreadable)


def test_litter_is_not_counted_as_unreadable(tmp_path):
    path = zipped(tmp_path / "a.zip", [*members(), ("__MACOSX/set/._0.png", b"x")])
    assert Zipped(patched(path, "__MACOSX/set/._0.png", 8, struct.pack("<H", 1))).unreadable == []


def test_a_sample_of_an_archive_opens_it_once(tmp_path, monkeypatch):
    path, times = zipped(tmp_path / "a.zip", members()), []
    real = archive_format.Zipped
    monkeypatch.setattr(archive_format, "Zipped", lambda path: times.append(path) or real(path))
    whole = opened(path)
    part = library.open_dataset(library.dataset_id(path, 4))
    assert len(times) == 1
    assert (len(whole), len(part)) == (6, 4)
    for row, name in enumerate(part.metadata["path"].astype(str)):
        same = whole.metadata["path"].astype(str).tolist().index(name)
        assert np.array_equal(part.image(row), whole.image(same))
        assert part.labels[row] == whole.labels[same]


def test_the_directory_of_an_archive_is_read_once_to_tell_its_kind(tmp_path, monkeypatch):
    path, times = zipped(tmp_path / "a.zip", members()), []
    real = archive_format.member_names
    monkeypatch.setattr(archive_format, "member_names",
                        lambda path: times.append(path) or real(path))
    assert len({library.dataset_id(path) for _ in range(5)}) == 1
    assert len(times) == 1
    zipped(path, members(4))
    library.dataset_id(path)
    assert len(times) == 2
