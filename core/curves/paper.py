"""A figure as a file: SVG, or PNG at twice its size."""

import io
from html import escape

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from core.curves.figure import Area, Figure, Stroke, Words

DENSITY = 2  # pixels of the file for one of the figure
FINER = 2  # drawn so many times larger, for smooth edges


def svg(figure: Figure) -> str:
    """The figure as an SVG document that names no other file."""
    left, top, right, bottom = figure.plot
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{figure.width}" height="{figure.height}" '
        f'viewBox="0 0 {figure.width} {figure.height}" font-family="Helvetica, Arial, sans-serif">',
        f'<clipPath id="plot"><rect x="{left}" y="{top}" width="{right - left}" '
        f'height="{bottom - top}"/></clipPath>',
        '<rect width="100%" height="100%" fill="#FFFFFF"/>',
        *map(_element, figure.around), '<g clip-path="url(#plot)">',
        *map(_element, figure.inside), "</g>", "</svg>"])


def _element(part: Stroke | Area | Words) -> str:
    if isinstance(part, Words):
        text = "".join(letter if letter.isprintable() else " " for letter in part.text)
        return (f'<text x="{part.x:.2f}" y="{part.y:.2f}" text-anchor="{part.anchor}" '
                f'font-size="{part.size}" fill="{part.colour}">{escape(text)}</text>')
    places = " ".join(f"{x:.2f},{y:.2f}" for x, y in part.points)
    if isinstance(part, Area):
        return (f'<polygon points="{places}" fill="{part.colour}" '
                f'fill-opacity="{part.opacity:g}"/>')
    dash = f' stroke-dasharray="{" ".join(f"{size:g}" for size in part.dash)}"' if part.dash else ""
    return (f'<polyline points="{places}" fill="none" stroke="{part.colour}" '
            f'stroke-width="{part.width:g}" stroke-opacity="{part.opacity:g}"{dash} '
            'stroke-linejoin="round"/>')


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    scale = DENSITY * FINER
    image = Image.new("RGB", (figure.width * scale, figure.height * scale), "#FFFFFF")
    for part in figure.around:
        _drawn(image, part, scale)
    box = tuple(round(side * scale) for side in figure.plot)
    behind = image.copy()
    for part in figure.inside:
        _drawn(image, part, scale)
    behind.paste(image.crop(box), box[:2])
    file = io.BytesIO()
    behind.resize((figure.width * DENSITY, figure.height * DENSITY), Image.Resampling.BOX).save(
        file, "PNG")
    return file.getvalue()


def _drawn(image: Image.Image, part: Stroke | Area | Words, scale: int) -> None:
    brush = ImageDraw.Draw(image, "RGBA")
    if isinstance(part, Words):
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[part.anchor]
        brush.text((part.x * scale, part.y * scale), part.text, part.colour,
                   ImageFont.load_default(part.size * scale), anchor)
        return
    ink = (*ImageColor.getrgb(part.colour), round(part.opacity * 255))
    if isinstance(part, Area):
        if len(part.points) > 2:
            brush.polygon(_places(part.points * scale), ink)
        return
    for line in dashed(part.points, part.dash):
        joint = "curve" if part.width > 1 else None
        brush.line(_places(line * scale), ink, max(1, round(part.width * scale)), joint)


def _places(points: np.ndarray) -> list[tuple[float, float]]:
    return list(map(tuple, np.clip(points, -1e6, 1e6).tolist()))


def dashed(points: np.ndarray, dash: tuple[float, ...]) -> list[np.ndarray]:
    """The visible parts of a line, each (N, 2); dash: lengths, visible and not in turn."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    if not dash or along[-1] == 0:
        return [points]
    rounds = int(np.ceil(along[-1] / sum(dash))) + 1
    ends = np.cumsum(np.tile(dash, rounds))
    starts, stops = np.concatenate([[0.0], ends[1:-1:2]]), ends[::2]
    parts = []
    for start, stop in zip(starts, stops, strict=True):
        if start >= along[-1]:
            break
        stop = min(stop, along[-1])
        at = np.concatenate([[start], along[(along > start) & (along < stop)], [stop]])
        parts.append(np.column_stack([np.interp(at, along, points[:, 0]),
                                      np.interp(at, along, points[:, 1])]))
    return parts
