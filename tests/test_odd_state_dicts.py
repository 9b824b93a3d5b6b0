"""State dicts as training leaves them: wrapped, doubled, beside other things, of other networks."""

from itertools import pairwise

import pytest
import torch
import torchvision
from torch import nn

from core.architectures.search import networks
from core.card import Card
from core.model_formats.torch_file import load
from core.weight_files import state_dicts
from core.weight_files.state_dicts import model_of
from core.weight_files.weights_only import WeightsOnly

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=5).eval()


def below(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def layers(*widths):
    return nn.Sequential(*(layer for pair in pairwise(widths)
                           for layer in (nn.Linear(*pair), nn.ReLU()))).state_dict()


def opened(saved, folder):
    torch.save(saved, folder / "file.pt")
    return load(folder / "file.pt", Card())


def same_outputs(model, reference):
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.module(pictures), reference(pictures))


@pytest.mark.parametrize("prefix", ["resnet.", "classifier_net.", "a.b.c.", "model.resnet.",
                                    "module._orig_mod.model.", "model._orig_mod."])
def test_any_prefix_of_every_name_is_taken_off_and_said(prefix, resnet):
    model = model_of(below(prefix, resnet.state_dict()), Card(), "f", lambda: None)
    assert model.card.architecture == "resnet18"
    for part in prefix.strip(".").split("."):
        assert any(f"'{part}.'" in note for note in model.notes)
    same_outputs(model, resnet)


def test_a_prefix_that_says_that_it_is_no_classifier_stays():
    for prefix in ("decoder.", "generator.", "embedding_net.", "netG."):
        assert not networks(below(prefix, layers(64, 32, 10)), Card())
    assert networks(below("my_model.", layers(64, 32, 10)), Card())


EXTRAS = {"criterion.weight": torch.ones(5), "loss_fn.pos_weight": torch.ones(5),
          "train_acc.tp": torch.ones(5), "val_confusion_metrics.confmat": torch.ones(5, 5)}


def test_a_lightning_checkpoint_with_weights_of_its_loss_and_metrics(tmp_path, resnet):
    for extras in (EXTRAS, *({name: tensor} for name, tensor in EXTRAS.items())):
        saved = {"state_dict": below("model.", resnet.state_dict()) | extras, "epoch": 3,
                 "hyper_parameters": {"lr": 0.1}}
        model = opened(saved, tmp_path)
        assert model.card.architecture == "resnet18"
        said = next(note for note in model.notes if note.startswith("Left out"))
        assert all(f"'{name}'" in said for name in list(extras)[:3])
        same_outputs(model, resnet)


def test_tensors_of_a_loss_do_not_make_a_network_of_what_is_none():
    model = model_of({"criterion.weight": torch.ones(5)}, Card(), "f", lambda: None)
    assert isinstance(model.module, WeightsOnly)
    assert "criterion.weight" in model.module.state_dict()


def test_averaged_weights_beside_the_network_are_named_and_not_used(tmp_path, resnet):
    tensors = resnet.state_dict()
    averaged = {name: tensor + 1 for name, tensor in tensors.items()}
    for saved in ({"model": tensors, "ema": averaged}, {"model": tensors, "ema": {
            "ema_model": averaged, "decay": 0.9}}):
        model = opened(saved, tmp_path)
        assert any("'ema' are not used" in note for note in model.notes)
        same_outputs(model, resnet)
    for more in ({}, {"ema_model.n_averaged": torch.tensor(3)}):
        inside = below("ema_model.module." if more else "ema_model.", averaged)
        model = opened(below("model.", tensors) | inside | more, tmp_path)
        assert any("averaged copy" in note and "'ema_model.'" in note for note in model.notes)
        same_outputs(model, resnet)


def average_of(network):
    """As torch_ema's ExponentialMovingAverage.state_dict() has it."""
    return {"decay": 0.9, "num_updates": 3, "collected_params": None,
            "shadow_params": [parameter.detach() + 1 for parameter in network.parameters()]}


@pytest.mark.parametrize("wrap", [
    lambda tensors, average: {"model": tensors, "ema": average},
    lambda tensors, average: {"ema": average, "weights_so_far": tensors},
    lambda tensors, average: {"ema": average, **tensors},
    lambda tensors, average: {**average, "state_dict": tensors},
])
def test_the_weights_beside_a_torch_ema_are_taken(wrap, tmp_path, resnet):
    model = opened(wrap(resnet.state_dict(), average_of(resnet)), tmp_path)
    assert any("torch_ema" in note and "not used" in note for note in model.notes)
    same_outputs(model, resnet)


def test_a_torch_ema_alone_has_no_names_and_says_how_to_give_them(tmp_path, resnet):
    average = average_of(resnet)
    copied = average | {"collected_params": list(resnet.state_dict().values())}
    for saved in (average, copied, {"ema": average, "epoch": 3}):
        model = opened(saved, tmp_path)
        assert isinstance(model.module, WeightsOnly)
        assert any("ema.copy_to(model.parameters())" in note for note in model.notes)
        assert len(model.module.state_dict()) == len(average["shadow_params"])


def test_an_averaged_network_that_differs_is_not_dropped(resnet):
    tensors = below("model.", resnet.state_dict()) | below("ema_model.", layers(8, 4, 2))
    assert not networks(tensors, Card())


@pytest.mark.parametrize("wrap", [
    lambda t: [t, {"lr": 1}], lambda t: {"x": {"y": ({"z": t}, 3)}}, lambda t: {"state": {"net": t}}])
def test_odd_containers(wrap, tmp_path, resnet):
    same_outputs(opened(wrap(resnet.state_dict()), tmp_path), resnet)


def test_non_contiguous_and_shared_tensors(tmp_path, resnet):
    tensors = dict(resnet.state_dict())
    tensors["conv1.weight"] = tensors["conv1.weight"].to(memory_format=torch.channels_last)
    tensors["fc.weight"] = tensors["fc.weight"].t().contiguous().t()
    tensors["layer1.0.bn1.bias"] = tensors["layer1.0.bn2.bias"] = torch.zeros(900)[100:164]
    model = opened(tensors, tmp_path)
    assert not model.module.conv1.weight.is_contiguous()
    same_outputs(model, resnet)


def trained(network):
    """In evaluation mode, its norms' statistics unlike a fresh network's."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
    return network.eval()


def body():
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    return network


PARTS = list(torchvision.models.resnet18().children())[:-1]
HIDDEN = nn.Sequential(nn.Dropout(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 5))
WITH_A_HEAD_BESIDE = {
    "backbone, classifier": {"backbone": body(), "classifier": nn.Linear(512, 5)},
    "backbone, hidden layer": {"backbone": body(), "head": HIDDEN},
    "the same name as inside": {"backbone": body(), "fc": nn.Linear(512, 5)},
    "a name of its own": {"resnet": body(), "out": nn.Linear(512, 5)},
    "parts in a row": {"features": nn.Sequential(*PARTS), "flat": nn.Flatten(),
                       "fc": nn.Linear(512, 5)},
    "all in a row": dict(enumerate([*PARTS, nn.Flatten(), nn.Linear(512, 5)])),
}


@pytest.mark.parametrize("parts", WITH_A_HEAD_BESIDE.values(), ids=WITH_A_HEAD_BESIDE)
def test_a_network_with_its_last_layer_beside_it(parts):
    torch.manual_seed(0)
    layers = [trained(part) for part in parts.values()]
    if "flat" not in parts and len(parts) == 2:
        layers.insert(1, nn.Flatten())
    saved = nn.ModuleDict({str(name): part for name, part in parts.items()}).state_dict()
    for prefix in ("", "model."):
        model = model_of(below(prefix, saved), Card(), "f", lambda: None)
        assert model.card.architecture == "resnet18" and model.card.output == "logits"
        assert any("stands beside it" in note for note in model.notes)
        same_outputs(model, nn.Sequential(*layers))


def test_parts_in_a_row_without_the_last_give_features():
    network = trained(nn.Sequential(*PARTS))
    model = model_of(network.state_dict(), Card(), "f", lambda: None)
    assert model.card.output == "features"
    same_outputs(model, nn.Sequential(network, nn.Flatten()))


def test_a_layer_beside_that_gives_no_classes_is_not_taken_for_the_last():
    for name in ("projector", "embedding", "decoder"):
        both = {"backbone": body(), name: nn.Linear(512, 5)}
        model = model_of(nn.ModuleDict(both).state_dict(), Card(), "f", lambda: None)
        assert isinstance(model.module, WeightsOnly)


@pytest.mark.parametrize(("name", "head"), [
    ("efficientnet_b0", nn.Sequential(nn.Dropout(), nn.Linear(1280, 16), nn.ReLU(), nn.Linear(16, 5))),
    ("mobilenet_v2", nn.Sequential(nn.Dropout(), nn.Linear(1280, 1000), nn.Linear(1000, 5))),
    ("alexnet", nn.Sequential(nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(
        4096, 4096), nn.ReLU(), nn.Linear(4096, 1000), nn.Linear(1000, 5))),
])
def test_layers_behind_the_last_one_of_a_block(name, head):
    torch.manual_seed(0)
    network = torchvision.models.get_model(name)
    network.classifier = head
    model = model_of(trained(network).state_dict(), Card(), "f", lambda: None)
    assert model.card.architecture == name
    same_outputs(model, network)


def test_several_networks_in_one_file_are_named(resnet):
    small = torchvision.models.squeezenet1_1(num_classes=3).state_dict()
    tensors = below("first.", resnet.state_dict()) | below("second.", small)
    model = model_of(tensors, Card(), "f", lambda: None)
    assert isinstance(model.module, WeightsOnly)
    said = next(note for note in model.notes if "side by side" in note)
    assert "'first' is resnet18" in said and "'second' is squeezenet1_1" in said


class Upward(nn.Module):
    """A U-Net of one level."""

    def __init__(self, transposed):
        super().__init__()
        self.inc = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.down1 = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.up1 = nn.ConvTranspose2d(16, 8, 2, 2) if transposed else None
        self.merge = nn.Conv2d(16 if transposed else 24, 8, 3, padding=1)
        self.outc = nn.Conv2d(8, 2, 1)


class Variational(nn.Module):
    """PyTorch's example of a variational autoencoder."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)


OTHERS = {
    "variational autoencoder": lambda: Variational().state_dict(),
    "autoencoder": lambda: below("encoder.", layers(784, 128, 32)) | below(
        "decoder.", layers(32, 128, 784)),
    "u-net": lambda: Upward(True).state_dict(),
    "u-net, bilinear": lambda: Upward(False).state_dict(),
    "generator": lambda: nn.Sequential(
        nn.ConvTranspose2d(64, 16, 4), nn.BatchNorm2d(16), nn.ConvTranspose2d(16, 3, 4)).state_dict(),
    "discriminator": lambda: nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.LeakyReLU(), nn.Conv2d(16, 1, 4)).state_dict(),
    "adversarial pair": lambda: below("netG.", layers(8, 16, 64)) | below(
        "netD.", layers(64, 16, 1)),
    "actor and critic": lambda: below("actor.", layers(8, 16, 4)) | below(
        "critic.", layers(8, 16, 1)),
    "recurrent": lambda: below("lstm.", nn.LSTM(8, 16).state_dict()) | below("fc.", layers(16, 4)),
    "super-resolution": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 9), nn.Conv2d(8, 8, 5), nn.Conv2d(8, 1, 5)).state_dict(),
    "segmentation": lambda: torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None).state_dict(),
    "detection": lambda: torchvision.models.detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None).state_dict(),
    "transformer": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32), 2).state_dict(),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_what_is_no_classifier_is_never_taken_for_one(make):
    model = model_of(make(), Card(), "file.pt", lambda: None)
    assert isinstance(model.module, WeightsOnly)
    assert any("Weights only" in note for note in model.notes)


def test_heads_side_by_side_are_no_chain_and_layers_out_of_order_still_are():
    torch.manual_seed(0)
    two = nn.Module()
    two.fc1, two.mean, two.spread = nn.Linear(16, 8), nn.Linear(8, 3), nn.Linear(8, 3)
    assert not networks(two.state_dict(), Card())
    shuffled = nn.Module()
    shuffled.out, shuffled.hidden, shuffled.first = (
        nn.Linear(8, 3), nn.Linear(12, 8), nn.Linear(16, 12))
    found, = networks(shuffled.state_dict(), Card())
    assert "16-12-8-3" in found.built.card.architecture


def test_more_tensors_than_any_network_has_are_compared_with_none(monkeypatch):
    monkeypatch.setattr(state_dicts, "MOST_COMPARED", 3)
    for asked in (networks, state_dicts.nearly, state_dicts.advice):
        monkeypatch.setattr(state_dicts, asked.__name__, lambda *_: pytest.fail("compared"))
    model = model_of(torchvision.models.resnet18().state_dict(), Card(), "file.pt", lambda: None)
    assert isinstance(model.module, WeightsOnly)
    assert any("more than 3 tensors are compared with no known" in note for note in model.notes)
