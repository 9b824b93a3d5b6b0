"""Data sets by name, from a server of our own: whole, damaged, or not there."""

import gzip
import hashlib
import struct
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from core import downloads, library
from core.downloads import Wanted, downloaded, files_of
from core.errors import UserError

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
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz .* is not that file"):
        downloaded("Fashion-MNIST, test")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_without_a_network_the_next_step_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    monkeypatch.setattr(downloads, "files_of",
                        lambda title: (Wanted("a.gz", (f"{NOWHERE}a.gz",), ""),))
    with pytest.raises(UserError, match=r"127\.0\.0\.1 did not answer .*add it as a file"):
        downloaded("CIFAR-10")


@pytest.mark.parametrize("title", downloads.TITLES)
def test_each_name_has_files_with_a_digest(title):
    files = files_of(title)
    assert len(files) == (1 if title == "CIFAR-10" else 2)
    assert "images" in files[0].name or title == "CIFAR-10"
    assert all(len(file.md5) == 32 and file.addresses for file in files)
