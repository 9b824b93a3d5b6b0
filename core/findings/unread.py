"""Runs of whose logs a part is lost: a file was cut off, or damaged, or not read to its end."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from core.findings.kinds import Finding
from core.log_files.lost import Lost

USUAL = " (normal while a run is being written)"  # of a run that is, none of this is said


def lost_part(run: str, last_step: int, notes: Sequence[str]) -> Finding:
    """A file of the log was cut off or damaged when it was read, as told in full under "How the
    logs were read". Where the curves then end, training need not have ended, so nothing is said of
    its end. Not said of a run that is still being written."""
    more = f" And {len(notes) - 1:,} more." if len(notes) > 1 else ""
    said = ("Part of this log could not be read, so its curves may lack points or end before "
            f"training did: {notes[0].replace(USUAL, '')}{more}")
    return Finding(run, "", last_step, said, "log not whole")


def lost_parts(notes: Iterable[str], runs: Sequence[str]) -> dict[str, list[str]]:
    """By run what the loading report says is lost of it. The notes begin with the run's name, or
    with that of a folder below it, where there are several runs to read."""
    owned = [(_owner(note, runs), note) for note in notes]
    several = any(run for run, _ in owned)
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
