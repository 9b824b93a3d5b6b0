"""Runs of whose logs a part is lost: a file was cut off, or damaged, or not read to its end."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from core.events.pieces import USUAL, WAITED_FOR
from core.findings.kinds import Finding
from core.log_files.lost import Lost


def lost_part(run: str, last_step: int, notes: Sequence[str]) -> Finding:
    """A file of the log was cut off or damaged when it was read, as told in full under "How the
    logs were read". Where the curves then end, training need not have ended, so nothing is said of
    its end. Not said of a run that is still being written."""
    more = f" And {len(notes) - 1:,} more." if len(notes) > 1 else ""
    said = ("Part of this log could not be read, so its curves may lack points or end before "
            f"training did: {_unhurried(notes[0])}{more}")
    return Finding(run, "", last_step, said, "log not whole")


def _unhurried(note: str) -> str:
    """Without what it says of a run that is being written, of which nothing is said here."""
    return note.replace(USUAL, "").replace(WAITED_FOR, "")


def lost_parts(notes: Iterable[str], runs: Sequence[str]) -> dict[str, list[str]]:
    """By run what the loading report says is lost of it. The notes begin with the run's name, or
    with that of a folder below it, where there are several runs to read."""
    owned = [(_owner(note, runs), note) for note in notes]
    several = len(runs) > 1 and any(run for run, _ in owned)
    found: dict[str, list[str]] = defaultdict(list)
    for run, note in owned:
        if isinstance(note, Lost):
            for name in ([run] if run else []) if several else runs:
                found[name].append(note.removeprefix(f"{name}: "))
    return dict(found)


def _owner(note: str, runs: Iterable[str]) -> str:
    """The run that a note is about, "" for none."""
    named = [run for run in runs if note.startswith(f"{run}: ")]
    below = [run for run in runs if note.startswith(f"{run}/")]
    return max(named or below, key=len, default="")
