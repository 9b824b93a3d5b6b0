"""Data sets by name, from a server of our own: whole, damaged, or not there."""

import gzip
import hashlib
import os
import struct
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from weakref import WeakKeyDictionary

import numpy as np
import pytest

from core import downloads, jobs, library, store
from core.downloads import Wanted, downloaded, files_of
from core.errors import UserError
from core.files import cache_space

NOWHERE = "http://127.0.0.1:1/"  # nothing listens there


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder, and the address where a server gives its files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def idx(values):
    head = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I",
                                                                    *values.shape)
    return gzip.compress(head + values.astype("u1").tobytes())


def wanted(served, monkeypatch, tmp_path, damage=False):
    folder, address = served
    images = np.random.default_rng(0).integers(0, 256, (12, 6, 5))
    files = []
    for name, values in (("t10k-images-idx3-ubyte.gz", images),
                         ("t10k-labels-idx1-ubyte.gz", np.arange(12) % 3)):
        content = idx(values)
        (folder / name).write_bytes(content[:-1] if damage else content)
        files.append(Wanted(name, (NOWHERE + name, address + name),
                            hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(downloads, "files_of", lambda title: tuple(files))
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path / "cache"))
    return images


def test_what_is_downloaded_opens_and_is_there_the_next_time(served, monkeypatch, tmp_path):
    images = wanted(served, monkeypatch, tmp_path)
    path = downloaded("MNIST, test")
    data = library.open_dataset(library.dataset_id(path))
    assert np.array_equal(data.image(3)[..., 0], images[3])
    assert data.labels.tolist() == [0, 1, 2] * 4
    for file in served[0].glob("*.gz"):
        file.unlink()
    assert downloaded("MNIST, test") == path


def test_what_is_not_the_file_is_not_kept(served, monkeypatch, tmp_path):
    wanted(served, monkeypatch, tmp_path, damage=True)
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz .* digest differs\. Where"):
        downloaded("Fashion-MNIST, test")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_without_a_network_the_next_step_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads, "files_of",
                        lambda title: (Wanted("a.gz", (f"{NOWHERE}a.gz",), ""),))
    with pytest.raises(UserError, match=r"127\.0\.0\.1 did not answer .*add it as a file"):
        downloaded("CIFAR-10")


class Breaking(BaseHTTPRequestHandler):
    """Gives at most `at_once` bytes of an answer, then hangs up; knows ranges, or not."""

    content, at_once, ranges, asked = bytes(range(250)) * 40, 4_000, True, []

    def do_GET(self):
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        begin = int(wanted[6:-1]) if wanted and self.ranges else 0
        if begin >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        self.wfile.write(self.content[begin:begin + self.at_once])

    def log_message(self, *words):
        pass


@pytest.fixture
def breaking(tmp_path, monkeypatch):
    """That server's settings, and the file it gives as the cache has it when it is finished."""
    kind = type("Server", (Breaking,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/a.gz"
    file = Wanted("a.gz", (address,), hashlib.md5(kind.content).hexdigest())
    monkeypatch.setattr(downloads, "files_of", lambda title: (file,))
    monkeypatch.setattr(jobs, "RETRY", 0.0)
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    yield kind
    server.shutdown()


def part_of(tmp_path, content):
    folder = store.uploads() / hashlib.md5(b"CIFAR-10").hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".a.gz").write_bytes(content)


def test_a_download_that_breaks_off_goes_on_where_it_was(breaking):
    assert downloaded("CIFAR-10").read_bytes() == breaking.content
    assert breaking.asked == [None, "bytes=4000-", "bytes=8000-"]


def test_a_server_without_ranges_is_asked_for_the_whole(breaking, tmp_path):
    breaking.ranges, breaking.at_once = False, 10**6
    part_of(tmp_path, b"some part")
    assert downloaded("CIFAR-10").read_bytes() == breaking.content


def test_a_server_that_always_breaks_off_is_said_and_its_part_kept(breaking, monkeypatch):
    monkeypatch.setattr(downloads, "TRIES", 2)
    with pytest.raises(UserError, match=r"broke off after 8,000 bytes\. Ask for it again"):
        downloaded("CIFAR-10")
    assert downloaded("CIFAR-10").read_bytes() == breaking.content
    assert breaking.asked == [None, "bytes=4000-", "bytes=8000-"]


def test_a_part_of_a_killed_process_is_used(breaking, tmp_path):
    part_of(tmp_path, breaking.content[:9_000])
    assert downloaded("CIFAR-10").read_bytes() == breaking.content
    assert breaking.asked == ["bytes=9000-"]


@pytest.mark.parametrize("rest", [b"", b"more"])
def test_a_part_that_was_whole_or_of_another_file_ends_well(breaking, tmp_path, rest):
    breaking.at_once = 10**6
    part_of(tmp_path, breaking.content + rest)
    assert downloaded("CIFAR-10").read_bytes() == breaking.content


def test_a_part_of_another_file_is_begun_anew(breaking, tmp_path):
    breaking.at_once = 10**6
    part_of(tmp_path, b"?" * 5_000)
    assert downloaded("CIFAR-10").read_bytes() == breaking.content
    assert breaking.asked == ["bytes=5000-", None]


def test_a_file_that_is_not_there_any_more_is_said(served, monkeypatch, tmp_path):
    address = f"{served[1]}gone.gz"
    monkeypatch.setattr(downloads, "files_of", lambda title: (Wanted("gone.gz", (address,), ""),))
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"127\.0\.0\.1 answered 404 .*add it as a file"):
        downloaded("CIFAR-10")


def test_a_disk_without_room_is_not_taken_for_the_network(breaking, monkeypatch):
    def no_room(address, target, progress):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "_went_on", no_room)
    with pytest.raises(UserError, match=r"cannot be written \(No space left .*NETLENS_CACHE"):
        downloaded("CIFAR-10")


def test_what_is_downloaded_counts_towards_the_limit(breaking, monkeypatch, tmp_path):
    old = tmp_path / ("0" * 32)
    old.mkdir()
    (old / "0.npy").write_bytes(bytes(10_000))
    os.utime(old, (1_000_000, 1_000_000))
    monkeypatch.setenv("NETLENS_CACHE_GB", str(15_000 / 1e9))
    monkeypatch.setattr(cache_space, "_nameless", WeakKeyDictionary())  # what others hold open
    path = downloaded("CIFAR-10")
    assert path.is_file()
    assert not old.exists()


@pytest.mark.parametrize("title", downloads.TITLES)
def test_each_name_has_files_with_a_digest(title):
    files = files_of(title)
    assert len(files) == (1 if title == "CIFAR-10" else 2)
    assert "images" in files[0].name or title == "CIFAR-10"
    assert all(len(file.md5) == 32 and file.addresses for file in files)
