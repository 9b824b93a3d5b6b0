"""core.dataset_files.archives: honest zips are read as zipfile reads them, dishonest ones refused by reason."""

import io
import os
import stat
import struct
import zipfile

import pytest
import torch

from core.dataset_files.archives import Archive, member_names
from core.errors import UserError
from core.files.limits import OWN, UPLOADED, Limits, current_limits, limited_to


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file


def opened(path, members, **how):
    path.write_bytes(zipped(members, **how).getvalue())
    return Archive(path, path.name)


def refusal(file, limits=OWN):
    with pytest.raises(UserError) as caught:
        Archive(file, "model.zip", limits)
    assert str(caught.value).startswith("model.zip: ")
    return str(caught.value)


def test_top_folder_is_taken_off_and_bytes_are_zipfiles(tmp_path):
    members = [("net/data.pkl", b"pickle"), ("net/data/0", os.urandom(5000)), ("net/version", b"3")]
    archive = opened(tmp_path / "a.pt", members, compression=zipfile.ZIP_DEFLATED)
    assert archive.names == ["data.pkl", "data/0", "version"]
    assert [archive.read(name) for name in archive.names] == [data for _, data in members]
    assert "data/0" in archive and "net/data/0" not in archive
    assert member_names(tmp_path / "a.pt") == {"data.pkl", "data/0", "version"}


def test_flat_archive_keeps_its_names(tmp_path):
    archive = opened(tmp_path / "a.keras", [("config.json", b"{}"), ("deep/weights.h5", b"x")])
    assert archive.names == ["config.json", "deep/weights.h5"]


def test_span_and_view_of_what_torch_writes(tmp_path):
    path = tmp_path / "w.pt"
    weights = torch.arange(1000.0)
    torch.save({"w": weights}, path)
    with Archive(path, path.name) as archive:
        offset, length = archive.span("data/0")
        assert path.read_bytes()[offset : offset + length] == weights.numpy().tobytes()
        view = archive.view("data/0")
    mapped = torch.frombuffer(view, dtype=torch.float32)
    mapped += 1  # a private map: the file keeps its bytes
    assert torch.equal(torch.load(path)["w"], weights)


def test_view_of_a_compressed_member_is_a_copy(tmp_path):
    archive = opened(tmp_path / "a.zip", [("a", b"x" * 100)], compression=zipfile.ZIP_DEFLATED)
    assert bytes(archive.view("a")) == b"x" * 100
    with pytest.raises(UserError, match="compressed"):
        archive.span("a")


def test_read_stops_at_its_limit_and_names_what_is_missing(tmp_path):
    archive = opened(tmp_path / "a.zip", [("a", b"x" * 100)])
    with pytest.raises(UserError, match="limit is 99"):
        archive.read("a", 99)
    with pytest.raises(UserError, match="no member 'b'"):
        archive.read("b")


@pytest.mark.parametrize(
    "name", ["../up", "a/../../up", "/etc/x", "C:/x", "a\\b", "n" * 400, "d/" * 40 + "x"]
)
def test_unsafe_paths(name):
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # as written; the constructor would clean it
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, b"x")
    assert "path" in refusal(file)


def test_links_and_encryption():
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "link" in refusal(zipped([(link, b"/etc/passwd")]))
    data = bytearray(zipped([("a", b"x")]).getvalue())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refusal(io.BytesIO(data))


def test_duplicates_and_unknown_compression():
    with pytest.warns(UserWarning, match="Duplicate"):
        file = zipped([("a", b"1"), ("a", b"2")])
    assert "twice" in refusal(file)
    assert "compression" in refusal(zipped([("a", b"x" * 99)], compression=zipfile.ZIP_BZIP2))


def test_bombs_by_ratio_by_sum_and_by_count():
    small = Limits(ratio_floor=1000, unpacked_bytes=5000, members=3)
    zeros = zipped([("a", bytes(100_000))], compression=zipfile.ZIP_DEFLATED)
    assert "bomb" in refusal(zeros, small)
    assert "expand" in refusal(zipped([(n, os.urandom(2000)) for n in "abc"]), small)
    assert "too many files (4," in refusal(zipped([(n, b"") for n in "abcd"]), small)


def test_overlapping_members():
    data = bytearray(zipped([("a", b"x" * 50), ("b", b"x" * 50)]).getvalue())
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)  # b's header is where a's is
    assert "overlap" in refusal(io.BytesIO(data)).lower()


def test_size_that_lies_is_found_when_read():
    data = bytearray(zipped([("a", b"x" * 5000)], compression=zipfile.ZIP_DEFLATED).getvalue())
    data[data.index(b"PK\x01\x02") + 24 :][:4] = b""
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 40)
    with pytest.raises(UserError, match=r"damaged|size"):
        Archive(io.BytesIO(data), "m.zip").read("a")


def test_every_cut_of_an_archive_is_a_message_or_honest(tmp_path):
    whole = zipped([("top/a", b"alpha" * 20), ("top/b", b"beta" * 20)]).getvalue()
    for length in range(len(whole)):
        with pytest.raises(UserError, match=r"incomplete|cannot be read|damaged"):
            Archive(io.BytesIO(whole[:length]), "m.zip")
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[:-30])
    assert member_names(path) == frozenset()


def test_limits_apply_inside_their_block_only():
    assert current_limits() is OWN
    with limited_to(UPLOADED):
        assert current_limits() is UPLOADED
    assert current_limits() is OWN
    assert (
        OWN.tensors == 10 * UPLOADED.tensors and OWN.unpacked_bytes == 10 * UPLOADED.unpacked_bytes
    )
