"""Networks under the names of Hugging Face's transformers: against the library itself where it is
installed, and against plain second implementations."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from core.architectures.search import networks
from core.card import Card
from core.cards.cards_beside import card_beside
from core.cards.transformers_config import architecture_of
from core.weight_files.state_dicts import model_of
from core.weight_files.weights_only import WeightsOnly

pytestmark = pytest.mark.usefixtures("one_thread")

VIT = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
       "num_hidden_layers": 2, "image_size": 32, "patch_size": 8, "num_labels": 5}
DINOV2 = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 2, "image_size": 28,
          "patch_size": 7, "num_labels": 5}
BEIT = {"hidden_size": 64, "intermediate_size": 48, "num_attention_heads": 2,
        "num_hidden_layers": 2, "image_size": 32, "patch_size": 8, "num_labels": 5}
SWIN_V2 = {"depths": [2, 2], "num_heads": [2, 4], "embed_dim": 16, "window_size": 8,
           "image_size": 64, "num_labels": 5}
REGNET = {"depths": [1, 2, 1, 1], "hidden_sizes": [32, 48, 64, 96], "groups_width": 16,
          "embedding_size": 16, "num_labels": 5}
EFFICIENTNET = {"width_coefficient": 1.0, "depth_coefficient": 1.1, "hidden_dim": 1280,
                "image_size": 240, "depthwise_padding": [16], "num_labels": 5}
CASES = {
    "ViT": VIT,
    "ViT without biases, another activation": VIT | {
        "qkv_bias": False, "hidden_act": "gelu_new", "num_attention_heads": 1},
    "DeiT": VIT,
    "DeiT taught": VIT,
    "ResNet": {"depths": [1, 2, 1, 1], "num_labels": 5, "num_channels": 1},
    "ResNet with the stride in front": {
        "depths": [1, 2, 1, 1], "num_labels": 5, "downsample_in_bottleneck": True,
        "downsample_in_first_stage": True},
    "ResNet of basic blocks": {"depths": [2, 1, 1, 1], "hidden_sizes": [64, 128, 256, 512],
                               "layer_type": "basic", "num_labels": 5},
    "ConvNext": {"depths": [1, 2, 1], "hidden_sizes": [8, 16, 24], "num_stages": 3,
                 "num_labels": 5, "num_channels": 1},
    "Swin": {"depths": [2, 2], "num_heads": [2, 4], "embed_dim": 16, "image_size": 56,
             "num_labels": 5, "layer_norm_eps": 1e-3},
    "Dinov2": DINOV2 | {"num_attention_heads": 4, "layer_norm_eps": 1e-2},
    "Dinov2WithRegisters": DINOV2 | {"num_attention_heads": 2, "hidden_act": "relu"},
    "MobileNetV1": {"depth_multiplier": 0.25, "num_labels": 5, "tf_padding": False},
    "MobileNetV2": {"depth_multiplier": 0.5, "num_channels": 1, "num_labels": 5},
    "ViTMSN": VIT | {"layer_norm_eps": 1e-3},
    "RegNet": REGNET,
    "RegNet of X layers that starts large": REGNET | {
        "layer_type": "x", "downsample_in_first_stage": False, "num_channels": 1},
    "ConvNext without a scale": {"depths": [1, 2], "hidden_sizes": [8, 16], "num_stages": 2,
                                 "num_labels": 5, "layer_scale_init_value": 0.0},
    "ConvNextV2": {"depths": [1, 2, 1], "hidden_sizes": [8, 16, 24], "num_stages": 3,
                   "num_labels": 5, "num_channels": 1, "hidden_act": "gelu_new"},
    "Swinv2": SWIN_V2 | {"layer_norm_eps": 1e-3},
    "Swinv2 trained with other windows": SWIN_V2 | {
        "depths": [2, 2, 2], "num_heads": [2, 4, 4], "pretrained_window_sizes": [4, 4, 2]},
    "EfficientNet": EFFICIENTNET,
    "EfficientNet padded elsewhere": EFFICIENTNET | {"depthwise_padding": [2, 8],
                                                     "image_size": 64, "batch_norm_eps": 0.1},
    "Beit": BEIT | {"use_relative_position_bias": True, "use_mask_token": True},
    "Beit with the class token": BEIT | {"use_mean_pooling": False, "num_attention_heads": 4,
                                         "use_absolute_position_embeddings": True},
    "Beit without places or scales": BEIT | {"layer_scale_init_value": 0.0,
                                             "layer_norm_eps": 1e-3},
}
TOLD = {  # without a config.json, by names and shapes alone
    "ViTMSN": VIT | {"hidden_size": 64, "num_attention_heads": 1},
    "RegNet": REGNET,
    "RegNet whose shortcut tells": REGNET | {"embedding_size": 32, "layer_type": "x",
                                             "downsample_in_first_stage": False},
    "ConvNextV2": CASES["ConvNextV2"] | {"hidden_act": "gelu"},
    "Swinv2": SWIN_V2 | {"image_size": 64},
    "EfficientNet": EFFICIENTNET,
    "Beit": CASES["Beit"] | {"num_attention_heads": 4},
}


def shaken(network, seed=0):
    """Weights and statistics unlike a fresh network's, so that each matters."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=random)
            tensor.copy_(noise + 0.5 if "running_var" in name or (tensor.dim() == 1 and
                         name.endswith("weight")) else (noise - 0.5) * 0.3)
    return network.eval()


def of_the_library(case, cases=CASES):
    library = pytest.importorskip("transformers")
    kind, _, rest = case.partition(" ")
    ending = "WithTeacher" if rest == "taught" else ""
    config = getattr(library, f"{kind}Config")(**cases[case])
    network = shaken(getattr(library, f"{kind}ForImageClassification{ending}")(config))
    if kind in ("EfficientNet", "RegNet"):
        side = getattr(config, "image_size", 224)
        return with_statistics_of(torch.randn(4, config.num_channels, side, side), network)
    return network


def opened(folder):
    from core.model_formats.safetensors import load

    card, _ = card_beside(folder / "model.safetensors")
    return load(folder / "model.safetensors", card)


@pytest.mark.parametrize("case", CASES)
def test_as_the_library(case, tmp_path):
    reference = of_the_library(case)
    reference.save_pretrained(tmp_path)
    loaded = opened(tmp_path)
    spec = loaded.card.input
    assert loaded.card.architecture.startswith(type(reference).__name__)
    assert loaded.card.output == "logits" and spec.height == spec.width
    assert loaded.card.class_names is None  # "LABEL_0" is no name
    pictures = torch.randn(2, spec.channels, spec.height, spec.width)
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.module(pictures), reference(pictures).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("case", TOLD)
def test_as_the_library_without_its_config(case, tmp_path):
    reference = of_the_library(case, TOLD)
    reference.save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    loaded = opened(tmp_path)
    spec = loaded.card.input
    assert loaded.card.architecture.startswith(type(reference).__name__)
    pictures = torch.randn(2, spec.channels, spec.height, spec.width)
    logits = reference(pictures).logits.detach()
    assert (logits[0] - logits[1]).abs().max() > 1e-3  # pictures reach the end
    torch.testing.assert_close(loaded.module(pictures), logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("case", "said"), [
    ("RegNet", "downsample_in_first_stage true"), ("Swinv2", "window_size 8"),
    ("EfficientNet", "depthwise_padding 16"), ("ViT", "layer_norm_eps 1e-06"),
    ("RegNet whose shortcut tells", ""), ("ConvNextV2", ""), ("Beit", ""),
])
def test_what_names_and_shapes_do_not_tell_is_said(case, said):
    reference = of_the_library(case, CASES | TOLD)
    found, = networks(reference.state_dict(), Card())
    assert found.built.exact is (not said)
    assert len(found.built.notes) == 1 if not said else said in found.built.notes[-1]


def with_statistics_of(pictures, network):
    """Its norms' statistics those of the pictures, so that a picture reaches the end of a deep one."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(pictures)
    return network.eval()


@pytest.mark.parametrize(("padded", "other"), [("true", "false"), ("false", "true")])
@pytest.mark.parametrize("side", [64, 75])
@pytest.mark.parametrize("kind", ["MobileNetV1", "MobileNetV2"])
def test_pictures_are_padded_as_the_card_says(kind, side, padded, other):
    library = pytest.importorskip("transformers")
    pictures, logits = torch.randn(4, 3, side, side), {}
    reference = with_statistics_of(pictures, shaken(
        getattr(library, f"{kind}ForImageClassification")(getattr(library, f"{kind}Config")(
            num_labels=5, tf_padding=padded == "true", layer_norm_eps=0.1))))
    for word in (padded, other):
        name = f"{kind}ForImageClassification (tf_padding {word}, layer_norm_eps 0.1)"
        found = model_of(reference.state_dict(), Card(architecture=name), "f", lambda: None)
        assert not any("padded" in note for note in found.notes)
        logits[word] = found.module(pictures)
    expected = reference(pictures).logits.detach()
    torch.testing.assert_close(logits[padded], expected, atol=1e-5, rtol=1e-4)
    assert (logits[other] - expected).abs().max() > 0.01 * expected.std(0).max() > 1e-4


@pytest.mark.parametrize("case", ["ViT", "DeiT taught", "Swin", "Dinov2", "Swinv2", "Beit", "ViTMSN"])
def test_a_state_dict_as_version_5_has_it_in_memory(case):
    reference = of_the_library(case)
    card = Card(architecture=architecture_of(
        reference.config.to_dict() | {"architectures": [type(reference).__name__]}))
    loaded = model_of(reference.state_dict(), card, "model.pt", lambda: None)
    side = loaded.card.input.height
    pictures = torch.randn(2, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.module(pictures), reference(pictures).logits, atol=1e-5, rtol=1e-4)


def vit_tensors(width=24, heads=3, depth=2, patch=4, grid=3, classes=5, wide=40):
    """Random tensors as google/vit-base-patch16-224 names them."""
    shapes = {
        "vit.embeddings.cls_token": (1, 1, width),
        "vit.embeddings.position_embeddings": (1, grid**2 + 1, width),
        "vit.embeddings.patch_embeddings.projection.weight": (width, 3, patch, patch),
        "vit.embeddings.patch_embeddings.projection.bias": (width,),
        "vit.layernorm.weight": (width,), "vit.layernorm.bias": (width,),
        "classifier.weight": (classes, width), "classifier.bias": (classes,),
    }
    for block in range(depth):
        place = f"vit.encoder.layer.{block}."
        for name, out, inside in (
                ("attention.attention.query", width, width),
                ("attention.attention.key", width, width),
                ("attention.attention.value", width, width),
                ("attention.output.dense", width, width), ("intermediate.dense", wide, width),
                ("output.dense", width, wide)):
            shapes |= {f"{place}{name}.weight": (out, inside), f"{place}{name}.bias": (out,)}
        for name in ("layernorm_before", "layernorm_after"):
            shapes |= {f"{place}{name}.weight": (width,), f"{place}{name}.bias": (width,)}
    random = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=random) * 0.3 for name, shape in shapes.items()}


def vit_by_hand(tensors, x, heads, depth=2):
    """Logits by the formulas of the paper, one head at a time."""
    def layer(x, name):
        return F.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def norm(x, name):
        x = (x - x.mean(-1, keepdim=True)) / torch.sqrt(
            x.var(-1, unbiased=False, keepdim=True) + 1e-12)
        return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    place = "vit.embeddings.patch_embeddings.projection"
    patch = tensors[f"{place}.weight"].shape[-1]
    patches = F.unfold(x, patch, stride=patch).transpose(1, 2)
    x = patches @ tensors[f"{place}.weight"].flatten(1).T + tensors[f"{place}.bias"]
    token = tensors["vit.embeddings.cls_token"].repeat(len(x), 1, 1)
    x = torch.cat([token, x], 1) + tensors["vit.embeddings.position_embeddings"]
    for block in range(depth):
        place = f"vit.encoder.layer.{block}."
        before = norm(x, f"{place}layernorm_before")
        query, key, value = (layer(before, f"{place}attention.attention.{name}")
                             for name in ("query", "key", "value"))
        seen = []
        for q, k, v in zip(query.chunk(heads, -1), key.chunk(heads, -1), value.chunk(heads, -1),
                           strict=True):
            seen.append((q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1) @ v)
        x = x + layer(torch.cat(seen, -1), f"{place}attention.output.dense")
        inside = layer(norm(x, f"{place}layernorm_after"), f"{place}intermediate.dense")
        x = x + layer(F.gelu(inside), f"{place}output.dense")
    return layer(norm(x, "vit.layernorm")[:, 0], "classifier")


def test_a_vision_transformer_by_its_formulas(tmp_path):
    tensors, pictures = vit_tensors(), torch.randn(2, 3, 12, 12)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({
        "architectures": ["ViTForImageClassification"], "num_attention_heads": 3,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu", "image_size": 12, "num_channels": 3,
        "id2label": {str(n): name for n, name in enumerate("abcde")}}))
    loaded = opened(tmp_path)
    assert loaded.card.class_names == tuple("abcde")
    assert loaded.card.architecture == (
        "ViTForImageClassification (num_attention_heads 3, layer_norm_eps 1e-12, hidden_act gelu)")
    assert not {"architecture", "input.height"} & loaded.card.inferred
    torch.testing.assert_close(loaded.module(pictures), vit_by_hand(tensors, pictures, 3),
                               atol=1e-5, rtol=1e-4)
    assert "blocks.1.attn.qkv" in dict(loaded.module.named_modules())
    assert any("attn.qkv" in note for note in loaded.notes)


def test_heads_that_no_file_says_are_guessed_and_said():
    tensors = vit_tensors()
    found, = networks(tensors, Card())
    assert not found.built.exact and "config.json" in found.built.notes[1]
    named, = networks(tensors, Card(
        architecture="ViTForImageClassification (num_attention_heads 3)"))
    assert named.built.exact and len(named.built.notes) == 1
    assert not networks(tensors, Card(
        architecture="ViTForImageClassification (num_attention_heads 7)"))


@pytest.mark.parametrize("change", [
    {"vit.encoder.layer.0.attention.attention.key.weight": None},
    {"vit.encoder.layer.0.attention.attention.key.weight": (12, 24)},
    {"vit.embeddings.position_embeddings": (1, 12, 24)},
    {"vit.encoder.layer.0.another.weight": (24,)},
    {"classifier.weight": None},
    {"vit.embeddings.cls_token": ()},
])
def test_what_does_not_fit_is_weights_only(change):
    tensors = vit_tensors()
    for name, shape in change.items():
        tensors.pop(name, None)
        if shape is not None:
            tensors[name] = torch.zeros(shape)
    loaded = model_of(tensors, Card(), "model.safetensors", lambda: None)
    assert isinstance(loaded.module, WeightsOnly)


class ConvNorm(nn.Module):
    def __init__(self, inside, out, side=3, stride=1, active=True):
        super().__init__()
        self.convolution = nn.Conv2d(inside, out, side, stride, side // 2, bias=False)
        self.normalization = nn.BatchNorm2d(out)
        self.active = active

    def forward(self, x):
        x = self.normalization(self.convolution(x))
        return x.relu() if self.active else x


class Layer(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        if stride != 1 or inside != out:
            self.shortcut = ConvNorm(inside, out, 1, stride, active=False)
        self.layer = nn.Sequential(
            ConvNorm(inside, out // 4, 1), ConvNorm(out // 4, out // 4, 3, stride),
            ConvNorm(out // 4, out, 1, active=False))

    def forward(self, x):
        around = self.shortcut(x) if hasattr(self, "shortcut") else x
        return (self.layer(x) + around).relu()


class ResNet(nn.Module):
    """As microsoft/resnet-50 names its tensors, with fewer layers."""

    def __init__(self):
        super().__init__()
        self.resnet = nn.Module()
        self.resnet.embedder = nn.Module()
        self.resnet.embedder.embedder = ConvNorm(3, 64, 7, 2)
        self.resnet.encoder = nn.Module()
        widths = [64, 256, 512, 1024, 2048]
        self.resnet.encoder.stages = nn.ModuleList()
        for number, depth in enumerate((1, 2, 1, 1)):
            stage = nn.Module()
            stage.layers = nn.Sequential(*(
                Layer(widths[number + (place > 0)], widths[number + 1],
                      2 if number and not place else 1) for place in range(depth)))
            self.resnet.encoder.stages.append(stage)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(2048, 5))

    def forward(self, x):
        x = F.max_pool2d(self.resnet.embedder.embedder(x), 3, 2, 1)
        for stage in self.resnet.encoder.stages:
            x = stage.layers(x)
        return self.classifier(x.mean((2, 3)))


@pytest.mark.parametrize("change", [
    {"blocks.0.attention.self.key.weight": None}, {"blocks.0.attention.self.logit_scale": ()},
    {"blocks.0.attention.self.value.bias": None}, {"blocks.1.another.weight": (16,)},
])
def test_what_is_nearly_a_swin_of_version_2_is_weights_only(change):
    tensors = of_the_library("Swinv2").state_dict()
    for name, shape in change.items():
        tensors.pop(f"swinv2.encoder.layers.0.{name}", None)
        if shape is not None:
            tensors[f"swinv2.encoder.layers.0.{name}"] = torch.zeros(shape)
    loaded = model_of(tensors, Card(), "model.safetensors", lambda: None)
    assert isinstance(loaded.module, WeightsOnly)


@pytest.mark.parametrize(("case", "lost"), [
    ("ConvNextV2", ".stages.1."), ("ConvNextV2", ".stages.1.layers.1.grn."),
    ("ConvNext", ".stages.1.layers.0.layer_scale"),
    ("Beit", ".layers.1.relative_position_bias."),
])
def test_a_part_that_is_missing_in_one_place_is_weights_only(case, lost):
    tensors = of_the_library(case).state_dict()
    tensors = {name: tensor for name, tensor in tensors.items() if lost not in name}
    loaded = model_of(tensors, Card(), "model.safetensors", lambda: None)
    assert isinstance(loaded.module, WeightsOnly)


def test_a_table_of_places_that_is_far_too_large_is_refused():
    tensors = of_the_library("Beit").state_dict()
    for name in [name for name in tensors if name.endswith("relative_position_bias_table")]:
        tensors[name] = torch.zeros((2 * 300 - 1)**2 + 3, 2)
    loaded = model_of(tensors, Card(), "model.safetensors", lambda: None)
    assert isinstance(loaded.module, WeightsOnly)


def test_a_resnet_by_its_layers():
    reference = shaken(ResNet())
    loaded = model_of(reference.state_dict(), Card(), "model.safetensors", lambda: None)
    pictures = torch.randn(1, 3, 96, 96)
    torch.testing.assert_close(loaded.module(pictures), reference(pictures), rtol=1e-4, atol=1e-5)
    assert any("downsample_in_bottleneck" in note for note in loaded.notes)
    stated = Card(architecture="ResNetForImageClassification (downsample_in_bottleneck true)")
    other = model_of(reference.state_dict(), stated, "model.safetensors", lambda: None)
    assert not torch.allclose(other.module(pictures), reference(pictures), rtol=1e-3)


@pytest.mark.parametrize("side, resize, size", [
    (224, {"shorter_side": 256, "crop": 224, "longer_side": "down"}, 224),
    (384, "stretch", 384),
])
def test_the_processor_of_convnext_and_resnet(tmp_path, side, resize, size):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({
        "crop_pct": 0.875, "do_normalize": True, "do_resize": True, "size": side,
        "feature_extractor_type": "ConvNextFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "resample": 3}))
    card, _ = card_beside(tmp_path / "model.safetensors")
    assert card.to_json()["input"]["resize"] == resize
    assert (card.input.height, card.input.width) == (size, size)


@pytest.mark.parametrize("said", [
    {}, {"architectures": []}, {"architectures": "ViT"}, {"architectures": [1]},
    {"architectures": ["os:system"]}, {"architectures": ["x:yForImageClassification"]},
    {"architectures": ["BertModel"]},
])
def test_a_config_of_something_else_names_no_network(said):
    assert architecture_of(said) is None


def test_a_config_is_text_however_odd():
    said = {"architectures": ["ViTForImageClassification"], "num_attention_heads": [1],
            "hidden_act": "a, b) `x` (", "layer_norm_eps": 1e-12}
    assert architecture_of(said) == (
        "ViTForImageClassification (layer_norm_eps 1e-12, hidden_act abx)")
