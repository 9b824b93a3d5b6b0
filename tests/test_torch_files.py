"""Checkpoints, safetensors and what stands beside them, against torch.load and safetensors' own."""

import argparse
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from core.card import Card
from core.errors import UserError
from core.files.limits import Limits, limited_to
from core.files.unknown_files import describe_unknown
from core.model_formats import safetensors, torch_file, torchscript
from core.plugins import discover
from core.weight_files.checkpoints import read_checkpoint
from core.weight_files.weights_only import WeightsOnly

NO_CARD = Card()
SHARED = Path(__file__).parents[2] / "shared"
HOSTILE, REAL = SHARED / "hostile", SHARED / "real" / "models"
KINDS = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
]
LEGACY = {"_use_new_zipfile_serialization": False}


class Small(nn.Module):
    """A network with a shared layer, a buffer that is saved, and one that is not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])
        self.again = self.blocks[0]
        self.register_buffer("passing", torch.zeros(3), persistent=False)
        self.register_buffer("scale", torch.ones(2))


def saved(path, value, **how):
    torch.save(value, path, **how)
    return path


def opened(path, card=NO_CARD):
    return torch_file.load(path, card)


def tensors_of(loaded):
    assert isinstance(loaded.module, WeightsOnly)
    return loaded.module.state_dict()


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


@pytest.mark.parametrize(
    "how", [{}, LEGACY, {"pickle_protocol": 4}], ids=["zip", "legacy", "protocol 4"]
)
def test_every_type_and_layout_is_what_torch_load_gives(tmp_path, how):
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    tensors = {str(kind)[6:]: (torch.randn(3, 5) * 9).to(kind) for kind in KINDS}
    tensors |= {
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "transposed": base.t(),
        "slice": base[2:5, 1::2],
        "expanded": torch.randn(4, 1).expand(4, 6),
        "shared": base,
        "parameter": nn.Parameter(torch.randn(2)),
    }
    path = saved(tmp_path / "w.pt", tensors, **how)
    found = tensors_of(opened(path))
    same(found, torch.load(path, weights_only=False))  # the test made the file
    assert found["shared"].untyped_storage().data_ptr() <= found["slice"].data_ptr()


@pytest.mark.parametrize("how", [{}, LEGACY])
def test_tied_tensors_share_their_bytes_and_the_file_is_never_written(tmp_path, how):
    weight = torch.randn(50, 50)
    path = saved(tmp_path / "w.pt", {"a": weight, "b": weight}, **how)
    before = path.read_bytes()
    found = tensors_of(opened(path))
    found["a"].zero_()
    assert not found["b"].any() and path.read_bytes() == before


CHECKPOINTS = {
    "state_dict": {"epoch": 3, "arch": "mine", "best_acc": np.float64(0.91)},
    "model_state_dict": {
        "optimizer_state_dict": {"state": {0: {"exp_avg": torch.ones(4, 1, 3, 3)}}},
        "loss": torch.tensor(0.5),
    },
    "net": {"acc": 93.5, "epoch": 4},
    "model": {"args": argparse.Namespace(lr=0.1, path=Path("runs")), "lr_scheduler": {"last": 1}},
    "whatever": {"optimizer": {}, "rng_state": torch.get_rng_state()[:8].clone()},
}


@pytest.mark.parametrize("key", [key for key in CHECKPOINTS if key != "whatever"])
def test_wrapped_checkpoints(tmp_path, key):
    weights = Small().state_dict()
    loaded = opened(saved(tmp_path / "c.ckpt", CHECKPOINTS[key] | {key: weights}))
    same(tensors_of(loaded), weights)
    said = " ".join(loaded.notes)
    assert f"Weights taken from '{key}'" in said
    for name, value in CHECKPOINTS[key].items():
        if isinstance(value, (int, float, str)):
            assert f"'{name}'" in said and (str(value) in said)


def test_other_wrappers_and_several(tmp_path):
    weights = Small().state_dict()
    averaged = {name: tensor.clone() for name, tensor in weights.items()}
    loaded = opened(saved(tmp_path / "a.pt", {"model": weights, "ema": averaged}))
    same(tensors_of(loaded), weights)
    assert any("'ema' are not used" in note for note in loaded.notes)
    inner = opened(
        saved(tmp_path / "b.pt", {"state": {"best": weights}, "optimizer": {"w": averaged}})
    )
    same(tensors_of(inner), weights)
    parts = opened(
        saved(tmp_path / "c.pt", {"head": {"w": torch.ones(1)}, "body": {"w": torch.zeros(2)}})
    )
    same(tensors_of(parts), {"head.w": torch.ones(1), "body.w": torch.zeros(2)})


def test_placeholders_are_named(tmp_path):
    loaded = opened(
        saved(tmp_path / "c.pt", CHECKPOINTS["model"] | {"model": Small().state_dict()})
    )
    assert any("argparse.Namespace" in note and "placeholder" in note for note in loaded.notes)


@pytest.mark.parametrize("listed", [["cat", "dog"], {"cat": 0, "dog": 1}, {1: "dog", 0: "cat"}])
def test_class_names_in_the_file(tmp_path, listed):
    path = saved(tmp_path / "c.pt", {"state_dict": {"w": torch.ones(2)}, "classes": listed})
    assert opened(path).card.class_names == ("cat", "dog")
    assert opened(path, Card(class_names=("a", "b"))).card.class_names == ("a", "b")


@pytest.mark.parametrize("how", [{}, LEGACY])
def test_a_whole_module_gives_its_state_dict(tmp_path, how, recwarn):
    model = Small()
    path = saved(tmp_path / "m.pt", model, **how)
    loaded = opened(path)
    same(tensors_of(loaded), model.state_dict())
    assert any("whole model" in note and "Small" in note for note in loaded.notes)


def test_a_whole_module_of_a_known_family_runs(tmp_path):
    model = torchvision.models.squeezenet1_1(num_classes=3).eval()
    loaded = opened(saved(tmp_path / "m.pt", {"epoch": 1, "model": nn.DataParallel(model)}))
    pictures = torch.randn(1, 3, 48, 48)
    torch.testing.assert_close(loaded.module(pictures), model(pictures))


def test_lone_tensors_and_lists(tmp_path):
    same(tensors_of(opened(saved(tmp_path / "t.pt", torch.ones(3)))), {"tensor": torch.ones(3)})
    same(
        tensors_of(opened(saved(tmp_path / "l.pt", [torch.ones(1), torch.zeros(2)]))),
        {"0": torch.ones(1), "1": torch.zeros(2)},
    )
    arrays = {"w": np.arange(6.0).reshape(2, 3)}
    same(tensors_of(opened(saved(tmp_path / "a.pt", arrays))), {"w": torch.from_numpy(arrays["w"])})


def test_sparse_tensors_are_left_out_or_refused(tmp_path):
    sparse = torch.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (4,))
    loaded = opened(saved(tmp_path / "s.pt", {"s": sparse, "w": torch.ones(1)}))
    assert any("sparse" in note for note in loaded.notes)
    same(tensors_of(loaded), {"w": torch.ones(1)})


def test_every_cut_of_a_legacy_file_is_a_message(tmp_path):
    path = saved(tmp_path / "w.pt", {"w": torch.randn(9)}, **LEGACY)
    whole = path.read_bytes()
    for length in range(2, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"^w\.pt"):
            opened(path)


def test_changed_bytes_give_tensors_or_a_message(tmp_path):
    chance = np.random.default_rng(0)
    for how in ({}, LEGACY):
        path = saved(
            tmp_path / "w.pt",
            {"model": Small().state_dict(), "args": argparse.Namespace(a=1)},
            **how,
        )
        whole = path.read_bytes()
        for _ in range(150):
            data = bytearray(whole)
            for place in chance.integers(0, len(data), 4):
                data[place] = chance.integers(0, 256)
            path.write_bytes(data)
            try:
                opened(path)
            except UserError as error:
                assert str(error).startswith("w.pt")


class Rewritten:
    """A shape that lies: the storage that torch wrote is smaller."""

    @staticmethod
    def file(path, old, new):
        """The file with other bytes in data.pkl, checksums right again."""
        with zipfile.ZipFile(path) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members:
                if name.endswith("data.pkl"):
                    assert old in data
                    data = data.replace(old, new)
                archive.writestr(name, data)


@pytest.mark.parametrize(
    "old, new",
    [
        (b"K\x07K\x03\x86", b"M\xff\xffK\x03\x86"),  # a shape larger than its storage
        (b"K\x03K\x01\x86", b"M\xff\xffK\x01\x86"),  # a stride that leaves it
        (b"K\x03K\x01\x86", b"J\xff\xff\xff\xffK\x01\x86"),  # a negative stride
        (b"K\x15tq", b"M\xff\xfftq"),  # a storage said to be larger than its record
    ],
)
def test_tensors_outside_their_storage_are_refused(tmp_path, old, new):
    path = saved(tmp_path / "w.pt", {"w": torch.randn(7, 3)})
    Rewritten.file(path, old, new)
    with pytest.raises(UserError, match=r"w\.pt.*(storage|size|stride)"):
        opened(path)


def test_stride_zero_does_not_multiply_memory(tmp_path):
    path = saved(tmp_path / "w.pt", {"w": torch.ones(1).expand(1 << 24)})
    with pytest.raises(UserError, match="too large"):
        opened(path)


def test_limits_of_uploads_are_told(tmp_path):
    path = saved(tmp_path / "w.pt", {str(i): torch.zeros(1) for i in range(50)})
    with limited_to(Limits(tensors=20)), pytest.raises(UserError, match=r"too many tensors.*20"):
        opened(path)
    save_file({str(i): torch.zeros(1) for i in range(50)}, tmp_path / "w.safetensors")
    with limited_to(Limits(tensors=20)), pytest.raises(UserError, match=r"too many tensors.*20"):
        safetensors.load(tmp_path / "w.safetensors", Card())


def test_plain_pickles_are_no_checkpoints(tmp_path):
    path = tmp_path / "p.pt"
    path.write_bytes(pickle.dumps({"w": [1, 2]}, 2))
    with pytest.raises(UserError, match=r"torch.save did not write"):
        opened(path)


# safetensors


def test_safetensors_are_what_its_own_reader_gives(tmp_path):
    tensors = {str(kind)[6:]: (torch.randn(3, 5) * 9).to(kind) for kind in KINDS}
    tensors |= {"scalar": torch.tensor(1.5), "empty": torch.empty(0, 4)}
    path = tmp_path / "w.safetensors"
    save_file(tensors, path, metadata={"format": "pt", "epoch": "3"})
    assert safetensors.matches(path)
    loaded = safetensors.load(path, Card())
    same(tensors_of(loaded), tensors)
    assert any("'epoch': '3'" in note for note in loaded.notes)


def test_safetensors_of_a_known_family_runs_and_shares_the_map(tmp_path):
    model = torchvision.models.squeezenet1_1(num_classes=3).eval()
    path = tmp_path / "w.safetensors"
    save_file(model.state_dict(), path)
    loaded = safetensors.load(path, Card())
    pictures = torch.randn(1, 3, 48, 48)
    torch.testing.assert_close(loaded.module(pictures), model(pictures))


def stuffed(path, header, data=bytes(16)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


ONE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b'{"a":' * 200,
        b"{\xff}",
        {"a": ONE | {"dtype": "Q9"}},
        {"a": ONE | {"shape": [5]}},
        {"a": ONE | {"shape": [-4]}},
        {"a": ONE | {"data_offsets": [0, 12], "shape": [3]}},
        {"a": ONE | {"data_offsets": [4, 20]}},
        {"a": ONE, "b": ONE},
        {"a": {"dtype": "F32"}},
        {"a": 3},
        {"a": ONE, "__metadata__": {"k": 1}},
        {"a": ONE, "__metadata__": []},
        {"a": ONE | {"more": 1}},
        {"a": ONE | {"shape": [2**40, 2**40]}},
        {"a": ONE | {"shape": [4.0]}},
        {"a": ONE | {"shape": None}},
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,16]}}',
        b'{"a":' + json.dumps(ONE).encode() + b',"a":' + json.dumps(ONE).encode() + b"}",
        b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,NaN]}}',
    ],
)
def test_headers_that_the_format_forbids(tmp_path, header):
    path = stuffed(tmp_path / "w.safetensors", header)
    with pytest.raises(
        UserError, match=r"w\.safetensors is not a valid safetensors file: .*header"
    ):
        safetensors.load(path, Card())


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_header_lengths_that_lie(tmp_path, length):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}" + bytes(16))
    with pytest.raises(UserError, match="header"):
        safetensors.load(path, Card())


# files of other kinds


def torchscript_file(folder):
    module = torch.jit.trace(nn.Sequential(nn.Conv2d(1, 2, 3)), torch.zeros(1, 1, 8, 8))
    module.save(str(folder / "s.pt"))
    return folder / "s.pt"


def onnx_file(folder):
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [value],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    save(helper.make_model(graph), str(folder / "m.onnx"))
    return folder / "m.onnx"


def keras_zip(folder):
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "{}")
    return folder / "m.keras"


def keras_h5(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "m.h5", "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        file.create_group("model_weights").attrs["layer_names"] = [b"dense"]
    return folder / "m.h5"


def data_h5(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "d.h5", "w") as file:
        file["images"] = np.zeros((4, 8, 8), np.uint8)
    return folder / "d.h5"


def data_zip(folder):
    with zipfile.ZipFile(folder / "d.zip", "w") as archive:
        archive.writestr("images/cat/1.png", b"\x89PNG")
    return folder / "d.zip"


@pytest.mark.parametrize(
    "make, owner",
    [
        (torchscript_file, "torchscript"),
        (onnx_file, "onnx"),
        (keras_zip, "keras"),
        (keras_h5, "keras"),
        (data_h5, None),
        (data_zip, None),
        (lambda folder: saved(folder / "w.pt", {"w": torch.ones(1)}), "torch_file"),
        (lambda folder: saved(folder / "w.pt", {"w": torch.ones(1)}, **LEGACY), "torch_file"),
        (lambda folder: stuffed(folder / "w.safetensors", {"a": ONE}), "safetensors"),
    ],
)
def test_each_file_is_one_formats_own_whatever_its_name(tmp_path, make, owner):
    path = make(tmp_path)
    formats = discover("core.model_formats", "FORMAT")
    for ending in ("bin", "pt", "pt2", "safetensors", "onnx", "keras", "h5", "index.json"):
        path = path.rename(path.with_name(f"file.{ending}"))
        assert [name for name, form in formats.items() if form.matches(path)] == (
            [owner] if owner else []
        ), ending


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_header_whose_length_looks_like_a_pickles_first_bytes(protocol, tmp_path):
    """A length of 0x0280, in bytes 80 02, is how a pickle of protocol 2 begins."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    path, length = tmp_path / "file.bin", 0x80 + (protocol << 8)
    path.write_bytes(struct.pack("<Q", length) + header.ljust(length).encode() + bytes(4))
    formats = discover("core.model_formats", "FORMAT")
    assert [name for name, form in formats.items() if form.matches(path)] == ["safetensors"]
    assert safetensors.load(path, Card()).module.state_dict()["w"].tolist() == [0]


@pytest.mark.parametrize(
    "head, word",
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"name" + bytes(253) + b"ustar\x0000", "tar"),
        (b"# Notes\nhello \xc3\xa9", "text"),
        (bytes(100), "zeros"),
        (b"PK\x03\x04 and no more", "zip"),
        (bytes(range(128, 256)), "damaged"),
        ("é".encode() * 2048 + b"\xc3", "text"),
    ],
)
def test_unknown_files_are_described(head, word):
    said = describe_unknown(head[:4096], "x.pt")
    assert said.startswith("x.pt ") and word in said and said.endswith(".")


def test_an_unknown_data_set_is_told_what_data_sets_are_and_nothing_of_weights():
    for head in (bytes(range(128, 256)), b"PK\x03\x04 and no more", b"ARROW1\0\0"):
        said = describe_unknown(head, "x.bin", "data set")
        assert "weights" not in said and ("sub-folder per class" in said or "Parquet" in said)


# real and hostile files, where they are


def manifest(*folders):
    path = HOSTILE / "manifest.json"
    entries = json.loads(path.read_text())["entries"] if path.exists() else []
    found = [entry for entry in entries if entry["file"].split("/")[0] in folders]
    return found or [pytest.param(None, marks=pytest.mark.skip("the hostile files are not here"))]


def answered(path):
    """(notes, None) where the file opens, else ("", the message)."""
    try:
        for form in (torch_file, safetensors, torchscript):
            if form.matches(path):
                return " ".join(form.load(path, Card()).notes), None
        raise UserError(describe_unknown(path.read_bytes()[:4096], path.name))
    except UserError as error:
        return "", str(error)


@pytest.mark.parametrize(
    "entry", manifest("checkpoints", "safetensors"), ids=lambda e: e and e["file"]
)
def test_hostile_files_get_their_answer(entry, tmp_path, monkeypatch):
    marker = tmp_path / "fired"
    monkeypatch.setenv("HOSTILE_MARKER", str(marker))
    path = HOSTILE / entry["file"]
    notes, refused = answered(path)
    assert not marker.exists()
    actions = {entry["action"], *entry.get("also_ok", ())}
    if refused is not None:
        assert "reject" in actions, refused
        assert path.name in refused
        assert not entry["must_say"] or any(
            word.lower() in refused.lower() for word in entry["must_say"]
        )
    elif "accept" not in actions:
        assert "warn" in actions, notes
        assert any(word.lower() in notes.lower() for word in entry["must_say"]), notes


@pytest.mark.parametrize(
    "name",
    [
        "burn_mnist_pt_and_safetensors/mnist.pt",
        "burn_small_edge_cases/simple_legacy.pt",
        "burn_small_edge_cases/legacy_shared_storage.pt",
        "burn_small_edge_cases/legacy_with_offsets.pt",
        "burn_small_edge_cases/complex_structure.pt",
        "burn_small_edge_cases/mixed_types.pt",
        "resnet20_cifar10_akamaster/resnet20-12fca82f.th",
        "phlippe_cifar10_googlenet/GoogleNet.ckpt",
        "winml_cifar10_pth_and_onnx/myFirstModel.pth",
        "mnist_torchscript/model.pth",
    ],
)
def test_real_checkpoints_open(name):
    path = REAL / name
    if not path.exists():
        pytest.skip("the real files are not here")
    assert torch_file.matches(path)
    loaded = opened(path)
    assert sum(p.numel() for p in loaded.module.parameters()) > 0


def test_a_checkpoint_says_what_it_holds(tmp_path):
    path = saved(tmp_path / "c.pt", {"epoch": 2, "model": {"w": torch.ones(2)}})
    value = read_checkpoint(path).value
    assert value["epoch"] == 2 and value["model"]["w"].shape == (2,)
