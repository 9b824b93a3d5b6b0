"""Networks whose file lost the names of layers: a layer for each operator, the numbers eager's."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torchvision.models import resnet18

from core.card import Card, InputSpec
from core.layers import capture, differentiable
from core.model_formats.onnx import FORMAT as ONNX
from core.model_formats.torchscript import FORMAT as TORCHSCRIPT
from tests.conftest import SHARED
from tests.test_torchscript import save

MADE_UP = {"conv2d": nn.BatchNorm2d, "relu": nn.ReLU, "max_pool2d": nn.MaxPool2d,
           "linear": nn.Linear, "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d, "flatten": nn.Flatten}


def small_cnn():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, groups=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


def trained(make):
    """The network with statistics and scales that folding must not lose."""
    torch.manual_seed(3)
    net = make().eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
    return net


def in_order_of_running(net, x):
    """What eager's layers give, by the name that the operator gets: relu_1, relu_2, …"""
    found, hooks = {}, []

    def keep(name):
        def hook(_layer, _given, output):
            found[f"{name}_{1 + sum(key.rpartition('_')[0] == name for key in found)}"] = \
                output.clone()
        return hook

    for name, kind in MADE_UP.items():
        hooks += [layer.register_forward_hook(keep(name)) for layer in net.modules()
                  if isinstance(layer, kind)]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def frozen(net, way, folder, side=48):
    """What the frozen program of a trace, or of a script, opens as."""
    path = folder / "net.pt"
    program = torch.jit.trace(net, torch.randn(2, 3, side, side)) if way == "traced" else net
    save(program, path, "frozen")
    return TORCHSCRIPT.load(path, Card(input=InputSpec(3, side, side)))


@pytest.mark.parametrize("way", ["traced", "scripted"])
@pytest.mark.parametrize("make", [small_cnn, resnet18], ids=["cnn", "resnet18"])
def test_layers_of_a_frozen_program_give_what_eagers_give(make, way, tmp_path):
    net = trained(make)
    module = frozen(net, way, tmp_path).module
    x = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    expected = in_order_of_running(net, x)
    if make is resnet18:
        expected["flatten_1"] = expected["adaptive_avg_pool2d_1"].flatten(1)
    layers = [path for path, _ in module.named_modules() if path and not path.startswith("add_")]
    assert sorted(layers) == sorted(expected)
    with torch.no_grad(), capture(module, set(expected)) as found:
        module(x)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("way", ["traced", "scripted"])
def test_tensors_and_classes_are_those_of_the_layer(way, tmp_path):
    net = trained(small_cnn)
    loaded = frozen(net, way, tmp_path)
    shapes = {name: tuple(tensor.shape) for name, tensor in loaded.module.named_parameters()}
    assert shapes == {"conv2d_1.weight": (6, 3, 3, 3), "conv2d_1.bias": (6,),
                      "conv2d_2.weight": (8, 3, 3, 3), "conv2d_2.bias": (8,),
                      "linear_1.weight": (5, 8), "linear_1.bias": (5,)}
    layers = dict(loaded.module.named_modules())
    kinds = [layers[name].type_name for name in ("conv2d_1", "relu_2", "max_pool2d_1", "linear_1")]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d", "Linear"]
    assert any("made up" in note and "frozen" in note for note in loaded.notes)


def test_gradients_reach_a_frozen_layer(tmp_path):
    net = trained(small_cnn)
    module = frozen(net, "scripted", tmp_path).module
    x = torch.randn(2, 3, 48, 48)
    gradients = []
    for network, name in ((module, "conv2d_2"), (net, "5")):
        with differentiable(network, name) as leaves:
            scores = network(x)
        gradients.append(torch.autograd.grad(scores[:, 1].sum(), leaves)[0])
    assert gradients[1].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


class Rooted(nn.Module):
    """A network without layers, whose tensors have names; one of them as a layer might have."""

    def __init__(self):
        super().__init__()
        self.weight, self.relu_1 = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(4))

    def forward(self, x):
        x = x.mean((2, 3))
        return torch.relu(nn.functional.linear(x, self.weight, self.relu_1))


@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_tensors_with_names_keep_them(form, tmp_path):
    net = Rooted().eval()
    save(net, tmp_path / "net.pt", form, (2, 3, 8, 8))
    loaded = TORCHSCRIPT.load(tmp_path / "net.pt", Card(input=InputSpec(3, 8, 8)))
    assert list(dict(loaded.module.named_parameters())) == ["weight", "relu_1"]
    assert {"mean_1", "linear_1", "relu_2"} <= dict(loaded.module.named_modules()).keys()
    assert any("made up" in note and "frozen" not in note for note in loaded.notes)
    x = torch.randn(3, 3, 8, 8)
    torch.testing.assert_close(loaded.module(x), net(x))


def onnx_chain(names, path):
    """1 × 1 convolutions with weights of these names, a Relu after each; no node has a name."""
    weights = [numpy_helper.from_array(np.full((2, 2, 1, 1), 0.5 + place, "f"), name)
               for place, name in enumerate(dict.fromkeys(names))]
    nodes = []
    for place, name in enumerate(names):
        nodes.append(helper.make_node("Conv", [f"v{place}", name], [f"c{place}"]))
        nodes.append(helper.make_node("Relu", [f"c{place}"], [f"v{place + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4, 4])
            for name in ("v0", f"v{len(names)}")]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    path.write_bytes(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString())
    return ONNX.load(path, Card())


@pytest.mark.parametrize(("names", "layers"), [
    (["gpu_0/one_w_0", "gpu_0/two_w_0"], ["one", "Relu_1", "two", "Relu_3"]),
    (["gpu_0/res/one_w_0", "gpu_0/res/two_w_0", "gpu_0/end_w_0"],
     ["res", "res.one", "res.Relu_1", "res.two", "Relu_3", "end", "Relu_5"]),
    (["net.a.weight", "net.b.weight"], ["net", "net.a", "net.Relu_1", "net.b", "Relu_3"]),
    (["net.a.weight"], ["net", "net.a", "Relu_1"]),
    (["a.weight", "a.weight"], ["a", "Relu_1", "Relu_3"]),
])
def test_onnx_layers_named_by_their_weights_run_whole(names, layers, tmp_path):
    module = onnx_chain(names, tmp_path / "chain.onnx").module
    found = {path: layer for path, layer in module.named_modules() if path}
    assert sorted(found) == sorted(layers)
    times = {path: len(layer.programs) for path, layer in found.items()}
    assert times == {path: names.count(f"{path}.weight") or 1 for path in layers}


def test_an_onnx_file_without_names_of_nodes_says_how_they_were_named(tmp_path):
    notes = onnx_chain(["a.weight"], tmp_path / "chain.onnx").notes
    assert any("2 nodes have no names" in note for note in notes)


def test_caffe2s_shufflenet_has_layers_that_run_once():
    path = SHARED / "real/models/onnx_light_architectures/light_shufflenet.onnx"
    if not path.exists():
        pytest.skip("needs the shared folder")
    module = ONNX.load(path, Card()).module
    layers = {name: layer for name, layer in module.named_modules() if name}
    assert "conv3_0" in layers and not any(name.startswith("gpu_0") for name in layers)
    assert all(len(layer.programs) == 1 for layer in layers.values())
