"""What of a log could not be read."""


class Lost(str):
    """A note of the loading report on points that are lost: a file was cut off, or damaged, or not
    read to its end. Of a run that is still being written it is in order."""

    __slots__ = ()


def note_on(run: str, note: str) -> str:
    """A note of a run's own among those of others."""
    return type(note)(f"{run}: {note}")
