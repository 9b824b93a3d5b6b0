"""Well-known data sets by name: torchvision's addresses and digests, downloaded when asked for."""

import hashlib
import http.client
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
    except OSError as error:
        raise UserError(f"{folder.name} cannot be written: {error.strerror}. Set NETLENS_CACHE to "
                        "a folder that can.") from error
    for file in files:
        if not (folder / file.name).is_file():
            _get_one(folder, file, progress)


def _get_one(folder: Path, file: Wanted, progress: Progress) -> None:
    unfinished = folder / f".{file.name}"
    for address in file.addresses:
        try:
            digest = _copy(address, unfinished, progress)
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or error
            reason = f"{urlsplit(address).hostname} did not answer ({why})"
            continue
        if digest == file.md5:
            unfinished.replace(folder / file.name)
            return
        reason = f"what {urlsplit(address).hostname} sent is not that file"
    unfinished.unlink(missing_ok=True)
    raise UserError(f"{file.name} could not be downloaded: {reason}. Where this machine has no "
                    "internet, download it elsewhere and add it as a file.")


def _copy(address: str, target: Path, progress: Progress) -> str:
    """Writes what an address gives; the MD5 of it."""
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer, target.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        while block := answer.read(BLOCK):
            file.write(block)
            digest.update(block)
            done += len(block)
            progress(done // 1000, total // 1000)
    return digest.hexdigest()
