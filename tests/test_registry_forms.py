"""torchvision's and timm's networks in the frozen forms, with random weights, against eager ones.

Each run has those families, in small, that the tests of the forms leave out; with NETLENS_ALL=1 the
whole registry of torchvision and more of timm, which takes hours.
"""

import os
import shutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.exported_forms import FROZEN, SIDES, opened, relative, used, written

ALL = os.environ.get("NETLENS_ALL") == "1"
FORMS = tuple(FROZEN) if ALL else ("pt2", "traced", "onnx before")
FAMILIES = ["alexnet", "efficientnet_v2", "googlenet", "inception", "mobilenet_v2", "vgg"]
LARGEST = 400_000_000  # parameters; an ONNX file in one piece ends at 2 GB
TIMM = ["resnet10t", "mobilenetv3_small_050", "test_vit", "test_convnext"]
MORE_OF_TIMM = [
    "resnet18d", "resnet26d", "resnext50_32x4d", "seresnet18", "efficientnet_lite0",
    "tf_efficientnet_b0", "tf_efficientnetv2_b0", "mobilenetv2_050", "mobilenetv4_conv_small",
    "convnext_atto", "convnextv2_atto", "vit_tiny_patch16_224", "deit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224", "mixer_s32_224", "regnetx_002", "regnety_002", "densenet121",
    "ghostnet_050", "mobileone_s0", "repvgg_a0", "poolformer_s12", "levit_128s", "edgenext_xx_small",
    "fastvit_t8", "efficientformerv2_s0", "hardcorenas_a", "lcnet_050", "tinynet_e", "dla34",
    "xcit_nano_12_p16_224", "coat_lite_tiny", "pit_ti_224", "cait_xxs24_224", "nfnet_f0",
]


def registry() -> list[str]:
    """Names of torchvision's classifiers, the smallest first."""
    models = import_module("torchvision.models")
    sizes = {name: next(iter(models.get_model_weights(name))).meta["num_params"]
             for name in models.list_models(module=models)}
    return sorted((name for name in sizes if sizes[name] < LARGEST), key=sizes.__getitem__)


def of_torchvision(name: str, form: str) -> tuple[nn.Module, int]:
    """A network of the registry, and the smallest side of its pictures."""
    options, side = {}, SIDES.get(name, 64)
    if name.startswith(("vgg", "maxvit")):
        side = 224
    if name.startswith(("googlenet", "inception")):
        options, side = {"init_weights": False, "aux_logits": form != "scripted"}, 75
    if name.startswith("vit"):
        options = {"image_size": side}
    return import_module("torchvision.models").get_model(
        name, weights=None, num_classes=10, **options), side


def of_timm(name: str) -> tuple[nn.Module, int]:
    net = import_module("timm").create_model(name, num_classes=10)
    fixed = net.default_cfg.get("fixed_input_size") or not net.default_cfg.get("pool_size")
    return net, net.default_cfg["input_size"][-1] if fixed else 64


def assert_same_outputs(net: nn.Module, form: str, side: int, folder: Path) -> None:
    """Within 1e-4 of the largest logit, for another batch than the exported one."""
    example = torch.randn(2, 3, side, side)
    try:
        path = written(net, form, folder, example)
    except Exception as error:  # of torch's own exporters: each refuses some network in its own way
        if not ALL:
            raise
        pytest.skip(f"torch cannot write it: {str(error).strip()[:80]}")
    loaded = opened(path, example)
    shutil.rmtree(folder)  # all files of the registry are 60 GB
    x = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = net(x), loaded.module(x)
    assert found.shape == expected.shape
    assert expected.abs().max() > 0
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_families_of_torchvision(family, form, tmp_path):
    assert_same_outputs(relative(family), form, SIDES.get(family, 64), tmp_path)


@pytest.mark.skipif(not ALL, reason="hours: set NETLENS_ALL=1")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", registry() if ALL else [""])
def test_the_whole_registry_of_torchvision(name, form, tmp_path):
    torch.manual_seed(0)
    net, side = of_torchvision(name, form)
    assert_same_outputs(used(net), form, side, tmp_path)


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TIMM + (MORE_OF_TIMM if ALL else []))
def test_networks_of_timm(name, form, tmp_path):
    torch.manual_seed(0)
    net, side = of_timm(name)
    assert_same_outputs(used(net), form, side, tmp_path)
