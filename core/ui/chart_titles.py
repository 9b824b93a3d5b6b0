"""What stands above a chart: as much of a long name as its width holds, with both ends."""

import json

LETTER = 8  # pixels, as wide as most are
HEAD = 0.6  # of the letters stand before the cut: a layer's number is nearer to the front
FITS = 28  # letters, in the narrowest chart


def title_of(name: str) -> str | dict:
    """The title of a Vega-Lite chart. A long one is cut in its middle, where names differ least, by
    the browser, which alone knows the width; Vega by itself would cut its end.

    The name stands in an expression as a JSON string, so that nothing in it is evaluated.
    """
    if len(name) <= FITS:
        return name
    said, room = json.dumps(name), f"width / {LETTER}"
    head, tail = f"ceil({HEAD} * {room})", f"max(1, floor({1 - HEAD:g} * {room}) - 1)"
    return {
        "text": {
            "expr": f"{len(name)} <= {room} ? {said} : "
            f"slice({said}, 0, {head}) + '…' + slice({said}, -{tail})"
        }
    }
