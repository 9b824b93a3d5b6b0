"""What stands above a chart: as much of a long name as its width holds, with both ends."""

import json

SIZE = 16  # pixels a letter is high, as Streamlit has it
THIN, SLIM, WIDE = frozenset("!',.:;Iijl| "), frozenset("()-/[]\\frst{}"), frozenset("%@MWmw")
PIXELS = {THIN: 4.5, SLIM: 6.0, WIDE: 13.0}  # a letter of that size, in bold
OTHERS = 8.4
AXIS = 24  # pixels beside the plot that are room for a title, too
HEAD = 0.6  # of the letters stand before the cut: a layer's number is nearer to the front
NARROWEST = 224  # pixels, of any chart
UNCUT = 10_000  # pixels, so that Vega cuts nothing once more


def title_of(name: str, size: int = SIZE, axis: int = AXIS) -> str | dict:
    """The title of a Vega-Lite chart in letters of that size, beside whose plot the axis takes that
    many pixels. A long one is cut in its middle, where names differ least, by the browser, which
    alone knows the width; Vega by itself would cut its end.

    The name stands in an expression as a JSON string, so that nothing in it is evaluated.
    """
    if not may_be_cut(name, size):
        return name
    said, wide = json.dumps(name), width_of(name, size)
    room = f"(width + {axis}) / {wide / len(name):.2f}"
    head, tail = f"ceil({HEAD} * {room})", f"max(1, floor({1 - HEAD:g} * {room}) - 2)"
    return {
        "limit": UNCUT,
        "text": {
            "expr": f"{wide:.0f} <= width + {axis} ? {said} : "
            f"slice({said}, 0, {head}) + '…' + slice({said}, -{tail})"
        },
    }


def may_be_cut(name: str, size: int = SIZE) -> bool:
    """Whether the narrowest chart has no room for the whole name."""
    return width_of(name, size) > NARROWEST


def width_of(name: str, size: int = SIZE) -> float:
    """About how many pixels a name takes in bold letters."""
    pixels = sum(next((wide for kind, wide in PIXELS.items() if letter in kind), OTHERS)
                 for letter in name)
    return pixels * size / SIZE
