"""Drawings that Streamlit lacks, a folder each: markup, style and scripts, joined here."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MOUNT = HERE / "mount.js"  # keeps one View for each place on the page


@dataclass(frozen=True)
class Sources:
    """The texts that Streamlit is given. js: one module, whose last part is mount.js."""

    html: str
    css: str
    js: str


def sources(folder: str, scripts: tuple[str, ...]) -> Sources:
    """Those of a drawing. scripts: in this order; together they define a class View."""
    place = HERE / folder
    joined = [*(place / f"{script}.js" for script in scripts), MOUNT]
    html, css = (place / f"{folder}.{kind}" for kind in ("html", "css"))
    return Sources(_text(html), _text(css), "\n".join(map(_text, joined)))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
