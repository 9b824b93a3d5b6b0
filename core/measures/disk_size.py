"""What a model takes on disk: its file, and those beside it that hold its weights."""

from pathlib import Path

from core.cache import cached_result
from core.model_formats import onnx, shard_index
from core.places import path_of
from core.weight_files.shard_index import read_index


@cached_result
def size_on_disk(model_id: str) -> tuple[int, int]:
    """(bytes, files) of the model behind an id."""
    paths = files_of(path_of(model_id))
    return sum(path.stat().st_size for path in paths), len(paths)


def files_of(path: Path) -> list[Path]:
    """The files that open with this one: its own first, or the index that names it as a part, then
    those that are named and there. Raises UserError where an index is damaged."""
    index = path if shard_index.matches(path) else shard_index.index_naming(path)
    if index is not None:
        parts = [index.with_name(name) for name in sorted(set(read_index(index).values()))]
        return [index, *(part for part in parts if part.is_file())]
    beside = [path.parent / name for name in dict.fromkeys(_external(path))
              if name != path.name and Path(name).name == name]
    return [path, *(file for file in beside if file.is_file() and not file.is_symlink())]


def _external(path: Path) -> list[str]:
    """The files that an ONNX graph names for its tensors."""
    if not onnx.matches(path):
        return []
    from core.files.file_span import FileSpan
    from core.graph.onnx_file import GRAPH, MODEL  # with torch, which other files do not need here
    from core.graph.onnx_tensors import ENTRY, FIELDS
    from core.graph.onnx_wire import Wire

    wire, names = Wire(), []
    with path.open("rb", buffering=0) as file:
        for graph in wire.message(FileSpan(file, 0, path.stat().st_size), MODEL)["graph"]:
            for data in wire.message(graph, GRAPH)["tensors"]:
                for entry in wire.message(data, FIELDS)["external"]:
                    said = wire.message(entry, ENTRY)
                    if said["key"] and said["value"] and wire.text(said["key"][-1]) == "location":
                        names.append(wire.text(said["value"][-1]))
    return names
