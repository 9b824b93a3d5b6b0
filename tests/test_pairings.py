"""Renamed modules: paired by numbers, names and the order of shapes, and how sure each pair is."""

import numpy as np
import pytest
import torch
import torchvision

from core.compare import comparison
from core.measures.pairings import BLOCK, NAME, NUMBERS, PREFIX, SHAPES, paired


def network(seed, **more):
    torch.manual_seed(seed)
    return dict(torchvision.models.resnet18(num_classes=5, **more).state_dict())


@pytest.fixture(scope="module")
def trained():
    return network(0)


def moved(tensors):
    """As after more training: every number another."""
    torch.manual_seed(9)
    return {name: tensor + torch.rand(tensor.shape) if tensor.is_floating_point() else tensor + 1
            for name, tensor in tensors.items()}


@pytest.mark.parametrize("before", ["module.", "backbone.", "model.encoder.", "a.b.c."])
@pytest.mark.parametrize("added", [True, False])
def test_a_prefix_is_seen_through_with_other_tensors_left_over(trained, before, added):
    longer = {f"{before}{name}": tensor for name, tensor in moved(trained).items()}
    longer |= {"head.extra.weight": torch.randn(3, 7), "head.extra.bias": torch.randn(3)}
    found = paired(trained, longer) if added else paired(longer, trained)
    assert len(found.others) == len(trained)
    for name, other in found.others.items():
        assert (f"{before}{name}" == other) if added else (name == f"{before}{other}")
        assert found.sure[name] == PREFIX


def test_one_prefix_for_another_and_a_layer_of_another_size(trained):
    mine = {f"module.{name}": tensor for name, tensor in trained.items()}
    theirs = {f"backbone.{name}": tensor for name, tensor in moved(trained).items()}
    theirs["backbone.fc.weight"] = torch.randn(9, 512)
    rows = {row["name"]: row for row in comparison(mine, theirs)}
    assert rows["module.fc.weight"]["change"] == "reshaped"
    assert rows["module.fc.weight"]["other_name"] == "backbone.fc.weight"
    assert rows["module.layer1.0.conv1.weight"]["change"] == "renamed"
    assert not {"added", "removed"} & {row["change"] for row in rows.values()}


def renamed(name):
    """layer1.0 as stages.0.0, and so on, as other libraries count."""
    if name.startswith("layer"):
        stage, _, rest = name.removeprefix("layer").partition(".")
        return f"stages.{int(stage) - 1}.{rest}"
    return name


def test_numbering_that_is_shifted_is_found_by_the_order_of_shapes(trained):
    theirs = {renamed(name): tensor for name, tensor in moved(trained).items()}
    found = paired(trained, theirs)
    assert found.others == {name: renamed(name) for name in trained}
    assert found.sure["layer1.0.conv1.weight"] == SHAPES
    assert found.sure["conv1.weight"] == NAME


def test_the_same_numbers_are_found_wherever_they_went(trained):
    names = list(trained)
    theirs = {renamed(name): trained[name] for name in reversed(names)}
    found = paired(trained, theirs)
    assert found.others == {name: renamed(name) for name in trained}
    assert found.sure["layer3.1.conv2.weight"] == NUMBERS
    assert found.sure["layer3.1.bn2.bias"] == BLOCK  # zeros, which are in every block
    assert found.sure["layer3.1.bn2.num_batches_tracked"] == BLOCK


def test_one_block_is_renamed_and_others_are_added_and_removed(trained):
    theirs = {name.replace("layer2.1.", "extra_block."): tensor
              for name, tensor in moved(trained).items()}
    theirs |= {"neck.weight": torch.randn(11, 13), "neck.bias": torch.randn(11)}
    mine = trained | {"gone.scale": torch.randn(17)}
    rows = {row["name"]: row for row in comparison(mine, theirs)}
    assert rows["layer2.1.conv1.weight"]["other_name"] == "extra_block.conv1.weight"
    assert rows["layer2.1.conv1.weight"]["change"] == "renamed"
    assert rows["gone.scale"]["change"] == "removed"
    assert rows["neck.weight"]["change"] == rows["neck.bias"]["change"] == "added"
    assert rows["gone.scale"]["sure"] == rows["neck.bias"]["sure"] == ""
    assert len(rows) == len(mine) + 2


def test_an_inserted_block_does_not_shift_those_with_equal_numbers():
    torch.manual_seed(1)
    blocks = [{f"{part}.weight": torch.randn(8, 8) for part in ("a", "b")} for _ in range(4)]
    mine = {f"blocks.{n}.{key}": t for n, block in enumerate(blocks) for key, t in block.items()}
    new = {"a.weight": torch.randn(8, 8), "b.weight": torch.randn(8, 8)}
    theirs = {f"blocks.{n}.{key}": t
              for n, block in enumerate([new, *blocks]) for key, t in block.items()}
    found = paired(mine, theirs)
    assert found.others == {f"blocks.{n}.{part}.weight": f"blocks.{n + 1}.{part}.weight"
                            for n in range(4) for part in "ab"}
    assert set(found.sure.values()) == {NUMBERS}


def test_other_last_names_are_paired_by_shapes_only_where_one_is_a_matrix():
    mine = {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3), "n.scale": torch.randn(7)}
    theirs = {"dense.kernel": torch.randn(3, 4), "dense.offset": torch.randn(3),
              "other.gamma": torch.randn(7)}
    found = paired(mine, theirs)
    assert found.others == {"a.weight": "dense.kernel", "a.bias": "dense.offset"}
    assert set(found.sure.values()) == {SHAPES}


def test_nothing_is_paired_twice_and_what_does_not_fit_is_not_paired():
    same = torch.randn(4, 4)
    found = paired({"a.w": same, "b.w": same.clone()}, {"x.w": same.clone(), "c.v": torch.ones(2)})
    assert list(found.others.values()) == ["x.w"]
    assert paired({"a": torch.ones(3)}, {"b": torch.ones(5)}).others == {}
    assert paired({}, {"b": torch.ones(5)}).others == {}


def test_not_a_number_and_half_precision_do_not_stop_it():
    odd = torch.full((4, 4), torch.nan)
    mine = {"a.weight": odd, "b.weight": torch.randn(3, 3).half(), "e.weight": torch.zeros(0, 2)}
    theirs = {"x.a.weight": odd.clone(), "x.b.weight": mine["b.weight"].clone(),
              "x.e.weight": torch.zeros(0, 2)}
    rows = list(comparison(mine, theirs))
    assert {row["name"]: row["other_name"] for row in rows} == {
        name: f"x.{name}" for name in mine}
    assert rows[0]["relative_change"] is None
    assert np.isclose(rows[1]["relative_change"], 0)


def test_kernels_are_paired_where_an_export_gave_them_a_bias():
    """As after batch normalisation was folded in: another module, another scale, a bias."""
    torch.manual_seed(2)
    sizes = [(4, 3, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3)]
    mine = {f"layer{n}.conv.weight": torch.randn(size) for n, size in enumerate(sizes)}
    theirs = {f"Conv_{7 * n}.{last}": torch.randn(size if last == "weight" else size[:1])
              for n, size in enumerate(sizes) for last in ("weight", "bias")}
    found = paired(mine, theirs)
    assert found.others == {f"layer{n}.conv.weight": f"Conv_{7 * n}.weight" for n in range(3)}
    assert set(found.sure.values()) == {SHAPES}
