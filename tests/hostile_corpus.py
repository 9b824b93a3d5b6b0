"""Hostile model files, one at least of every kind of attack, made anew: nothing here is a stranger's.

    python -m tests.hostile_corpus FOLDER [MARKER]

writes them all. What a payload would do is create the file MARKER; nothing else is ever run. Each
case says what must happen: "refuse", or "open", with one of the words that must be said.
"""

import argparse
import io
import json
import os
import pickle
import struct
import subprocess
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.utils import collect_env

REFUSE, OPEN = "refuse", "open"
CODE = ("code", "unsafe", "executed")
MARKUP = ["<img src=x onerror=alert(1)>", "![](http://127.0.0.1:9/x)", ":red[**x**]", "a\u202eb",
          "$\\sum$", "=1+1"]


@dataclass(frozen=True)
class Case:
    """One file: what must happen, one of which words must be said, and what writes it.

    fires: plain torch.load runs its payload, so that the test of it can fail.
    """

    file: str
    action: str
    words: tuple[str, ...]
    write: Callable[[Path, Path], None]
    fires: bool = False


CASES: list[Case] = []


def case(file: str, action: str = REFUSE, *words: str, fires: bool = False) -> Callable:
    """Registers a function of (path, marker) that writes the file."""
    def register(write: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        CASES.append(Case(file, action, words, write, fires))
        return write
    return register


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def zipped(path: Path, members: list[tuple[str, bytes]], how: int = zipfile.ZIP_STORED) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", how) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in members:
            archive.writestr(name, data)


def changed(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """The archive with each member as `change` gives it; without those that it gives None."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    zipped(path, [(name, new) for name, data in members if (new := change(name, data)) is not None])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# --- checkpoints of torch


def checkpoint(path: Path, pickled: bytes, **records: bytes) -> None:
    zipped(path, [("archive/data.pkl", pickled), ("archive/version", b"3\n"),
                  *((f"archive/data/{name[1:]}", data) for name, data in records.items())])


def touch(marker: Path) -> str:
    return f"touch '{marker}'"


def weights() -> OrderedDict:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict()


def tensor_pickle(shape: tuple[int, ...], stride: tuple[int, ...], count: int, offset: int = 0,
                  rebuild: str = "torch._utils _rebuild_tensor_v2") -> bytes:
    """A state dict of one tensor over the record 0, which it says holds `count` floats."""
    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"L%dL\n" % value for value in values) + b"t"

    module, name = rebuild.split()
    storage = (b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
               + b"L%dL\n" % count + b"tQ")
    call = (f"c{module}\n{name}\n".encode() + b"(" + storage + b"L%dL\n" % offset + numbers(shape)
            + numbers(stride) + b"\x89ccollections\nOrderedDict\n)Rt" + b"R")
    return b"\x80\x02}" + text("weight") + call + b"s."


CALLS: dict[str, Callable[[Path], Any]] = {
    "os_system": lambda marker: Calls(os.system, touch(marker)),
    "popen": lambda marker: Calls(subprocess.Popen, ["touch", str(marker)]),
    "eval": lambda marker: Calls(eval, f"open({str(marker)!r}, 'w')"),
    "exec": lambda marker: Calls(exec, f"open({str(marker)!r}, 'w')"),
    "getattr": lambda marker: Calls(getattr(Path, "touch"), Path(marker)),  # noqa: B009
    "torch_collect_env": lambda marker: Calls(collect_env.run, touch(marker)),
    "beside_good_weights": lambda marker: {"state_dict": weights(), "epoch": 3,
                                           "args": Calls(os.system, touch(marker))},
    "as_a_key": lambda marker: {"state_dict": weights(), Calls(os.system, touch(marker)): 1},
}

for _kind, _make in CALLS.items():
    @case(f"checkpoints/{_kind}.pt", REFUSE, *CODE, fires=True)
    def _(path: Path, marker: Path, make: Callable = _make) -> None:
        torch.save(make(marker), path)

    @case(f"checkpoints/{_kind}_legacy.pth", REFUSE, *CODE, fires=True)
    def _(path: Path, marker: Path, make: Callable = _make) -> None:
        torch.save(make(marker), path, _use_new_zipfile_serialization=False)


@case("checkpoints/pickle_within_a_pickle.pt", REFUSE, *CODE, fires=True)
def _(path: Path, marker: Path) -> None:
    inner = io.BytesIO()
    torch.save(Calls(os.system, touch(marker)), inner)
    torch.save({"w": Calls(torch.storage._load_from_bytes, inner.getvalue())}, path)


def _python_2(marker: Path) -> bytes:
    return b"\x80\x02c__builtin__\neval\nU%c%s\x85R." % (
        len(text := f"open('{marker}','w')".encode()), text)


def _from_the_memo(marker: Path) -> bytes:
    return (b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x940h\x00h\x01\x93\x8c%c%s\x85R."
            % (len(text := touch(marker).encode()), text))


def _old_instance(marker: Path) -> bytes:
    return b"(S\"" + touch(marker).encode() + b"\"\nios\nsystem\n."


def _object(marker: Path) -> bytes:
    return b"(cos\nsystem\nS\"" + touch(marker).encode() + b"\"\no."


for _kind, _pickled in {"python_2_name": _python_2, "stack_global_from_the_memo": _from_the_memo,
                        "inst": _old_instance, "obj": _object}.items():
    @case(f"checkpoints/{_kind}.pt", REFUSE, *CODE, "opcode", fires=True)
    def _(path: Path, marker: Path, pickled: Callable = _pickled) -> None:
        checkpoint(path, pickled(marker))


@case("checkpoints/payload_in_place_of_the_magic_number.pt", REFUSE, *CODE, fires=True)
def _(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps(Calls(os.system, touch(marker)), 2) + pickle.dumps(1001, 2))


@case("checkpoints/two_data_pkl.pt", REFUSE, "twice", "duplicate", *CODE)
def _(path: Path, marker: Path) -> None:
    zipped(path, [("archive/data.pkl", pickle.dumps({}, 2)),
                  ("archive/data.pkl", pickle.dumps(Calls(os.system, touch(marker)), 2))])


PICKLES = {
    "bytearray": (b"\x80\x02cbuiltins\nbytearray\nL8589934592L\n\x85R.", "bytearray", "limit"),
    "laughs": (b"\x80\x02]q\x00" + b"".join(
        b"](h%sh%se" % (b"%c" % i, b"%c" % i) + b"q%c" % (i + 1) for i in range(50)) + b".",
        "nest", "tensor", "large"),
    "deep": (b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", "nest", "deep", "tensor"),
    "setitem_of_a_list": (b"\x80\x02]X\x01\x00\x00\x00aK\x01s.", "damaged", "read"),
    "stride_outside": (tensor_pickle((1000, 1000), (10**6, 1), 4), "storage", "bytes"),
    "offset_outside": (tensor_pickle((4,), (1,), 4, offset=10**12), "storage", "bytes"),
    "negative_stride": (tensor_pickle((4,), (-1,), 4), "storage", "stride", "negative"),
    "storage_too_short": (tensor_pickle((1024,), (1,), 1024), "storage", "bytes"),
    "endless_expand": (tensor_pickle((2**40,), (0,), 4), "large", "storage", "elements"),
}
for _kind, (_bytes, *_words) in PICKLES.items():
    @case(f"checkpoints/{_kind}.pt", REFUSE, *_words)
    def _(path: Path, marker: Path, pickled: bytes = _bytes) -> None:
        checkpoint(path, pickled, _0=bytes(16))


@case("checkpoints/meta_tensor.pt", REFUSE, "meta", "data", "large")
def _(path: Path, marker: Path) -> None:
    torch.save({"weight": torch.empty(2**50, device="meta")}, path)


@case("checkpoints/sparse_outside.pt", REFUSE, "sparse", "index")
def _(path: Path, marker: Path) -> None:
    sparse = torch.sparse_coo_tensor([[10**12]], [1.0], (4,), check_invariants=False)
    torch.save({"weight": sparse}, path)


@case("checkpoints/record_bomb.pt", REFUSE, "compress", "bomb", "expand")
def _(path: Path, marker: Path) -> None:
    zipped(path, [("archive/data.pkl", tensor_pickle((1 << 26,), (1,), 1 << 26)),
                  ("archive/data/0", bytes(1 << 28))], zipfile.ZIP_DEFLATED)


@case("checkpoints/slip.pt", REFUSE, "outside", "path", "name", "unsafe")
def _(path: Path, marker: Path) -> None:
    zipped(path, [("archive/data.pkl", pickle.dumps({}, 2)), ("archive/../../slipped", b"x")])


@case("checkpoints/size_lies.pt", REFUSE, "damaged", "size", "expand", "bytes", "storage")
def _(path: Path, marker: Path) -> None:
    zipped(path, [("archive/data.pkl", tensor_pickle((4,), (1,), 4)), ("archive/data/0", bytes(16))])
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the directory's last: compressed and real size
    data[entry + 20:entry + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(data)


@case("checkpoints/overlapping_members.pt", REFUSE, "overlap", "damaged", "share")
def _(path: Path, marker: Path) -> None:
    zipped(path, [("archive/data.pkl", tensor_pickle((4,), (1,), 4)), ("archive/data/0", bytes(16)),
                  ("archive/data/1", bytes(16))])
    data = bytearray(path.read_bytes())
    last = data.rindex(b"PK\x01\x02")
    before = data.rindex(b"PK\x01\x02", 0, last)
    data[last + 42:last + 46] = data[before + 42:before + 46]  # where the member begins
    path.write_bytes(data)


@case("checkpoints/many_tensors.pt", REFUSE, "tensors", "many", "limit")
def _(path: Path, marker: Path) -> None:
    torch.save({f"t{i}": torch.zeros(1) for i in range(6_000)}, path)


@case("checkpoints/namespace.pt", OPEN, "argparse", "skipped", "placeholder")
def _(path: Path, marker: Path) -> None:
    options = argparse.Namespace(lr=0.1, folder=PurePosixPath("/data"), scale=np.float64(2.0))
    torch.save({"model": weights(), "args": options}, path)


@case("checkpoints/whole_module.pt", OPEN, "class", "whole", "state dict")
def _(path: Path, marker: Path) -> None:
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), path)


@case("checkpoints/markup_in_names.pt", OPEN)
def _(path: Path, marker: Path) -> None:
    torch.save({name: torch.zeros(2, 2) for name in [*MARKUP, "", "n" * 3000, "a\nb"]}, path)


@case("checkpoints/nan_and_infinity.pt", OPEN, "nan", "finite")
def _(path: Path, marker: Path) -> None:
    torch.save(weights() | {"1.bias": torch.tensor([float("nan"), float("inf")] * 4)}, path)


@case("checkpoints/honest.pt", OPEN)
def _(path: Path, marker: Path) -> None:
    torch.save({"state_dict": weights(), "epoch": 3}, path)


for _name, _data, _words in [
        ("empty.pt", b"", ("empty",)), ("web_page.pth", b"<!DOCTYPE html><html>", ("html",)),
        ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
         ("lfs",)), ("empty.onnx", b"", ("empty",)), ("noise.onnx", bytes(range(200, 256)) * 9,
                                                     ("damaged", "read"))]:
    @case(f"others/{_name}", REFUSE, *_words)
    def _(path: Path, marker: Path, data: bytes = _data) -> None:
        path.write_bytes(data)


# --- safetensors


def entry(start: int = 0, end: int = 16, shape: tuple = (4,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


SAFETENSORS: dict[str, tuple[Any, int, int | None]] = {  # header, bytes of data, length it claims
    "header_of_2_63_bytes": ({"w": entry()}, 16, 2**63), "header_of_4_gb": ({"w": entry()}, 16, 2**32),
    "header_past_the_end": ({"w": entry()}, 16, 2000), "no_json": (b"{'w': 1}", 16, None),
    "deep_json": (b"[" * 100_000, 0, None), "twice": (
        b'{"w":%s,"w":%s}' % ((json.dumps(entry()).encode(),) * 2), 16, None),
    "hole": ({"w": entry()}, 20, None), "overlap": ({"w": entry(), "v": entry(8, 24)}, 24, None),
    "negative": ({"w": entry(-16, 0)}, 16, None), "past_the_end": ({"w": entry(0, 64, (16,))}, 16, None),
    "shape_lies": ({"w": entry(shape=(1024, 1024))}, 16, None),
    "shape_overflows": ({"w": entry(shape=(2**62, 2**62))}, 16, None),
    "unknown_type": ({"w": entry(dtype="F33")}, 16, None),
    "metadata_of_numbers": ({"__metadata__": {"a": 1}, "w": entry()}, 16, None),
    "no_dict": ([entry()], 16, None),
}


def tensors_file(path: Path, header: Any, data: int, claims: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", claims or len(text)) + text + bytes(data))


for _kind, _given in SAFETENSORS.items():
    @case(f"safetensors/{_kind}.safetensors", REFUSE, "header", "safetensors", "damaged")
    def _(path: Path, marker: Path, given: tuple = _given) -> None:
        tensors_file(path, *given)


@case("safetensors/zip_behind.safetensors", REFUSE, "header", "safetensors", "damaged")
def _(path: Path, marker: Path) -> None:
    tensors_file(path, {"w": entry()}, 16)
    behind = io.BytesIO()
    with zipfile.ZipFile(behind, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Calls(os.system, touch(marker)), 2))
    path.write_bytes(path.read_bytes() + behind.getvalue())


@case("safetensors/many.safetensors", REFUSE, "tensors", "many", "limit")
def _(path: Path, marker: Path) -> None:
    tensors_file(path, {f"t{i}": entry(0, 0, (0,)) for i in range(6_000)}, 0)


@case("safetensors/markup.safetensors", OPEN)
def _(path: Path, marker: Path) -> None:
    said = {"__metadata__": dict.fromkeys(MARKUP, MARKUP[0])}
    tensors_file(path, said | {f"{name}.weight": entry(16 * i, 16 * i + 16)
                               for i, name in enumerate(MARKUP)}, 16 * len(MARKUP))


# --- .pt2


def export(path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(48, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x.flatten(1).relu())

    torch.manual_seed(0)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(Net().eval(), (torch.randn(2, 3, 4, 4),), dynamic_shapes=shapes)
    torch.export.save(program, path)


def model_json(path: Path, change: Callable[[dict], Any]) -> None:
    """The export with its graph's JSON changed in place."""
    def changing(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        said = json.loads(data)
        return new if isinstance(new := change(said), bytes) else json.dumps(said).encode()

    changed(path, changing)


def weights_json(path: Path, change: Callable[[dict], Any]) -> None:
    def changing(name: str, data: bytes) -> bytes:
        if not name.endswith("weights_config.json"):
            return data
        said = json.loads(data)
        change(said["config"])
        return json.dumps(said).encode()

    changed(path, changing)


def _nodes(said: dict) -> list[dict]:
    return said["graph_module"]["graph"]["nodes"]


def _target(name: str) -> Callable[[Path, Path], None]:
    return lambda path, marker: model_json(path, lambda said: _nodes(said)[0].update(target=name))


def _expression(path: Path, marker: Path) -> None:
    def change(said: dict) -> bytes:
        text = json.dumps(said)
        evil = json.dumps(f"__import__('os').system({touch(marker)!r})")[1:-1]
        return text.replace('"expr_str": "', f'"expr_str": "{evil} + ').encode()

    model_json(path, change)


def _pickled_weight(path: Path, marker: Path) -> None:
    weights_json(path, lambda config: next(iter(config.values())).update(use_pickle=True))
    inner = io.BytesIO()
    torch.save(Calls(os.system, touch(marker)), inner)
    changed(path, lambda name, data: inner.getvalue() if "/weights/" in name
            and not name.endswith("json") else data)


def _huge_record(path: Path, marker: Path) -> None:
    def change(config: dict) -> None:
        meta = next(iter(config.values()))["tensor_meta"]
        meta["sizes"] = [{"as_int": 10**6}, {"as_int": 10**6}]
        meta["strides"] = [{"as_int": 10**6}, {"as_int": 1}]

    weights_json(path, change)
    changed(path, lambda name, data: b"" if "/weights/" in name and not name.endswith("json")
            else data)


def _sample_inputs(path: Path, marker: Path) -> None:
    inner = io.BytesIO()
    torch.save(Calls(os.system, touch(marker)), inner)
    changed(path, lambda name, data: inner.getvalue() if "sample_inputs" in name else data)


def _native(path: Path, marker: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{root}/data/aotinductor/model/cmodel.so", b"no library")


def _opaque(path: Path, marker: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{root}/data/constants/opaque_obj_0",
                         pickle.dumps(Calls(os.system, touch(marker)), 2))


OPERATOR = ("operator", *CODE)
EXPORTS: dict[str, tuple[str, tuple[str, ...], Callable[[Path, Path], Any]]] = {
    "honest": (OPEN, (), lambda path, marker: None),
    "names_os_system": (REFUSE, OPERATOR, _target("torch.os.system")),
    "names_a_module": (REFUSE, OPERATOR, _target("torch.ops.aten.__class__")),
    "reads_files": (REFUSE, OPERATOR, _target("torch.ops.aten.from_file.default")),
    "code_for_a_size": (OPEN, (), _expression),
    "pickled_weight": (REFUSE, ("pickle", *CODE), _pickled_weight),
    "pickled_inputs": (OPEN, (), _sample_inputs),
    "native_library": (REFUSE, ("compiled", "native", *CODE), _native),
    "opaque_constant": (REFUSE, ("opaque", "pickle", *CODE), _opaque),
    "empty_record_of_4_tb": (REFUSE, ("match", "large", "limit"), _huge_record),
    "deep_json": (REFUSE, ("nest", "json"), lambda path, marker: model_json(
        path, lambda said: b"[" * 100_000)),
    "no_json": (REFUSE, ("json", "damaged"), lambda path, marker: model_json(
        path, lambda said: b"{'a'")),
    "truncated": (REFUSE, ("cut off", "damaged", "truncat"), lambda path, marker: cut(path)),
    "endless_loop_of_refs": (REFUSE, ("before", "missing", "damaged", "value", "order"),
                             lambda path, marker: model_json(path, lambda said: _nodes(said).reverse())),
}
for _kind, (_action, _words, _change) in EXPORTS.items():
    @case(f"pt2/{_kind}.pt2", _action, *_words)
    def _(path: Path, marker: Path, change: Callable = _change) -> None:
        export(path)
        change(path, marker)


# --- TorchScript


def program(path: Path, body: str, more: str = "") -> None:
    """A program of one module whose `forward` has this body, and other methods."""
    class Plain(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.save(torch.jit.script(Plain().eval()), str(path))
    text = ("(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
            "  def forward(self, x: Tensor) -> Tensor:\n")
    text += "".join(f"    {line}\n" for line in body.splitlines()) + more
    changed(path, lambda name, data: data if not name.endswith(".py") else
            (data.decode().split("(Module)")[0] + text).encode())


PROGRAM = ("program", "operator", "torchscript")
PROGRAMS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "honest": (OPEN, (), "return torch.relu(x)"),
    "endless": (REFUSE, ("never end", "long"), "while True:\n  x = torch.relu(x)\nreturn x"),
    "a_trillion_rounds": (REFUSE, ("large", "long"), "for i in range(1000000000000):\n"
                          "  x = torch.relu(x)\nreturn x"),
    "4_tb": (REFUSE, ("large", "memory"), "return torch.add(x, torch.sum(torch.zeros([1099511627776])))"),
    "doubling_list": (REFUSE, ("large", "long"), "a = [1]\nfor i in range(60):\n"
                      "  torch.extend(a, a)\nreturn x"),
    "maps_a_file": (REFUSE, PROGRAM, 'return torch.from_file("/etc/hostname", True, 8)'),
    "saves_a_file": (REFUSE, PROGRAM, 'torch.save(x, "written_by_a_program")\nreturn x'),
    "calls_os": (REFUSE, ("lacks", *PROGRAM), '__torch__.os.system("true")\nreturn x'),
    "unknown_operator": (REFUSE, PROGRAM, "return ops.evil.run(x)"),
    "parentheses": (REFUSE, ("deep", "nest", "damaged", "long"),
                    "return " + "(" * 60_000 + "x" + ")" * 60_000),
    "no_program": (REFUSE, ("damaged", "parse", "read", "program"), "return ((("),
    "attributes_of_python": (REFUSE, ("read", "program"), "return x.__class__.__subclasses__()"),
}
for _kind, (_action, _words, _body) in PROGRAMS.items():
    @case(f"torchscript/{_kind}.pt", _action, *_words)
    def _(path: Path, marker: Path, body: str = _body) -> None:
        program(path, body)


@case("torchscript/pickle_that_calls.pt", REFUSE, *CODE)
def _(path: Path, marker: Path) -> None:
    program(path, "return x")
    payload = pickle.dumps(Calls(os.system, touch(marker)), 2)
    changed(path, lambda name, data: payload if name.endswith("/data.pkl") else data)


@case("torchscript/truncated.pt", REFUSE, "cut off", "damaged", "truncat")
def _(path: Path, marker: Path) -> None:
    program(path, "return x")
    cut(path)


# --- Keras


def layer(kind: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "registered_name": None,
            "config": {"name": "odd", **config}}


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    first = {"module": "keras.layers", "class_name": "InputLayer",
             "config": {"batch_shape": [None, 8, 8, 1]}}
    return {"module": "keras", "class_name": "Sequential", "config": {
        "name": "s", "layers": [first, *layers]}}


def within(levels: int) -> dict[str, Any]:
    said = sequential(layer("Flatten"))
    for _ in range(levels):
        said = sequential(said)
    return said


def hdf5(fill: Callable[[h5py.File], Any]) -> bytes:
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        fill(file)
    return stored.getvalue()


def keras_zip(path: Path, config: Any, stored: bytes | None = None) -> None:
    stored = hdf5(lambda file: file.create_group("layers")) if stored is None else stored
    zipped(path, [("metadata.json", json.dumps({"keras_version": "3.15.1"}).encode()),
                  *([] if config is None else [("config.json", config if isinstance(config, bytes)
                                                else json.dumps(config).encode())]),
                  ("model.weights.h5", stored)], zipfile.ZIP_DEFLATED)


def keras_hdf5(path: Path, config: Any, **attributes: str) -> None:
    def fill(file: h5py.File) -> None:
        file.attrs["model_config"] = config if isinstance(config, bytes) else json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights").attrs["layer_names"] = []
        for key, value in attributes.items():
            file.attrs[key] = value

    path.write_bytes(hdf5(fill))


LAMBDA = layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEAAAA="}})
FLAT = layer("Flatten")
CONFIGS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "lambda": (sequential(LAMBDA), CODE),
    "lambda_within": (sequential(layer("TimeDistributed", layer=LAMBDA)), CODE),
    "lambda_of_a_name": (sequential(layer("Lambda", function={
        "class_name": "function", "module": "os", "config": "system"}, arguments="true")), CODE),
    "unsafe_mode_first": (sequential(layer("Lambda", function={
        "class_name": "function", "module": "keras.config",
        "config": "enable_unsafe_deserialization"}), LAMBDA), CODE),
    "get_file": (sequential(layer("Lambda", function={
        "class_name": "function", "module": "keras.utils", "config": "get_file"})), CODE),
    "popen": (sequential(layer("Popen", "subprocess", args=["true"])), ("subprocess", *CODE)),
    "initializer_of_os": (sequential(layer("Dense", units=2, kernel_initializer=layer(
        "system", "os"))), ("os", *CODE)),
    "saved_model": (sequential(layer("TFSMLayer", filepath="/srv/model")), ("tfsm", *CODE)),
    "torch_module": (sequential(layer("TorchModuleWrapper", module="AA==")), ("torch", *CODE)),
    "vocabulary": (sequential(layer("StringLookup", vocabulary="/etc/passwd")), ("file", "unsafe")),
    "units": (sequential(layer("Dense", units=10**9)), ("large", "limit")),
    "picture": (sequential(layer("UpSampling2D", size=[9000, 9000])), ("large", "limit")),
    "many_layers": (sequential(*[layer("ReLU")] * 5000), ("layers", "limit")),
    "nested": (within(60), ("nest", "deep")),
    "brackets": (b"[" * 100_000, ("nest", "json")),
    "no_json": (b"{'a'", ("json",)), "no_text": (b"\xff\xfe{", ("json", "config")),
    "missing": (None, ("config.json", "missing")),
}
for _kind, (_config, _words) in CONFIGS.items():
    @case(f"keras/{_kind}.keras", REFUSE, *_words)
    def _(path: Path, marker: Path, config: Any = _config) -> None:
        keras_zip(path, config)

    if _config is not None:
        @case(f"keras/{_kind}.h5", REFUSE, *_words)
        def _(path: Path, marker: Path, config: Any = _config) -> None:
            keras_hdf5(path, config)


def external_storage(file: h5py.File) -> None:
    file.create_dataset("layers/flatten/vars/0", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "data", (4,))
    file.create_virtual_dataset("vars", layout)


def hard_ring(file: h5py.File) -> None:
    dense = file.create_group("layers/dense/vars")
    dense["again"] = file["layers"]


STORED: dict[str, tuple[Callable[[h5py.File], Any], tuple[str, ...]]] = {
    "external_link": (lambda f: f.__setitem__("vars", h5py.ExternalLink("other.h5", "/")), ("link",)),
    "soft_link_to_itself": (lambda f: f.__setitem__("vars", h5py.SoftLink("/vars")), ("link",)),
    "external_storage": (external_storage, ("external", "another file")),
    "virtual": (virtual, ("another file", "virtual")), "ring": (hard_ring, ("nest", "link")),
    "declares_4_tb": (lambda f: f.create_dataset("vars/0", (10**6, 10**6), "f4", chunks=(64, 64)),
                      ("declares", "large", "limit")),
    "ratio": (lambda f: f.create_dataset("vars/0", data=np.zeros(5_000_000, "f4"), compression=9,
                                         chunks=(5_000_000,)), ("bomb", "compress")),
}
for _kind, (_fill, _words) in STORED.items():
    @case(f"keras/{_kind}.weights.h5", REFUSE, *_words)
    def _(path: Path, marker: Path, fill: Callable = _fill) -> None:
        path.write_bytes(hdf5(fill))

    @case(f"keras/stored_{_kind}.keras", REFUSE, *_words)
    def _(path: Path, marker: Path, fill: Callable = _fill) -> None:
        keras_zip(path, sequential(FLAT), hdf5(fill))


@case("keras/honest.keras", OPEN)
def _(path: Path, marker: Path) -> None:
    keras_zip(path, sequential(FLAT))


@case("keras/lambda_for_training.h5", OPEN, "training", "compile", "skipped", "not read")
def _(path: Path, marker: Path) -> None:
    keras_hdf5(path, sequential(FLAT), training_config=json.dumps({"loss": LAMBDA}))


@case("keras/custom_class.keras", OPEN, "custom", "unknown")
def _(path: Path, marker: Path) -> None:
    stored = hdf5(lambda file: file.__setitem__("layers/odd/vars/0", np.ones(3, "f4")))
    keras_zip(path, sequential(layer("SpecialConv", "my_project.layers")), stored)


@case("keras/markup.keras", OPEN)
def _(path: Path, marker: Path) -> None:
    keras_zip(path, sequential(*(layer("Flatten") | {"config": {"name": name}} for name in MARKUP)))


@case("keras/truncated.keras", REFUSE, "cut off", "damaged", "truncat")
def _(path: Path, marker: Path) -> None:
    keras_zip(path, sequential(FLAT))
    cut(path)


@case("keras/truncated.h5", REFUSE, "cut off", "damaged", "truncat")
def _(path: Path, marker: Path) -> None:
    keras_hdf5(path, sequential(FLAT))
    cut(path)


# --- ONNX


def graph(path: Path, nodes: list, tensors: list = (), functions: list = (), sizes: tuple = (
        "n", 1, 4, 4), opsets: tuple = ()) -> None:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_model(helper.make_graph(nodes, "g", [given], [result], list(tensors)),
                             opset_imports=[helper.make_opsetid("", 17), *opsets],
                             functions=list(functions), ir_version=8)
    path.write_bytes(made.SerializeToString())


def floats(name: str = "w", count: int = 4) -> TensorProto:
    return numpy_helper.from_array(np.ones(count, np.float32), name)


def lying(**fields: Any) -> TensorProto:
    """The weight of 4 floats with these fields changed."""
    tensor = floats()
    for key, value in fields.items():
        if key == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        else:
            setattr(tensor, key, value)
    return tensor


def external(**entries: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4],
                         data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


ADD = [helper.make_node("Add", ["x", "w"], ["y"])]
OUTSIDE = ("external", "outside", "path", "separate file")
WEIGHTS: dict[str, tuple[TensorProto, tuple[str, ...]]] = {
    "dims_of_2_40": (lying(dims=[2**40]), ("large", "bytes", "elements", "limit")),
    "negative_dims": (lying(dims=[-4]), ("negative", "shape", "size")),
    "unknown_type": (lying(data_type=77), ("type", "unknown")),
    "too_few_bytes": (lying(raw_data=bytes(7)), ("bytes", "size")),
    "parent_folder": (external(location="../../secret"), OUTSIDE),
    "nested_parents": (external(location="a/../../../secret"), OUTSIDE),
    "absolute": (external(location="/etc/hostname"), OUTSIDE),
    "windows": (external(location="..\\..\\secret"), OUTSIDE),
    "more_keys": (external(location="w.bin", __class__="x", basepath="/"), OUTSIDE),
    "negative_offset": (external(location="w.bin", offset="-8", length=str(2**62)),
                        ("offset", *OUTSIDE)),
    "missing_file": (external(location="w.bin"), ("missing", *OUTSIDE)),
}
for _kind, (_tensor, _words) in WEIGHTS.items():
    @case(f"onnx/{_kind}.onnx", REFUSE, *_words)
    def _(path: Path, marker: Path, tensor: TensorProto = _tensor) -> None:
        graph(path, ADD, [tensor])


@case("onnx/linked_file.onnx", REFUSE, "link", *OUTSIDE)
def _(path: Path, marker: Path) -> None:
    graph(path, ADD, [external(location="linked_file.bin")])
    if not (link := path.with_name("linked_file.bin")).is_symlink():
        link.symlink_to("/etc/hostname")


def _loop(rounds: int) -> list:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Relu", ["a"], ["b"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("c", TensorProto.BOOL, []),
         helper.make_tensor_value_info("a", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, []),
         helper.make_tensor_value_info("b", TensorProto.FLOAT, None)])
    return [helper.make_node("Constant", [], ["m"], value_int=rounds),
            helper.make_node("Constant", [], ["t"], value=helper.make_tensor(
                "t", TensorProto.BOOL, [], [True])),
            helper.make_node("Loop", ["m", "t", "x"], ["y"], body=body)]


def _branches(levels: int) -> list:
    node = helper.make_node("Relu", ["x"], ["y"])
    for _ in range(levels):
        inner = helper.make_graph([node], "g", [], [helper.make_tensor_value_info(
            "y", TensorProto.FLOAT, None)])
        node = helper.make_node("If", ["t"], ["y"], then_branch=inner, else_branch=inner)
    return [helper.make_node("Constant", [], ["t"], value=helper.make_tensor(
        "t", TensorProto.BOOL, [], [True])), node]


def _constant_of_shape() -> list:
    return [helper.make_node("Constant", [], ["s"], value_ints=[10**6, 10**6]),
            helper.make_node("ConstantOfShape", ["s"], ["z"]),
            helper.make_node("ReduceSum", ["z"], ["r"], keepdims=0),
            helper.make_node("Add", ["x", "r"], ["y"])]


GRAPHS: dict[str, tuple[str, tuple[str, ...], list]] = {
    "honest": (OPEN, (), [helper.make_node("Relu", ["x"], ["y"])]),
    "loop": (REFUSE, ("loop", "long"), _loop(2**62)),
    "branches": (REFUSE, ("if", "nest", "branch", "deep"), _branches(12)),
    "constant_of_4_tb": (REFUSE, ("large", "limit", "memory"), _constant_of_shape()),
    "unknown_operator": (REFUSE, ("operator",), [helper.make_node("Evil", ["x"], ["y"],
                                                                  domain="other")]),
    "circle": (REFUSE, ("order", "before", "value", "known"), [
        helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"])]),
    "sizes_that_do_not_fit": (REFUSE, ("expand", "fit"), [
        helper.make_node("Constant", [], ["s"], value_ints=[1, 1, 4, 10**6]),
        helper.make_node("Expand", ["x", "s"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]),
    "one_name_thrice": (OPEN, (), [
        helper.make_node("Relu", [a], [b], name="same") for a, b in ("xa", "ab", "by")]),
    "markup": (OPEN, (), [helper.make_node("Relu", [a], [b], name=name) for a, b, name in zip(
        ["x", *MARKUP[1:]], [*MARKUP[1:], "y"], MARKUP, strict=True)]),
    "expanded_to_billions": (REFUSE, ("large", "limit", "memory"), [
        helper.make_node("Constant", [], ["s"], value_ints=[1, 10**9, 4, 4]),
        helper.make_node("Expand", ["x", "s"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]),
}
for _kind, (_action, _words, _nodes_of) in GRAPHS.items():
    @case(f"onnx/{_kind}.onnx", _action, *_words)
    def _(path: Path, marker: Path, nodes: list = _nodes_of) -> None:
        graph(path, nodes, opsets=(helper.make_opsetid("other", 1),))


@case("onnx/function_of_itself.onnx", REFUSE, "function", "itself", "deep")
def _(path: Path, marker: Path) -> None:
    call = helper.make_node("F", ["x"], ["y"], domain="own")
    function = helper.make_function("own", "F", ["x"], ["y"], [call],
                                    [helper.make_opsetid("own", 1)])
    graph(path, [call], functions=[function], opsets=(helper.make_opsetid("own", 1),))


@case("onnx/nan.onnx", OPEN, "nan", "finite")
def _(path: Path, marker: Path) -> None:
    graph(path, ADD, [numpy_helper.from_array(np.float32([np.nan, np.inf, 1, 2]), "w")])


@case("onnx/truncated.onnx", REFUSE, "cut off", "damaged", "truncat")
def _(path: Path, marker: Path) -> None:
    graph(path, ADD, [floats()])
    cut(path)


def write_corpus(folder: Path, marker: Path) -> list[Case]:
    """Writes every file into `folder`; what must happen with each."""
    for one in CASES:
        path = folder / one.file
        path.parent.mkdir(parents=True, exist_ok=True)
        one.write(path, marker)
    return CASES


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description="Writes the hostile corpus.")
    reader.add_argument("folder", type=Path)
    reader.add_argument("marker", type=Path, nargs="?", default=Path("fired"))
    said = reader.parse_args()
    for made in write_corpus(said.folder, said.marker.absolute()):
        print(made.file, made.action, *made.words)
