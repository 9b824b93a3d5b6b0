"""Weights in several files with an index: whole by the index and by any part, or said why not."""

import json
from dataclasses import replace

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from core.card import Card
from core.errors import UserError
from core.files.limits import UPLOADED, limited_to
from core.model_formats import safetensors, shard_index, torch_file
from core.plugins import discover
from core.weight_files.weights_only import WeightsOnly

PARTS = 3
ENDINGS = {"model": "safetensors", "pytorch_model": "bin"}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return torchvision.models.shufflenet_v2_x0_5(num_classes=7).eval()


def sharded(state, folder, stem="model"):
    """The index of a state dict whose tensors are dealt out to PARTS files."""
    ending, places = ENDINGS[stem], {}
    for part in range(PARTS):
        name = f"{stem}-{part + 1:05d}-of-{PARTS:05d}.{ending}"
        held = {key: state[key] for key in list(state)[part::PARTS]}
        places |= dict.fromkeys(held, name)
        if ending == "bin":
            torch.save(held, folder / name)
        else:
            save_file(held, folder / name, {"format": "pt"})
    return written_index(folder, places, f"{stem}.{ending}.index.json")


def written_index(folder, places, name="model.safetensors.index.json"):
    said = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / name).write_text(json.dumps(said, indent=2))
    return folder / name


def format_for(path):
    form, = [form for form in discover("core.model_formats", "FORMAT").values()
             if form.matches(path)]
    return form


@pytest.mark.parametrize("stem", ENDINGS)
def test_the_index_and_every_part_open_the_whole_network(stem, net, tmp_path):
    index = sharded(net.state_dict(), tmp_path, stem)
    example = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = net(example)
        for path in [index, *tmp_path.glob(f"{stem}-*")]:
            loaded = format_for(path).load(path, Card())
            assert loaded.card.architecture == "shufflenet_v2_x0_5"
            torch.testing.assert_close(loaded.module(example), expected)
            assert f"from the {PARTS} files that {index.name} lists" in " ".join(loaded.notes)


def test_a_part_without_its_index_says_that_it_is_one(net, tmp_path):
    sharded(net.state_dict(), tmp_path).unlink()
    loaded = safetensors.load(tmp_path / "model-00002-of-00003.safetensors", Card())
    assert isinstance(loaded.module, WeightsOnly)
    assert "part 2 of 3" in " ".join(loaded.notes)


def test_a_file_beside_an_index_that_does_not_name_it_opens_alone(net, tmp_path):
    sharded(net.state_dict(), tmp_path)
    torch.save({"another.weight": torch.ones(2, 2)}, tmp_path / "optimizer.bin")
    loaded = torch_file.load(tmp_path / "optimizer.bin", Card())
    assert list(loaded.module.state_dict()) == ["another.weight"]


def test_missing_and_empty_parts_are_named(net, tmp_path):
    index = sharded(net.state_dict(), tmp_path)
    gone, empty = (tmp_path / f"model-0000{part}-of-00003.safetensors" for part in (1, 3))
    gone.unlink()
    with pytest.raises(UserError, match=r"missing.*model-00001-of-00003.safetensors"):
        shard_index.load(index, Card())
    gone.write_bytes(b"")
    with pytest.raises(UserError, match=r"empty: 'model-00001-of-00003.safetensors'"):
        safetensors.load(empty, Card())


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "a\\b", "", ".", 3, "x\n",
                                  "C:model"])
def test_only_plain_names_of_the_folder_are_followed(file, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"w": torch.ones(1)}, tmp_path / "secret.safetensors")
    with pytest.raises(UserError, match=r"not one of its own folder|missing"):
        shard_index.load(written_index(folder, {"w": file}), Card())


@pytest.mark.parametrize("text", ['{"weight_map": {"a": "b"', '{"weight_map": []}',
                                  '{"weight_map": {}}', '{"weight_map": ' + "[" * 1000,
                                  '{"weight_map": 1' + "0" * 5000 + "}"])
def test_a_damaged_index_is_named(text, tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    assert shard_index.matches(index)
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json"):
        shard_index.load(index, Card())


def test_a_tensor_that_is_not_where_the_index_says_is_named(net, tmp_path):
    index = sharded(net.state_dict(), tmp_path)
    places = json.loads(index.read_text())["weight_map"]
    written_index(tmp_path, places | {"not.there": "model-00001-of-00003.safetensors"})
    with pytest.raises(UserError, match=r"'not\.there' in 'model-00001-of-00003\.safetensors'"):
        shard_index.load(index, Card())


def test_what_the_index_does_not_list_is_left_out_and_said(net, tmp_path):
    index = sharded(net.state_dict(), tmp_path)
    places = json.loads(index.read_text())["weight_map"]
    del places["fc.bias"]
    loaded = shard_index.load(written_index(tmp_path, places), Card())
    assert "fc.bias" not in loaded.module.state_dict()
    assert "does not list them: 1 tensors ('fc.bias')" in " ".join(loaded.notes)


def test_a_damaged_part_is_named(net, tmp_path):
    index = sharded(net.state_dict(), tmp_path)
    part = tmp_path / "model-00002-of-00003.safetensors"
    part.write_bytes(part.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"model-00002-of-00003\.safetensors is not a valid"):
        shard_index.load(index, Card())
    part.write_bytes(b"something else, long enough to have a beginning")
    with pytest.raises(UserError, match=r"model-00002-of-00003\.safetensors holds neither"):
        shard_index.load(index, Card())


@pytest.mark.parametrize(("limit", "said"), [("elements", "numbers"), ("unpacked_bytes", "bytes"),
                                             ("tensors", "tensors"), ("header_bytes", "bytes")])
def test_the_limits_hold_for_all_parts_together(limit, said, net, tmp_path):
    state = net.state_dict()
    index = sharded(state, tmp_path)
    each = {"elements": sum(t.numel() for t in state.values()) - 1, "tensors": len(state) - 1,
            "unpacked_bytes": 500_000, "header_bytes": 10_000}[limit]
    with limited_to(replace(UPLOADED, **{limit: each})), \
            pytest.raises(UserError, match=f"{said}.*limit"):
        shard_index.load(index, Card())
