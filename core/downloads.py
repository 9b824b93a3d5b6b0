"""Well-known data sets by name: torchvision's addresses and digests, downloaded when asked for."""

import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from core import store
from core.errors import UserError
from core.jobs import Progress, demand

TITLES = ("MNIST, test", "MNIST, train", "Fashion-MNIST, test", "Fashion-MNIST, train", "CIFAR-10")
BLOCK = 1 << 20  # bytes
PATIENCE = 15  # seconds without a byte
TRIES = 5  # times that one address is asked to go on where it broke off
ELSEWHERE = "Where this machine has no internet, download it elsewhere and add it as a file."


@dataclass(frozen=True)
class Wanted:
    """One file: where it may be, the first address that answers is taken, and its MD5."""

    name: str
    addresses: tuple[str, ...]
    md5: str


def downloaded(title: str) -> Path:
    """The data set's file on this machine, the file of images where labels lie beside it.

    May raise Working; UserError where no address answers, or what comes is not that file.
    """
    folder = store.uploads() / hashlib.md5(title.encode(), usedforsecurity=False).hexdigest()
    files = files_of(title)
    find = partial(_found, folder, files)
    return demand(str(folder), f"Downloading {title}", "kB", find, partial(_get, folder, files),
                  "files")


def files_of(title: str) -> tuple[Wanted, ...]:
    """What one of TITLES is made of, the file to open first."""
    from torchvision import datasets

    name, _, split = title.partition(", ")
    if name == "CIFAR-10":
        known = datasets.CIFAR10
        return (Wanted(known.filename, (known.url,), known.tgz_md5),)
    known = {"MNIST": datasets.MNIST, "Fashion-MNIST": datasets.FashionMNIST}[name]
    start = {"test": "t10k", "train": "train"}[split]
    return tuple(Wanted(file, tuple(mirror + file for mirror in known.mirrors), md5)
                 for file, md5 in sorted(known.resources) if file.startswith(start))


def _found(folder: Path, files: tuple[Wanted, ...]) -> Path | None:
    there = all((folder / file.name).is_file() for file in files)
    return folder / files[0].name if there else None


def _get(folder: Path, files: tuple[Wanted, ...], progress: Progress) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            if not (folder / file.name).is_file():
                _get_one(folder, file, progress)
    except OSError as error:  # those of the network are UserErrors by now
        raise UserError(f"{files[0].name} cannot be written ({error.strerror}). Make room there, "
                        "or set NETLENS_CACHE to a folder that can be written.") from error
    store.trim()


def _get_one(folder: Path, file: Wanted, progress: Progress) -> None:
    """Raises UserError with the last address's reason; the part that came is kept for the next
    time."""
    unfinished = folder / f".{file.name}"
    for address in file.addresses:
        host = urlsplit(address).hostname
        try:
            digest = _fetched(address, unfinished, file.md5, progress)
        except urllib.error.HTTPError as error:
            reason = f"{host} answered {error.code} {error.reason}. {ELSEWHERE}"
        except urllib.error.URLError as error:
            reason = f"{host} did not answer ({error.reason}). {ELSEWHERE}"
        else:
            if digest == file.md5:
                unfinished.replace(folder / file.name)
                return
            reason = f"what {host} sent is not that file: its digest differs. {ELSEWHERE}"
            if digest is None:
                reason = (f"{host} broke off after {_size(unfinished):,} bytes. "
                          "Ask for it again to go on from there.")
            else:
                unfinished.unlink()
    raise UserError(f"{file.name} could not be downloaded: {reason}")


def _fetched(address: str, target: Path, md5: str, progress: Progress) -> str | None:
    """The MD5 of what has come, None where it broke off; goes on from a part that is there, and
    from the beginning where that turns out to be of another file."""
    resumed = _size(target) > 0
    for _ in range(TRIES):
        if not _went_on(address, target, progress):
            continue
        with target.open("rb") as file:
            digest = hashlib.file_digest(
                file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest == md5 or not resumed:
            return digest
        target.unlink()
        resumed = False
    return None


def _went_on(address: str, target: Path, progress: Progress) -> bool:
    """Writes what an address gives after the bytes that are there; whether all has come."""
    done = _size(target)
    asked = urllib.request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            done = done if answer.status == http.client.PARTIAL_CONTENT else 0
            total = done + int(answer.headers.get("Content-Length") or 0)
            with target.open("ab" if done else "wb") as file:
                while block := _read(answer):
                    file.write(block)
                    done += len(block)
                    progress(done // 1000, total // 1000)
            return done >= total
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # all of it was there
        raise
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise urllib.error.URLError(error) from error  # before the first byte of an answer


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The next block, none at the end and where it breaks off."""
    try:
        return answer.read(BLOCK)
    except (http.client.HTTPException, OSError):
        return b""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
