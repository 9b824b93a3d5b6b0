"""timm's networks from their tensors: by the list of names, and vision transformers of any size."""

import importlib.util
import json

import pytest
import torch
from torch import nn

from core.architectures import timm_models, timm_names
from core.architectures.search import alternatives
from core.card import Card
from core.weight_files.state_dicts import model_of
from core.weight_files.weights_only import WeightsOnly
from tests.test_families import trained

pytestmark = pytest.mark.usefixtures("one_thread")


def loaded(tensors, card=None):
    return model_of(tensors, card or Card(), "file.pt", lambda: None)


def opened_like(reference, side=64, channels=3, card=None):
    """Opens the tensors; its outputs are the network's to 1e-5."""
    model = loaded(reference.state_dict(), card)
    assert not isinstance(model.module, WeightsOnly), model.notes
    pictures = torch.randn(2, channels, side, side)
    with torch.no_grad():
        torch.testing.assert_close(model.module(pictures), reference(pictures),
                                   atol=1e-5, rtol=1e-5)
    return model


@pytest.mark.parametrize("name, options, side", [
    ("resnet26t", {"num_classes": 4}, 64),
    ("mobilevit_xxs", {"num_classes": 7, "in_chans": 1}, 64),
    ("ghostnet_050", {"num_classes": 3}, 64),
    ("repvgg_a0", {"num_classes": 3}, 64),
    ("seresnext26t_32x4d", {}, 64),
    ("vgg11", {"num_classes": 3}, 64),
    ("tresnet_m", {"num_classes": 3}, 64),
    ("volo_d1_224", {"num_classes": 3}, 224),
    ("deit_tiny_patch16_224", {"num_classes": 3, "img_size": 64}, 64),
])
def test_networks_of_the_list(name, options, side):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = trained(timm.create_model(name, **options))
    model = opened_like(reference, side, options.get("in_chans", 3))
    names = timm_names.names_of({k: t.shape for k, t in reference.state_dict().items()})
    assert name in names and model.card.architecture in names
    assert any("share them" in note for note in model.notes)


def test_a_new_head_of_several_layers():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = trained(timm.create_model("resnet26t"))
    reference.fc = nn.Sequential(nn.Linear(2048, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    model = opened_like(reference)
    assert model.card.architecture == "resnet26t"
    assert any("does not say that ReLU stands at place 1 of its new head" in note
               for note in model.notes)


def test_without_its_head_a_network_is_opened_as_features():
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("resnet26t", num_classes=0).eval()
    model = loaded(theirs.state_dict())
    assert model.card.architecture == "resnet26t" and model.card.output == "features"
    assert any(note.startswith("No head: 'fc.*'") for note in model.notes)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.module(pictures), theirs(pictures))


def test_without_timm_the_networks_name_is_said(monkeypatch):
    timm = pytest.importorskip("timm")
    tensors = timm.create_model("resnet26t", num_classes=5).state_dict()
    found = importlib.util.find_spec
    for module in ("timm_models", "timm_build"):
        monkeypatch.setattr(f"core.architectures.{module}.find_spec",
                            lambda name: None if name == "timm" else found(name))
    model = loaded(tensors)
    assert isinstance(model.module, WeightsOnly)
    assert any("resnet26t" in note and "pip install timm" in note for note in model.notes)


def test_the_list_is_of_the_networks_that_timm_has_now():
    timm = pytest.importorskip("timm")
    version, networks = timm_names.listed()
    if version != timm.__version__:
        pytest.skip("the list was made with another timm")
    listed = [name for names in networks.values() for name in names]
    assert sorted(listed) == sorted(timm.list_models())
    assert timm_names.LIST.stat().st_size < 100_000
    assert json.loads(timm_names.LIST.read_text())["timm"] == version


def test_the_signature_minds_names_and_widths_not_head_channels_or_side():
    shapes = {"conv1.weight": (8, 3, 3, 3), "pos": (1, 17, 8), "fc.weight": (10, 8), "n": ()}
    same = shapes | {"conv1.weight": (8, 1, 3, 3), "pos": (1, 65, 8), "fc.weight": (2, 8)}
    assert timm_names.signature(shapes) == timm_names.signature(same)
    del same["fc.weight"]
    assert timm_names.signature(shapes) == timm_names.signature(same)
    for other in ({"conv1.weight": (9, 3, 3, 3)}, {"conv2.weight": (1,)}):
        assert timm_names.signature(shapes) != timm_names.signature(shapes | other)


SIZES = {
    "small": {"img_size": 32, "patch_size": 4, "embed_dim": 128, "depth": 3, "num_heads": 2},
    "grey": {"img_size": 28, "patch_size": 7, "embed_dim": 192, "depth": 2, "num_heads": 3,
             "in_chans": 1, "mlp_ratio": 2.0},
    "averaged": {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 1, "num_heads": 1,
                 "global_pool": "avg"},
    "no token": {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 1, "num_heads": 1,
                 "global_pool": "avg", "class_token": False, "fc_norm": False},
    "scaled, no bias": {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 2,
                        "num_heads": 1, "init_values": 0.1, "qkv_bias": False},
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_vision_transformers_of_any_size(sizes):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = timm.models.VisionTransformer(num_classes=6, **sizes).eval()
    nn.init.normal_(reference.pos_embed)
    for parameter in reference.parameters():  # scales and biases that matter
        nn.init.normal_(parameter, 0.1, 0.2)
    model = opened_like(reference, sizes["img_size"], sizes.get("in_chans", 3))
    assert f"({sizes['num_heads']} heads)" in model.card.architecture
    assert (model.card.input.height, model.card.input.channels) == \
        (sizes["img_size"], sizes.get("in_chans", 3))
    assert any("attention heads" in note for note in model.notes)


def test_other_numbers_of_heads_are_proposed_and_chosen_by_a_card():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    reference = timm.models.VisionTransformer(
        num_classes=6, img_size=32, patch_size=4, embed_dim=96, depth=2, num_heads=6).eval()
    tensors = reference.state_dict()
    names = [built.card.architecture for built in alternatives(tensors, Card())]
    wanted, = (name for name in names if "(6 heads)" in name)
    assert len(set(names)) == len(names) > 3 and names[0] != wanted
    model = opened_like(reference, 32, card=Card(architecture=wanted))
    assert not any("attention heads" in note for note in model.notes)


def test_a_transformer_with_more_than_it_knows_stays_closed():
    timm = pytest.importorskip("timm")
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 1, "num_heads": 1}
    for more in ({"reg_tokens": 4}, {"pre_norm": True}, {"qk_norm": True}):
        tensors = timm.models.VisionTransformer(num_classes=6, **sizes, **more).state_dict()
        assert timm_models.build(tensors, Card()) is None
