"""torchvision's networks with another start, and its VisionTransformer of any size."""

import pytest
import torch
import torchvision
from torch import nn

from core.architectures.search import alternatives
from core.card import Card
from core.weight_files.state_dicts import model_of
from core.weight_files.weights_only import WeightsOnly
from tests.test_families import trained

pytestmark = pytest.mark.usefixtures("one_thread")

LAST = {"resnet18": "maxpool", "densenet121": "features.pool0", "googlenet": "maxpool1"}
FIRST = {"resnet18": ("conv1", 64), "densenet121": ("features.conv0", 64),
         "googlenet": ("conv1.conv", 64)}


def loaded(tensors, card=None):
    return model_of(tensors, card or Card(), "file.pt", lambda: None)


def same_outputs(model, reference, channels=3, side=32):
    pictures = torch.randn(2, channels, side, side)
    with torch.no_grad():
        torch.testing.assert_close(model.module(pictures), reference(pictures),
                                   atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", FIRST)
def test_a_start_for_small_pictures_says_32(name):
    torch.manual_seed(0)
    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    reference = torchvision.models.get_model(name, num_classes=10, **more)
    reference.transform_input = True
    place, width = FIRST[name]
    reference.set_submodule(place, nn.Conv2d(3, width, 3, padding=1, bias=False))
    reference.set_submodule(LAST[name], nn.Identity())
    trained(reference)
    model = loaded(reference.state_dict())
    assert model.card.architecture == name
    assert (model.card.input.height, model.card.input.width) == (32, 32)
    assert {"input.height", "input.width"} <= model.card.inferred
    assert any("32 × 32" in note for note in model.notes)
    same_outputs(model, reference)
    assert len(alternatives(reference.state_dict(), Card())) == 4


def test_a_cards_own_size_is_kept():
    reference = torchvision.models.resnet18(num_classes=10)
    reference.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    stated = Card(input=Card().infer(input_height=64, input_width=64).input)
    assert loaded(reference.state_dict(), stated).card.input.height == 64


def test_smaller_patches_of_a_convnext():
    torch.manual_seed(0)
    reference = torchvision.models.convnext_tiny(num_classes=10)
    reference.features[0][0] = nn.Conv2d(3, 96, 2, 2)
    model = loaded(trained(reference).state_dict())
    assert model.card.architecture == "convnext_tiny" and model.card.input.height == 32
    same_outputs(model, reference)


def test_a_stride_that_tensors_do_not_tell_is_proposed():
    torch.manual_seed(0)
    reference = trained(torchvision.models.mobilenet_v2(num_classes=10))
    tensors = reference.state_dict()
    names = [built.card.architecture for built in alternatives(tensors, Card())]
    assert names == ["mobilenet_v2", "mobilenet_v2 (stride 1)"]
    assert loaded(tensors).card.input.height == 224
    reference.features[0][0].stride = (1, 1)
    model = loaded(tensors, Card(architecture=names[1]))
    assert model.card.input.height == 32
    same_outputs(model, reference)


def test_with_imagenets_classes_the_published_stride_is_not_doubted():
    tensors = torchvision.models.mobilenet_v2().state_dict()
    assert [b.card.architecture for b in alternatives(tensors, Card())] == ["mobilenet_v2"]


VIT = {
    "small": {"image_size": 32, "patch_size": 4, "num_layers": 3, "num_heads": 2,
              "hidden_dim": 128, "mlp_dim": 96},
    "one block": {"image_size": 28, "patch_size": 7, "num_layers": 1, "num_heads": 3,
                  "hidden_dim": 192, "mlp_dim": 64, "representation_size": 24},
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sizes", VIT.values(), ids=VIT)
def test_vision_transformers_of_any_size(sizes, channels):
    torch.manual_seed(0)
    reference = torchvision.models.VisionTransformer(num_classes=5, dropout=0.1, **sizes).eval()
    patch = sizes["patch_size"]
    reference.conv_proj = nn.Conv2d(channels, sizes["hidden_dim"], patch, patch)
    for parameter in reference.parameters():
        nn.init.normal_(parameter, 0.1, 0.2)
    model = loaded(reference.state_dict())
    assert f"({sizes['num_heads']} heads)" in model.card.architecture
    assert model.card.input.height == sizes["image_size"]
    assert any("attention heads" in note for note in model.notes)
    same_outputs(model, reference, channels, sizes["image_size"])


def test_a_card_chooses_the_number_of_heads_and_a_new_head_is_taken():
    torch.manual_seed(0)
    reference = torchvision.models.VisionTransformer(32, 8, 2, 8, 64, 32, num_classes=5).eval()
    reference.heads = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))
    for parameter in reference.parameters():
        nn.init.normal_(parameter, 0.1, 0.2)
    tensors = reference.state_dict()
    names = [built.card.architecture for built in alternatives(tensors, Card())]
    assert len(set(names)) == len(names)
    wide = [name for name in names if "(4 heads)" in name]
    model = loaded(tensors, Card(architecture=wide[0].replace("(4 heads)", "(8 heads)")))
    same_outputs(model, reference)


@pytest.mark.parametrize("name", ["encoder.pos_embedding", "class_token", "conv_proj.bias",
                                  "encoder.layers.encoder_layer_1.mlp.3.weight"])
def test_a_transformer_with_a_tensor_missing_or_of_another_shape_is_none(name):
    tensors = torchvision.models.VisionTransformer(32, 8, 2, 1, 64, 32).state_dict()
    less = {key: tensor for key, tensor in tensors.items() if key != name}
    assert isinstance(loaded(less).module, WeightsOnly)
    assert isinstance(loaded(less | {name: torch.ones(1, 7, 3)}).module, WeightsOnly)
