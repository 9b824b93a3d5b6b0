"""A table with a column that counts steps or epochs and further columns of numbers."""

from pathlib import Path

from core.findings.tag_names import direction
from core.log_files.columns import is_step
from core.log_files.csv import ENDINGS, read_table, table_start
from core.log_formats import Format, Logs


def matches(path: Path) -> bool:
    """A column of numbers named step, epoch or alike, or a first one of ascending whole numbers
    beside a metric's; and another column of numbers."""
    start = table_start(path)
    numbers = start.numbers()
    if len(numbers) < 2:
        return False
    counts = numbers[0] == start.names[0] and _ascends([row[0] for row in start.rows])
    return any(map(is_step, numbers)) or (counts and any(map(direction, numbers[1:])))


def _ascends(cells: list[str]) -> bool:
    whole = [int(cell) for cell in cells if cell.isdecimal()]
    return len(whole) == len(cells) and whole == sorted(whole)


def load(files: list[Path], run: str) -> Logs:
    """Raises UserError."""
    return read_table(files[0], run)


FORMAT = Format("CSV", matches, load, alone=True, fallback=True,
                endings=(*ENDINGS, *(f"{ending}.gz" for ending in ENDINGS)))
