"""What a model takes on disk: its file, and those beside it that hold its weights."""

import json
from pathlib import Path

from core.cache import cached_result
from core.files.file_map import FileMap
from core.graph.onnx_file import GRAPH, MODEL
from core.graph.onnx_tensors import ENTRY, FIELDS
from core.graph.onnx_wire import Wire
from core.library import path_of
from core.model_formats import onnx

INDEX = ".index.json"  # of weights in several files
MOST_INDEX = 1 << 26  # bytes


@cached_result
def size_on_disk(model_id: str) -> tuple[int, int]:
    """(bytes, files) of the model behind an id."""
    paths = files_of(path_of(model_id))
    return sum(path.stat().st_size for path in paths), len(paths)


def files_of(path: Path) -> list[Path]:
    """The model's own file first, then the files of its folder that it names and that are there."""
    names = _shards(path) if path.name.endswith(INDEX) else _external(path)
    beside = [path.parent / name for name in dict.fromkeys(names)
              if name != path.name and Path(name).name == name]
    return [path, *(file for file in beside if file.is_file() and not file.is_symlink())]


def _shards(path: Path) -> list[str]:
    """https://huggingface.co/docs/transformers/big_models: tensor by tensor, the file it is in."""
    if path.stat().st_size > MOST_INDEX:
        return []
    said = json.loads(path.read_text(encoding="utf-8"))
    places = said.get("weight_map") if isinstance(said, dict) else None
    return [name for name in places.values() if isinstance(name, str)] if (
        isinstance(places, dict)) else []


def _external(path: Path) -> list[str]:
    """The files that an ONNX graph names for its tensors."""
    if not onnx.matches(path):
        return []
    wire, file = Wire(), FileMap(path)
    names = []
    for graph in wire.message(file.view(0, len(file)), MODEL)["graph"]:
        for data in wire.message(graph, GRAPH)["tensors"]:
            for entry in wire.message(data, FIELDS)["external"]:
                said = wire.message(entry, ENTRY)
                if said["key"] and said["value"] and wire.text(said["key"][-1]) == "location":
                    names.append(wire.text(said["value"][-1]))
    return names
