"""From tensors to networks: torchvision's registry and the spellings that people's files have."""

import random

import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

from core.architectures.search import alternatives
from core.architectures.torchvision_models import build
from core.card import Card, ShorterSide
from core.errors import UserError
from core.weight_files.meta_build import ShapesOnly
from core.weight_files.state_dicts import is_finite, model_of
from core.weight_files.weights_only import WeightsOnly

pytestmark = pytest.mark.usefixtures("one_thread")

NO_CARD = Card()
REGISTRY = torchvision.models.list_models(module=torchvision.models)
FIFTEEN = [
    "alexnet",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "vgg11_bn",
    "vit_b_32",
    "convnext_tiny",
]
SMALL = {"googlenet": {"init_weights": False, "aux_logits": True, "transform_input": True}}


def network(name, classes=5, **options):
    torch.manual_seed(0)
    made = torchvision.models.get_model(name, num_classes=classes, **SMALL.get(name, {}), **options)
    for module in made.modules():  # so that evaluation mode differs from a fresh network's
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return made.eval()


def loaded(tensors, card=NO_CARD):
    return model_of(tensors, card, "file.pt", lambda: None)


def same_outputs(ours, theirs, channels=3, side=64):
    torch.manual_seed(1)
    pictures = torch.randn(2, channels, side, side)
    with torch.no_grad():
        torch.testing.assert_close(ours(pictures), theirs(pictures))


@pytest.mark.parametrize("name", REGISTRY)
def test_every_network_of_the_registry_is_known_from_names_and_shapes(name):
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    for classes in (1000, 7):
        with ShapesOnly():
            tensors = torchvision.models.get_model(
                name, num_classes=classes, **options
            ).state_dict()
        built = build(tensors, Card())
        assert built.card.architecture == name
        made = built.module.state_dict()
        assert {k: t.shape for k, t in made.items()} == {k: t.shape for k, t in tensors.items()}
        assert all(t.is_meta for t in built.module.parameters())


@pytest.mark.parametrize("name", FIFTEEN)
def test_outputs_are_those_of_the_network_that_was_saved(name):
    theirs = network(name)
    ours = loaded(theirs.state_dict())
    assert ours.card.architecture == name and "architecture" in ours.card.inferred
    assert not any(p.requires_grad for p in ours.module.parameters())
    assert not ours.module.training
    assert not any(t.is_meta for t in (*ours.module.parameters(), *ours.module.buffers()))
    same_outputs(ours.module, theirs, side=224 if name == "vit_b_32" else 64)


def test_weights_are_shared_not_copied():
    theirs = network("squeezenet1_1")
    tensors = theirs.state_dict()
    ours = loaded(tensors).module.state_dict()
    assert all(ours[name].data_ptr() == tensor.data_ptr() for name, tensor in tensors.items())


def test_imagenet_card_is_torchvisions_and_inferred():
    with ShapesOnly():
        tensors = torchvision.models.resnet50().state_dict()
    card = build(tensors, Card(title="mine")).card
    weights = torchvision.models.ResNet50_Weights.DEFAULT
    assert card.class_names == tuple(weights.meta["categories"])
    assert card.input.mean == (0.485, 0.456, 0.406) and card.input.range == (0, 1)
    assert card.input.resize == ShorterSide(weights.transforms().resize_size[0], 224, "down")
    assert {"class_names", "input.mean", "input.height", "output"} <= card.inferred
    assert "title" not in card.inferred


@pytest.mark.parametrize("name", ["resnet18", "vit_b_32", "googlenet", "mobilenet_v3_small"])
def test_changed_shapes_and_names_give_the_same_tensors_or_nothing(name):
    options = {"init_weights": False} if name == "googlenet" else {}
    with ShapesOnly():
        whole = torchvision.models.get_model(name, **options).state_dict()
    chance = random.Random(0)
    telling = [key for key in whole if key.startswith(("conv", "fc", "heads", "classifier", "aux"))]
    for _ in range(12):
        tensors = dict(whole)
        key = chance.choice([*telling, *whole, "encoder.pos_embedding"])
        shape = [
            chance.choice([0, 1, 2, 7, 50, size]) for size in tensors.pop(key, torch.ones(1)).shape
        ]
        if chance.random() < 0.8:
            tensors[chance.choice([key, key + ".0", "fc.3.weight"])] = torch.empty(
                shape, device="meta"
            )
        for wanted in (None, "resnet18"):
            if built := build(tensors, Card(architecture=wanted)):
                made = built.module.state_dict()
                assert {k: t.shape for k, t in made.items()} == {
                    k: t.shape for k, t in tensors.items()
                }


def test_a_card_is_not_overruled():
    tensors = network("resnet18").state_dict()
    names = tuple("abcde")
    card = build(tensors, Card(class_names=names, output="probabilities")).card
    assert card.class_names == names and card.output == "probabilities"
    assert build(tensors, Card(architecture="resnet34")) is None


@pytest.mark.parametrize("channels", [1, 4])
def test_other_input_channels(channels):
    theirs = network("resnet18")
    theirs.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    ours = loaded(theirs.state_dict())
    assert ours.card.input.channels == channels
    same_outputs(ours.module, theirs, channels)


def test_small_picture_start_of_a_resnet_is_said_to_be_assumed():
    theirs = network("resnet18")
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    ours = loaded(theirs.state_dict())
    assert any("max-pooling" in note for note in ours.notes)
    same_outputs(ours.module, theirs, side=32)


HEADS = {
    "resnet18": ("fc", 512),
    "mobilenet_v3_small": ("classifier", 576),
    "densenet121": ("classifier", 1024),
    "vgg11_bn": ("classifier.6", 4096),
    "vit_b_32": ("heads", 768),
    "swin_t": ("head", 768),
}


@pytest.mark.parametrize("name", HEADS)
def test_replaced_heads(name):
    place, features = HEADS[name]
    heads = [
        nn.Linear(features, 3),
        nn.Sequential(nn.Dropout(), nn.Linear(features, 3)),
        nn.Sequential(nn.Linear(features, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 3)),
    ]
    theirs = network(name)
    for head in heads:
        theirs.set_submodule(place, head.eval())
        ours = loaded(theirs.state_dict())
        assert ours.card.architecture == name
        assert any("ReLU" in note for note in ours.notes) == (len(list(head.children())) == 4)
        same_outputs(ours.module, theirs, side=224 if name == "vit_b_32" else 64)


def test_larger_pictures_of_a_vision_transformer():
    with ShapesOnly():
        tensors = torchvision.models.vit_b_16(image_size=384).state_dict()
    built = build(tensors, Card())
    assert built.card.input.height == 384 and built.module.image_size == 384


@pytest.mark.parametrize("auxiliary", [True, False])
def test_googlenet_with_and_without_auxiliary_heads(auxiliary):
    theirs = torchvision.models.googlenet(
        num_classes=4, aux_logits=auxiliary, init_weights=False, transform_input=True
    ).eval()
    ours = loaded(theirs.state_dict())
    assert any("transform_input" in note for note in ours.notes)
    same_outputs(ours.module, theirs)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "net.", "model.backbone."]
)
def test_prefixes_are_taken_off_and_said(prefix):
    tensors = {
        prefix + name: tensor for name, tensor in network("squeezenet1_1").state_dict().items()
    }
    ours = loaded(tensors)
    assert ours.card.architecture == "squeezenet1_1"
    for part in prefix.strip(".").split("."):
        assert any(part in note for note in ours.notes)


def test_averaged_weights_and_missing_batch_counts():
    theirs = network("resnet18")
    old = {name: t for name, t in theirs.state_dict().items() if "num_batches" not in name}
    ours = loaded(
        {f"module.{name}": t for name, t in old.items()} | {"n_averaged": torch.tensor(3)}
    )
    assert any("num_batches_tracked" in note for note in ours.notes)
    assert any("verage" in note for note in ours.notes)
    same_outputs(ours.module, theirs)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_weights_are_computed_with_in_float32(kind):
    theirs = network("squeezenet1_1").to(kind)
    ours = loaded(theirs.state_dict())
    assert any("float32" in note for note in ours.notes)
    same_outputs(ours.module, theirs.float())


def test_double_weights_stay_double():
    assert (
        next(loaded(network("squeezenet1_1").double().state_dict()).module.parameters()).dtype
        == torch.float64
    )


NEAR = {
    "missing": "'layer3.0.bn1.weight' is missing",
    "missing layer": "'layer4.1.bn2.*' is missing",
    "extra": "'layer3.0.extra.weight' has no place in it",
    "shape": "'layer3.0.conv1.weight' is (256, 129, 3, 3), resnet18 has (256, 128, 3, 3)",
}


@pytest.mark.parametrize("change", NEAR)
def test_near_misses_open_as_weights_only_and_say_what_differs(change):
    tensors = network("resnet18").state_dict()
    if change == "missing":
        del tensors["layer3.0.bn1.weight"]
    elif change == "missing layer":
        tensors = {name: t for name, t in tensors.items() if "layer4.1.bn2" not in name}
    elif change == "extra":
        tensors["layer3.0.extra.weight"] = torch.zeros(3)
    else:
        tensors["layer3.0.conv1.weight"] = torch.zeros(256, 129, 3, 3)
    ours = loaded(tensors)
    assert isinstance(ours.module, WeightsOnly) and "architecture" not in ours.card.values()
    assert any("Weights only" in note for note in ours.notes)
    near = [note for note in ours.notes if note.startswith("Near miss")]
    assert len(near) == 1 and near[0].startswith("Near miss: resnet18 ") and NEAR[change] in near[0]


def test_other_tensors_beside_a_network_are_left_out_once_a_card_names_it():
    theirs = network("resnet18")
    tensors = {f"model.{name}": tensor for name, tensor in theirs.state_dict().items()}
    tensors["extra.weight"] = torch.ones(5)
    unnamed = loaded(tensors)
    assert isinstance(unnamed.module, WeightsOnly)
    assert any('"architecture": "resnet18"' in note for note in unnamed.notes)
    named = loaded(tensors, Card(architecture="resnet18"))
    assert any("'extra.weight'" in note for note in named.notes)
    assert any("'model.' taken off 122 of 123 names" in note for note in named.notes)
    same_outputs(named.module, theirs)


def test_a_card_that_names_another_network_hears_which_one_fits():
    ours = loaded(network("resnet18").state_dict(), Card(architecture="resnet34"))
    assert isinstance(ours.module, WeightsOnly)
    assert any("'resnet34' was asked for" in note for note in ours.notes)
    assert any("Near miss: resnet18" in note and "nothing differs" in note for note in ours.notes)


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("nonsense", "resnet18"),
        ("SampleViT", "resnet18"),
        ("nonsense", "SampleCNN"),
        ("resnet18", "SampleCNN"),
    ],
)
def test_a_stated_name_that_played_no_part_is_not_taken_for_the_network(samples, stated, name):
    tensors = (
        network(name).state_dict()
        if name == "resnet18"
        else load_file(samples / "shapes-cnn.safetensors")
    )
    ours, unnamed = loaded(tensors, Card(architecture=stated)), loaded(tensors)
    assert ours.card == unnamed.card and str(ours.module) == str(unnamed.module)
    (note,) = set(ours.notes) - set(unnamed.notes)
    assert f"names the architecture '{stated}'" in note and f"are those of {name}." in note


@pytest.mark.parametrize(
    "stated", ["resnet18", "ResNet-18", "timm/resnet18.a1_in1k", "resnet18 (max-pooling kept)"]
)
def test_a_stated_name_of_the_network_stays(stated):
    theirs = network("resnet18")
    theirs.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    ours = loaded(theirs.state_dict(), Card(architecture=stated))
    assert ours.card.architecture == stated and "architecture" not in ours.card.inferred
    assert not any("names the architecture" in note for note in ours.notes)


def test_what_is_far_from_all_networks_has_no_near_miss_and_needs_no_registry(monkeypatch):
    monkeypatch.setattr(torchvision.models, "list_models", None)
    ours = loaded({f"block{n}.w": torch.ones(3, 3) for n in range(40)})
    assert isinstance(ours.module, WeightsOnly)
    assert not any("Near miss" in note for note in ours.notes)


def test_a_start_for_small_pictures_may_keep_its_pooling():
    theirs = network("resnet18")
    theirs.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    tensors = theirs.state_dict()
    names = [built.card.architecture for built in alternatives(tensors, NO_CARD)]
    assert names[0] == "resnet18" and len(set(names)) == 4
    named = Card(architecture="resnet18 (max-pooling kept)")
    assert named.architecture in names
    same_outputs(loaded(tensors, named).module, theirs, side=32)
    theirs.conv1.stride = (2, 2)
    named = Card(architecture="resnet18 (stride 2, max-pooling kept)")
    same_outputs(loaded(tensors, named).module, theirs, side=32)


def test_weights_only_keeps_every_tensor_by_name():
    tensors = {
        "a.weight": torch.randn(2, 3),
        "a.b.bias": torch.randn(2),
        "steps": torch.tensor(3),
        "a.forward.train": torch.ones(1),
        "half": torch.ones(2),
        "half.x": torch.ones(1),
        "": torch.zeros(1),
        ".x..y": torch.zeros(2),
    }
    module = loaded(tensors).module
    found = module.state_dict()
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert torch.equal(module.get_parameter("a.b.bias"), tensors["a.b.bias"])
    with pytest.raises(UserError, match=r"(?s)architecture.*torch.export"):
        module(torch.zeros(1, 3, 8, 8))


def test_a_weight_called_training_is_kept_beside_the_modules_own():
    module = WeightsOnly({"training": torch.ones(1), "training.w": torch.zeros(1)}, "f")
    assert module.state_dict().keys() == {"training_", "training_.w"} and module.training is False


def test_deep_and_repeated_names_of_weights_only():
    deep = ".".join("x" for _ in range(3000))
    module = WeightsOnly(
        {deep: torch.zeros(1), "train.w": torch.ones(1), "train.v": torch.ones(1)}, "f"
    )
    assert len(list(module.named_modules())) < 50
    assert len(module.state_dict()) == 3


def test_not_finite_weights_are_named():
    tensors = {
        "ok": torch.ones(3),
        "bad": torch.tensor([1.0, float("nan")]),
        "worse": torch.tensor([float("inf")]),
    }
    note = next(note for note in loaded(tensors).notes if "NaN" in note)
    assert "'bad'" in note and "'worse'" in note and "'ok'" not in note


@pytest.mark.parametrize(
    "kind",
    [
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.float64,
        torch.complex64,
        torch.float8_e5m2,
    ],
)
def test_finite(kind):
    large = torch.full((1000,), 3e4).to(kind)
    assert is_finite(large)
    if kind != torch.float8_e5m2:
        assert is_finite(torch.full((9,), torch.finfo(kind).max, dtype=kind))  # the sum is not
    assert not is_finite(torch.tensor([1.0, float("nan")]).to(kind))


def test_no_tensor_is_a_message():
    with pytest.raises(UserError, match=r"file.pt.*no tensor"):
        loaded({})
