"""Networks saved without the layer that gives the classes: opened as features."""

import json

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from core.card import FEATURES, Card
from core.errors import UserError
from core.inference import activations, answered, log_probabilities, log_probabilities_of
from core.library import dataset_id, model_id
from core.outcomes import standing
from core.weight_files.state_dicts import model_of
from core.weight_files.weights_only import WeightsOnly

pytestmark = pytest.mark.usefixtures("one_thread")


def shaken(network):
    random = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=random)
            tensor.copy_(noise + 0.5 if "running_var" in name or (
                tensor.dim() == 1 and name.endswith("weight")) else (noise - 0.5) * 0.1)
    return network.eval()


def opened(tensors, card=None):
    return model_of(tensors, card or Card(), "weights.pt", lambda: None)


def same_features(ours, theirs, side, channels=3):
    pictures = torch.rand(2, channels, side, side)
    with torch.no_grad():
        torch.testing.assert_close(ours(pictures).flatten(1), theirs(pictures).flatten(1),
                                   rtol=1e-4, atol=1e-5)


OF_TORCHVISION = {
    "resnet18": "fc", "mobilenet_v3_small": "classifier", "efficientnet_b0": "classifier",
    "densenet121": "classifier", "swin_t": "head", "vgg16": "classifier.6", "alexnet": "classifier.6",
    "convnext_tiny": "classifier.2",
}


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_a_network_of_torchvision(name):
    theirs = shaken(torchvision.models.get_model(name))
    theirs.set_submodule(OF_TORCHVISION[name], nn.Identity())
    found = opened(theirs.state_dict())
    assert found.card.output == FEATURES and "output" in found.card.inferred
    assert found.card.architecture == name and found.card.class_names is None
    assert any(note.startswith("No head") and "as features" in note for note in found.notes)
    same_features(found.module, theirs, 224 if name in ("vgg16", "alexnet") else 64)


def test_a_head_that_is_a_convolution():
    theirs = shaken(torchvision.models.squeezenet1_1())
    theirs.classifier[1] = nn.Identity()
    found = opened(theirs.state_dict())
    assert "the 512 numbers" in " ".join(found.notes)
    same_features(found.module, theirs, 64)


def test_a_head_that_is_torn_is_no_missing_head():
    tensors = torchvision.models.alexnet().state_dict()
    found = opened({name: tensor for name, tensor in tensors.items()
                    if not name.startswith(("classifier.1.", "classifier.6."))})
    assert found.card.output != FEATURES
    assert found.module.get_submodule("classifier.4").weight.equal(tensors["classifier.4.weight"])


def test_a_prefix_and_a_start_for_small_pictures_without_a_head():
    theirs = shaken(torchvision.models.resnet18())
    theirs.conv1, theirs.maxpool, theirs.fc = (
        nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity(), nn.Identity())
    found = opened({f"backbone.{name}": t for name, t in theirs.state_dict().items()})
    assert found.card.output == FEATURES
    same_features(found.module, theirs, 32)


@pytest.mark.parametrize("auxiliary", [True, False])
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_with_heads_beside_the_last(name, auxiliary):
    theirs = shaken(torchvision.models.get_model(
        name, aux_logits=auxiliary, init_weights=False, transform_input=True, num_classes=7))
    theirs.fc = nn.Identity()
    found = opened({f"module.{name}": t for name, t in theirs.state_dict().items()})
    assert found.card.output == FEATURES and found.card.architecture == name
    same_features(found.module, theirs, 96)


def test_vision_transformers_of_any_size():
    small = torchvision.models.VisionTransformer(32, 8, 2, 2, 128, 64, num_classes=7)
    small.heads = nn.Identity()
    found = opened(shaken(small).state_dict())
    assert found.card.output == FEATURES
    same_features(found.module, small, 32)


@pytest.mark.parametrize(("name", "side"), [
    ("vit_tiny_patch16_224", 224), ("resnet18d", 64), ("convnext_atto", 64)])
def test_a_network_of_timm_without_classes(name, side):
    timm = pytest.importorskip("timm")
    theirs = shaken(timm.create_model(name, num_classes=0))
    found = opened(theirs.state_dict())
    assert found.card.output == FEATURES
    same_features(found.module, theirs, side)


@pytest.mark.parametrize("registers", [0, 4])
def test_dinov2_under_the_names_of_its_authors(registers):
    timm = pytest.importorskip("timm")
    theirs = shaken(timm.models.vision_transformer.VisionTransformer(
        28, 7, embed_dim=64, depth=2, num_heads=1, init_values=1e-5, num_classes=0,
        reg_tokens=registers, no_embed_class=registers > 0))
    timms = theirs.state_dict()
    same_features(opened(timms).module, theirs, 28)
    tensors = timms | {"mask_token": torch.rand(1, 64)}
    if registers:  # timm has the class token and its position as one sum
        place = torch.rand(1, 1, 64)
        tensors |= {"cls_token": timms["cls_token"] - place,
                    "pos_embed": torch.cat([place, timms["pos_embed"]], 1),
                    "register_tokens": tensors.pop("reg_token")}
    found = opened(tensors)
    assert found.card.output == FEATURES and found.card.input.height == 28
    assert any(note.startswith("Not used: mask_token") for note in found.notes)
    same_features(found.module, theirs, 28)


@pytest.mark.parametrize("kind", [
    "ViT", "ResNet", "ConvNext", "Swin", "Dinov2", "Dinov2WithRegisters", "MobileNetV1",
    "MobileNetV2", "RegNet", "ConvNextV2", "Swinv2", "Beit"])
def test_a_backbone_of_transformers(kind):
    library = pytest.importorskip("transformers")
    dinov2 = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 2,
              "image_size": 28, "patch_size": 7}
    sizes = {
        "ViT": {"hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 1,
                "num_hidden_layers": 2, "image_size": 32, "patch_size": 8},
        "ResNet": {"depths": [1, 2, 1, 1]},
        "ConvNext": {"depths": [1, 2, 1], "hidden_sizes": [8, 16, 24], "num_stages": 3},
        "Swin": {"depths": [2, 2], "num_heads": [2, 4], "embed_dim": 16, "image_size": 56},
        "Dinov2": dinov2, "Dinov2WithRegisters": dinov2,
        "MobileNetV1": {"depth_multiplier": 0.25}, "MobileNetV2": {"depth_multiplier": 0.35},
        "RegNet": {"depths": [1, 2, 1, 1], "hidden_sizes": [32, 48, 64, 96], "groups_width": 16},
        "ConvNextV2": {"depths": [1, 2, 1], "hidden_sizes": [8, 16, 24], "num_stages": 3},
        "Swinv2": {"depths": [2, 2], "num_heads": [2, 4], "embed_dim": 16, "image_size": 64,
                   "window_size": 8},
        "Beit": {"hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 2,
                 "num_hidden_layers": 2, "image_size": 32, "patch_size": 8,
                 "use_relative_position_bias": True},
    }[kind]
    theirs = shaken(getattr(library, f"{kind}Model")(getattr(library, f"{kind}Config")(**sizes)))
    found = opened(theirs.state_dict())
    assert found.card.output == FEATURES
    side = found.card.input.height
    pictures = torch.rand(2, 3, side, side)
    with torch.no_grad():
        said = theirs(pictures)
        wanted = said.last_hidden_state[:, 0] if kind == "ViT" else said.pooler_output
        torch.testing.assert_close(found.module(pictures).flatten(1), wanted.flatten(1),
                                   rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["DenseNet", "pre-activation", "pre-activation, deep"])
def test_a_network_of_small_pictures(kind):
    from tests.test_cifar_networks import DenseNet, PreActNet

    theirs = shaken(DenseNet((1, 2, 1, 2), 8) if kind == "DenseNet" else PreActNet(
        [1, 2, 1, 2], [8, 16, 24, 32], deep="deep" in kind))
    theirs.linear = nn.Identity()
    found = opened(theirs.state_dict())
    assert found.card.output == FEATURES
    same_features(found.module, theirs, 32)


def test_what_lacks_more_or_is_something_else_stays_weights_only():
    lacking = torchvision.models.resnet18().state_dict()
    for name in ("fc.weight", "fc.bias", "layer3.0.bn1.weight"):
        del lacking[name]
    assert isinstance(opened(lacking).module, WeightsOnly)
    chain = nn.Sequential(nn.ConvTranspose2d(8, 8, 4), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 3))
    assert isinstance(opened(chain.state_dict()).module, WeightsOnly)


@pytest.fixture
def backbone_and_data(tmp_path):
    network = shaken(torchvision.models.resnet18(num_classes=4))
    network.fc = nn.Identity()
    torch.save(network.state_dict(), tmp_path / "backbone.pt")
    (tmp_path / "backbone.card.json").write_text(json.dumps(
        {"input": {"height": 32, "width": 32, "resize": "stretch", "range": [0, 1], "mean": [0], "std": [1]}}))
    random = np.random.default_rng(0)
    for number in range(6):
        folder = tmp_path / "data" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(
            folder / f"{number}.png")
    (tmp_path / "data" / "a" / "9.png").write_bytes(b"no picture")
    return tmp_path / "backbone.pt", tmp_path / "data", network


def test_layers_can_be_read_and_predictions_say_why_not(backbone_and_data):
    model, data, network = backbone_and_data
    model, data = model_id(model), dataset_id(data)
    seen = activations(model, data, "avgpool", "mean")
    read = answered(model, data)
    assert read.tolist().count(False) in (0, 1) and len(seen) == len(read)
    from core.library import open_dataset

    pictures = [open_dataset(data).image(row) for row in np.flatnonzero(read)]
    with torch.no_grad():
        wanted = network(torch.stack([
            torch.from_numpy(p.copy()).permute(2, 0, 1) / 255 for p in pictures]).float())
    np.testing.assert_allclose(seen[read], wanted, rtol=1e-3, atol=1e-4)
    with pytest.raises(UserError, match="has no classes"):
        log_probabilities(model, data)
    with pytest.raises(UserError, match="has no classes"):
        log_probabilities_of(np.zeros((2, 3)), Card(output=FEATURES))
    known = standing(model, data)
    assert known.opens and not known.answers and "no classes" in str(known.fault)
