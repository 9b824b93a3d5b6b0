"""Which range of values stands for black to white: one for all pictures of a data set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ValueRange:
    """Values `low` to `high` are shown as 0 to 255. words: what that is, as the end of a sentence;
    '' where nothing is changed."""

    low: float
    high: float
    words: str

    @property
    def scale(self) -> float:
        return 255 / max(self.high - self.low, 1e-12)


AS_THEY_ARE = ValueRange(0, 255, "")
SIXTEEN_BITS = ValueRange(0, 65535, "16 bits scaled to 0 to 255")


def usual_range(low: float, high: float, whole: bool) -> ValueRange:
    """The usual range in which all values lie, else the values' own. whole: they are integers.

    Cameras and scanners of 12 bits write into 16: by the full range 16 grey levels would be left.
    """
    if low >= 0 and high <= 1 and (not whole or high == 1):
        return ValueRange(0, 1, "taken as 0 to 1")
    if low >= 0 and high <= 255:
        return ValueRange(0, 255, "taken as 0 to 255")
    if low >= -1 and high <= 1:
        return ValueRange(-1, 1, "taken as -1 to 1")
    if whole and low >= 0 and high <= 4095:
        return ValueRange(0, 4095, "taken as 12 bits, 0 to 4,095 scaled to 0 to 255")
    if whole and low >= 0 and high <= 65535:
        return SIXTEEN_BITS
    return ValueRange(low, high, "which is no usual range of pixels (standardised perhaps); scaled "
                                 "so that this range fills 0 to 255")


def in_figures(value: float, whole: bool) -> str:
    """A value as it is told to people: 65,460 or 0.1235. whole: it is an integer."""
    return f"{value:,.0f}" if whole else f"{value:.4g}"
