"""A data set of 100,000 pictures, as a folder and as a Parquet file: opened, and its first page.

    python -m tests.benchmarks.bench_large_folder [PICTURES]

The folder has one sub-folder per class and hard links of a few files. For each: milliseconds of the
app's own functions, and by how much they let the process grow; then, in Chromium, seconds from the
address to the finished page (at most 5), pictures decoded for it (the server counts the calls of
the decoder), and the growth of the server's memory over the same page with no data, or with a small
set of the samples (at most 200 MB; Linux). Architecture shows no picture; the Overview of a sample
of 500 waits for the pass over them and for the search of other set-ups.
"""

import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.bench_opening import resident
from tests.browser.conftest import QUIET, Server, ready

FILES, CLASSES = 50, 100
CALM = 0.8  # seconds that `ready` looks on after the page is finished
COUNTER = """
import os
import core.images
real = core.images.decode
open(os.environ["DECODED"], "a").close()
def counted(*given, **named):
    with open(os.environ["DECODED"], "a") as file:
        file.write(".")
    return real(*given, **named)
core.images.decode = counted
"""


def pictures() -> list[bytes]:
    """A few JPEGs of 160 × 120."""
    random, made = np.random.default_rng(0), []
    for _ in range(FILES):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        out = io.BytesIO()
        coarse.resize((160, 120), Image.Resampling.BICUBIC).save(out, "JPEG")
        made.append(out.getvalue())
    return made


def folder_of(place: Path, number: int) -> Path:
    """`number` pictures in one folder per class."""
    sources = [place / f"{nth}.jpg" for nth in range(FILES)]
    for source, content in zip(sources, pictures(), strict=True):
        source.write_bytes(content)
    root = place / "folder" / "pictures"
    for nth in range(CLASSES):
        (root / f"class{nth:03d}").mkdir(parents=True)
    for nth in range(number):
        os.link(sources[nth % FILES], root / f"class{nth % CLASSES:03d}" / f"{nth:06d}.jpg")
    return root


def parquet_of(place: Path, number: int) -> Path:
    """The same pictures as Hugging Face writes them, with a column of metadata."""
    (place / "parquet").mkdir()
    path, made = place / "parquet" / "pictures.parquet", pictures()
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), ("label", pa.int64()), ("photographer", pa.string())])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for start in range(0, number, 5_000):
            rows = range(start, min(start + 5_000, number))
            writer.write_table(pa.table({
                "image": pa.array([{"bytes": made[row % FILES], "path": f"{row:06d}.jpg"}
                                   for row in rows], image),
                "label": [row % CLASSES for row in rows],
                "photographer": [f"person {row % 977}" for row in rows]}, schema))
    return path


def opened(path: Path) -> None:
    """Prints what the app's own functions take in this process."""
    from core import library

    def took(words: str, function: Callable[[], object]) -> object:
        begin, before = time.perf_counter(), resident("VmRSS")
        result = function()
        print(f"  {words}: {1000 * (time.perf_counter() - begin):.0f} ms, "
              f"{resident('VmRSS') - before:+.0f} MB")
        return result

    name = took("id", lambda: library.dataset_id(path))
    took("id again, as each run of a page asks", lambda: library.dataset_id(path))
    data = took("opened", lambda: library.open_dataset(name))
    took("a sample of it", lambda: library.open_dataset(library.dataset_id(path, 1_000)))
    took("one picture", lambda: data.image(len(data) // 2))
    kinds = sorted({type(kind).__name__ for kind in data.metadata.dtypes})
    print(f"  {len(data):,} examples; metadata of {', '.join(kinds)}, "
          f"{data.metadata.memory_usage(deep=True).sum() / 1e6:.1f} MB")


def first_page(page: Page, path: Path, place: Path, number: int) -> None:
    """Prints what a person waits for, and what the server takes for it."""
    counted = place / "decoded"
    counted.unlink(missing_ok=True)
    (place / "counter").mkdir(exist_ok=True)
    (place / "counter" / "sitecustomize.py").write_text(COUNTER, encoding="utf-8")
    cache = Path(tempfile.mkdtemp(dir=place))
    paths = os.pathsep.join([str(place / "counter"), *sys.path])
    server = Server(cache, "--data", str(path.parent), PYTHONPATH=paths, DECODED=str(counted))
    try:
        for name, without, more in (("Architecture", "none", ""),
                                    ("", "shapes-test.json", "&sample=500")):
            page.goto(f"{server.url}/{name}?data={without}")
            ready(page)
            before, decoded = memory(server), counted.stat().st_size
            begin = time.perf_counter()
            page.goto(f"{server.url}/{name}?data={quote(path.name)}{more}")
            page.get_by_text(f"{number:,} examples").first.wait_for()
            first = time.perf_counter() - begin
            ready(page)
            took = time.perf_counter() - begin - CALM
            assert not page.get_by_text("could not be drawn").count()
            print(f"  {name or 'Overview'}: data named after {first:.1f} s, finished after "
                  f"{took:.1f} s; {counted.stat().st_size - decoded} pictures decoded; "
                  f"{memory(server) - before:+.0f} MB")
    finally:
        server.stop()


def memory(server: Server) -> float:
    """MB that the server holds (Linux)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines()
                if line.startswith("VmRSS")) / 1024


def main(number: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        place = Path(name)
        os.environ["NETLENS_CACHE"] = str(place / "cache")
        chrome = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        for make in (folder_of, parquet_of):
            path = make(place, number)
            print(f"{path.name}, {number:,} pictures")
            opened(path)
            page = chrome.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.set_default_timeout(60_000)
            first_page(page, path, place, number)
            page.context.close()
        chrome.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
