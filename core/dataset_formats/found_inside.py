"""The data set that the files of a folder or an archive make, whatever its kind."""

from dataclasses import replace

from core.dataset_files.array_roles import split_of
from core.dataset_files.file_sources import Source, skipped_note
from core.dataset_formats import DataSet, flat_folder
from core.errors import UserError
from core.plugins import discover

FEW = 4  # pictures a folder


def data_inside(source: Source) -> DataSet | None:
    """What a table says of the pictures, else of all that the formats find the most examples.

    None where no format knows any of the files. Raises UserError where those known are damaged.
    """
    described = flat_folder.described(source)
    if described and described.labels is not None:
        return _titled(described, source, "a table of pictures", ())
    found: list[tuple[str, DataSet]] = []
    damage: list[UserError] = []
    for form in discover("core.dataset_formats", "FORMAT").values():
        try:
            if form.inside and (data := form.inside(source)):
                found.append((_in_a_sentence(form.title), data))
        except UserError as error:
            damage.append(error)
    if not found and damage:
        raise damage[0]
    if not found:
        return None
    if described and all(_is_by_few(data) for _, data in found if data.labels is not None):
        found = [(title, data) for title, data in found if data.labels is None]
    title, data = max(found, key=lambda pair: len(pair[1]))
    paths = set(data.metadata["path"])
    others = [f"{other} ({len(part):,} examples)" for other, part in found
              if other != title and part.metadata["path"].iloc[0] not in paths]
    said = [f"Other data in it, not shown: {', '.join(others)}."] if others else []
    said += [f"Other data in it cannot be read: {error}" for error in damage]
    return _titled(data, source, title, tuple(said))


def _in_a_sentence(title: str) -> str:
    """A title with a small first letter, unless its first word is a name such as MNIST or NumPy."""
    first = title.partition(" ")[0]
    return title if any(map(str.isupper, first[1:])) else first.lower() + title[len(first):]


def _is_by_few(data: DataSet) -> bool:
    """Whether folders hold so few pictures each that they are patients or products, say: where a
    table tells of the pictures, they are no classes."""
    return len(data) < FEW * len(data.class_names)


def _titled(data: DataSet, source: Source, kind: str, notes: tuple[str, ...]) -> DataSet:
    told = data.split and data.split not in source.title.lower()
    return replace(
        data, title=f"{source.title}, {data.split}" if told else source.title,
        split=data.split or split_of(source.title),
        notes=(f"Read inside {source.title}: {kind}.", *skipped_note(source), *data.notes, *notes))
