"""Quantized ONNX files in the QDQ form, against onnxruntime."""

import logging

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from core.card import Card
from core.graph.meta import cost
from core.model_formats.onnx import FORMAT
from tests.test_onnx import exported, made, pictures, refused, torchvision_net

quantization = pytest.importorskip("onnxruntime.quantization")


def as_written(path, x):
    """What onnxruntime computes node by node: its rewriting rounds at other places."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]


WHOLE = {"int8": np.int8, "uint8": np.uint8}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("axis", [None, 1, -1])
def test_numbers_are_those_of_onnxruntime(kind, axis, tmp_path):
    """Halves round to even, what is out of range is cut, an axis has scales of its own."""
    scale, zero = np.float32(0.25), WHOLE[kind](3)
    sizes = [2, 3, 4]
    if axis is not None:
        scale = np.linspace(0.1, 0.5, sizes[axis], dtype=np.float32)
        zero = np.arange(sizes[axis]).astype(WHOLE[kind])
    said = {} if axis is None else {"axis": axis}
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **said),
             helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **said)]
    path = made(tmp_path / "net.onnx", nodes, {"x": sizes}, {"s": scale, "z": zero})
    x = torch.linspace(-50, 90, 24).reshape(sizes)
    x[0] = torch.arange(-6, 6).reshape(3, 4) * 0.125  # ties
    found = FORMAT.load(path, Card()).module(x)
    assert np.array_equal(found.numpy(), as_written(path, x))


@pytest.mark.parametrize("axis", [None, 0])
def test_weights_are_shown_as_they_are_computed_with(axis, tmp_path):
    whole = np.arange(-8, 8, dtype=np.int8).reshape(4, 4)
    scale = np.float32(0.5) if axis is None else np.linspace(0.1, 0.4, 4, dtype=np.float32)
    zero = np.int8(1) if axis is None else np.arange(4, dtype=np.int8)
    nodes = [helper.make_node("DequantizeLinear", ["fc.weight_quantized", "s", "z"], ["w"],
                              **({} if axis is None else {"axis": axis})),
             helper.make_node("Gemm", ["x", "w"], ["y"], "fc", transB=1)]
    path = made(tmp_path / "net.onnx", nodes, {"x": ["batch", 4]},
                {"fc.weight_quantized": whole, "s": scale, "z": zero})
    loaded, x = FORMAT.load(path, Card()), pictures(3, 4)
    np.testing.assert_allclose(loaded.module(x), as_written(path, x), rtol=1e-6)
    by_row = (lambda part: part) if axis is None else (lambda part: part[:, None])
    expected = (whole - by_row(zero).astype(np.float32)) * by_row(scale)
    assert np.array_equal(dict(loaded.module.named_parameters())["fc.weight"].numpy(), expected)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, groups=2)
        self.last = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = nn.functional.max_pool2d(torch.relu(self.second(x)) + x[:, :, 1:-1, 1:-1], 2)
        return self.last(x.mean((2, 3)))


class Pictures:
    """What the quantizing program measures ranges on."""

    def __init__(self) -> None:
        self.left = [{"x": pictures(2, 3, 16, 16).numpy()}]

    def get_next(self):
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kinds", [("QUInt8", "QInt8"), ("QInt8", "QInt8"), ("QUInt8", "QUInt8")])
def test_a_quantized_network_agrees_with_onnxruntime(kinds, per_channel, tmp_path):
    torch.manual_seed(0)
    net = Small().eval()
    exported(net, tmp_path / "whole.onnx", pictures(2, 3, 16, 16), dynamo=False)
    logging.disable(logging.WARNING)
    activations, weights = (getattr(quantization.QuantType, kind) for kind in kinds)
    quantization.quantize_static(
        tmp_path / "whole.onnx", tmp_path / "net.onnx", Pictures(), per_channel=per_channel,
        quant_format=quantization.QuantFormat.QDQ, activation_type=activations,
        weight_type=weights)
    logging.disable(logging.NOTSET)
    path = tmp_path / "net.onnx"
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(path).graph.node}
    loaded, x = FORMAT.load(path, Card()), pictures(3, 3, 16, 16)
    expected = as_written(path, x)
    np.testing.assert_allclose(loaded.module(x), expected, atol=1e-5)
    whole = FORMAT.load(tmp_path / "whole.onnx", Card()).module
    layers = {name: tuple(one.shape) for name, one in whole.named_parameters()}
    assert layers == {name: tuple(one.shape) for name, one in loaded.module.named_parameters()}
    assert any(note.startswith("Quantized") for note in loaded.notes)
    x.requires_grad_()
    gradients = [torch.autograd.grad(module(x)[:, 1].sum(), x)[0].reshape(-1)
                 for module in (loaded.module, whole)]
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.9


@pytest.mark.parametrize(("nodes", "reason"), [
    ([helper.make_node("QuantizeLinear", ["x", "s"], ["y"], block_size=2)], "not supported"),
    ([helper.make_node("QuantizeLinear", ["x", "s"], ["y"], output_dtype=17)], "not supported"),
    ([helper.make_node("DequantizeLinear", ["w", "square"], ["y"])], "several axes"),
    ([helper.make_node("DequantizeLinear", ["w", "five"], ["y"], axis=7)], "no axis 7"),
    ([helper.make_node("DequantizeLinear", ["w", "five"], ["y"], axis=0)], "could not be read"),
])
def test_other_kinds_and_damage_are_refused(nodes, reason, tmp_path):
    tensors = {"s": np.float32(1), "w": np.ones((2, 3), np.int8),
               "square": np.ones((2, 3), np.float32), "five": np.ones(5, np.float32)}
    refused(made(tmp_path / "net.onnx", nodes, {"x": [2, 3]}, tensors, opset=21), reason)


def test_weights_that_unfold_many_times_are_refused(tmp_path):
    """Each use of a tensor of bytes would take four times its size again."""
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], [f"w{n}"]) for n in range(300)]
    nodes += [helper.make_node("Mul", ["x", "w0"], ["y"])]
    weight = helper.make_tensor("w", onnx.TensorProto.INT8, [1000, 1000], bytes(10**6), raw=True)
    path = made(tmp_path / "net.onnx", nodes, {"x": [1000, 1000]}, {"s": np.float32(1)})
    model = onnx.load(path)
    model.graph.initializer.append(weight)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.float32(1), "s"))
    onnx.save(model, path)
    refused(path, "too large")


# Operators on whole numbers, against onnxruntime: each number must be the same. Weights keep to 7
# bits, since onnxruntime's sums of bytes overflow on processors without VNNI.
MICROSOFT = "com.microsoft"
STEP = {"x": np.float32(0.031), "w": np.float32(0.0123), "y": np.float32(0.27)}


def tensors_of(kinds, shape, per_channel=0, bits=7):
    """Scales, zero points and weights of these kinds; per_channel: how many of the weights'."""
    random = np.random.default_rng(len(shape))
    x_kind, w_kind = (WHOLE[kind] for kind in kinds)
    high = 1 << bits if w_kind is np.uint8 else 1 << bits - 1
    low = 0 if w_kind is np.uint8 else -high
    count = (per_channel,) if per_channel else ()
    return {
        "xs": STEP["x"], "xz": x_kind(100), "ys": STEP["y"], "yz": x_kind(7),
        "w": random.integers(low, high, shape).astype(w_kind),
        "ws": (random.uniform(0.5, 2, count) * STEP["w"]).astype(np.float32),
        "wz": np.full(count, 3 if w_kind is np.uint8 else 0, w_kind),
    }


def same_numbers(tmp_path, nodes, x, tensors, to_float=True):
    """Runs both on x, which `xs` and `xz` round, and gives what was loaded."""
    first = helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["qx"])
    last = helper.make_node("DequantizeLinear", ["q", "ys", "yz"], ["y"])
    path = made(tmp_path / "net.onnx", [first, *nodes, *([last] if to_float else [])],
                {"x": list(x.shape)}, tensors, opsets=[helper.make_opsetid(MICROSOFT, 1)])
    loaded = FORMAT.load(path, Card())
    found = loaded.module(x)
    assert np.array_equal(found.numpy(), as_written(path, x))
    assert len(found.unique()) > 8
    return loaded


KINDS = [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")]


def spread(*shape):
    """Numbers over the whole range of the bytes, and beyond."""
    return pictures(*shape) * 12 - 6


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("said", [{}, {"pads": [1, 2, 2, 1], "strides": [2, 1]}, {"group": 2},
                                  {"auto_pad": "SAME_UPPER"}, {"dilations": [1, 2]}])
def test_qlinear_conv(said, kinds, per_channel, tmp_path):
    tensors = tensors_of(kinds, [6, 4 // said.get("group", 1), 3, 3], 6 * per_channel)
    tensors["b"] = np.arange(-3, 3, dtype=np.int32) * 1000
    names = ["qx", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    loaded = same_numbers(tmp_path, [helper.make_node("QLinearConv", names, ["q"], "conv", **said)],
                          spread(2, 4, 9, 8), tensors)
    weight = dict(loaded.module.named_parameters())["conv.weight"].numpy()
    scales, zero = tensors["ws"].reshape(-1, 1, 1, 1), tensors["wz"].reshape(-1, 1, 1, 1)
    assert np.array_equal(weight, (tensors["w"].astype(np.float32) - zero) * scales)


@pytest.mark.parametrize("kinds", KINDS)
def test_sums_beyond_single_precision_are_exact(kinds, tmp_path):
    """Their last bits are lost in float32; the integers of numpy are the reference."""
    tensors = tensors_of(kinds, [3, 600, 3, 3], bits=8)
    tensors["w"][0] = np.iinfo(tensors["w"].dtype).max
    tensors["w"][1, ::2] = np.iinfo(tensors["w"].dtype).max
    nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["qx"]),
             helper.make_node("ConvInteger", ["qx", "w", "xz", "wz"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": [1, 600, 3, 3]}, tensors)
    x = spread(1, 600, 3, 3) + 6
    limits = np.iinfo(tensors["xz"].dtype)
    steps = np.rint(x.numpy() / STEP["x"]).clip(limits.min - 100, limits.max - 100).astype(np.int64)
    whole = tensors["w"].astype(np.int64) - tensors["wz"]
    expected = (steps * whole).sum((1, 2, 3)).reshape(1, 3, 1, 1)
    assert np.abs(expected).max() > 1 << 24
    assert np.array_equal(FORMAT.load(path, Card()).module(x).numpy().astype(np.int64), expected)


@pytest.mark.parametrize("kinds", KINDS)
def test_conv_integer(kinds, tmp_path):
    nodes = [helper.make_node("ConvInteger", ["qx", "w", "xz", "wz"], ["sums"], pads=[1, 0, 1, 0]),
             helper.make_node("Cast", ["sums"], ["y"], to=1)]
    same_numbers(tmp_path, nodes, spread(2, 4, 9, 8), tensors_of(kinds, [6, 4, 3, 3]), False)


@pytest.mark.parametrize("columns", [0, 5])
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("operator", ["QLinearMatMul", "MatMulInteger"])
def test_products_with_weights(operator, kinds, columns, tmp_path):
    tensors, x = tensors_of(kinds, [7, 5], columns), spread(2, 6, 7)
    if operator == "MatMulInteger":
        nodes = [helper.make_node(operator, ["qx", "w", "xz", "wz"], ["sums"]),
                 helper.make_node("Cast", ["sums"], ["y"], to=1)]
    else:
        names = ["qx", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
        nodes = [helper.make_node(operator, names, ["q"])]
    same_numbers(tmp_path, nodes, x, tensors, operator != "MatMulInteger")


@pytest.mark.parametrize("columns", [0, 5])
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("bias", [[], ["b"]])
@pytest.mark.parametrize("operator", ["MatMulIntegerToFloat", "DynamicQuantizeMatMul"])
def test_products_that_onnxruntime_scales_itself(operator, bias, kinds, columns, tmp_path):
    tensors = tensors_of(kinds, [7, 5], columns) | {"b": np.arange(5, dtype=np.float32) - 2}
    names = (["qx", "w", "xs", "ws", "xz", "wz"] if operator == "MatMulIntegerToFloat"
             else ["x", "w", "ws", "wz"])
    nodes = [helper.make_node(operator, [*names, *bias], ["y"], domain=MICROSOFT)]
    same_numbers(tmp_path, nodes, spread(2, 6, 7), tensors, False)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("axis", [None, 1])
def test_rounding_of_onnxruntimes_own_domain(kind, axis, tmp_path):
    count = 1 if axis is None else 7
    tensors = tensors_of((kind, kind), [1]) | {
        "s": np.linspace(0.02, 0.05, count, dtype=np.float32), "z": np.full(count, 9, WHOLE[kind])}
    if axis is None:
        tensors |= {name: tensors[name].reshape(()) for name in ("s", "z")}
    said = {"domain": MICROSOFT} | ({} if axis is None else {"axis": axis})
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **said),
             helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **said)]
    same_numbers(tmp_path, nodes, spread(2, 7, 6), tensors, False)


@pytest.mark.parametrize("kind", WHOLE)
def test_products_of_two_computed_values(kind, tmp_path):
    nodes = [helper.make_node("Transpose", ["qx"], ["turned"], perm=[0, 2, 1]),
             helper.make_node("QLinearMatMul", ["qx", "xs", "xz", "turned", "xs", "xz", "ys", "yz"],
                              ["q"])]
    tensors = tensors_of((kind, kind), [1]) | {"ys": np.float32(1.3)}
    same_numbers(tmp_path, nodes, spread(2, 6, 7) - 1, tensors)


@pytest.mark.parametrize("said", [{}, {"transB": 1}, {"transA": 1, "alpha": 0.7}])
@pytest.mark.parametrize("kinds", KINDS)
def test_qgemm(kinds, said, tmp_path):
    shape = [5, 6] if "transB" in said else [6, 5]
    tensors = tensors_of(kinds, shape, 5) | {"b": np.arange(5, dtype=np.int32) * 99}
    x = spread(6, 8) if "transA" in said else spread(8, 6)
    for ending in (["ys", "yz"], []):
        names = ["qx", "xs", "xz", "w", "ws", "wz", "b", *ending]
        nodes = [helper.make_node("QGemm", names, ["q" if ending else "y"], domain=MICROSOFT,
                                  **said)]
        same_numbers(tmp_path, nodes, x, tensors, bool(ending))


UNARY = ["qx", "xs", "xz", "ys", "yz"]
BINARY = ["qx", "xs", "xz", "w", "ws", "wz", "ys", "yz"]


@pytest.mark.parametrize(("operator", "names", "step", "said"), [
    ("QLinearAdd", BINARY, 0.05, {}), ("QLinearMul", BINARY, 0.05, {}),
    ("QLinearGlobalAveragePool", UNARY, 0.004, {}),
    ("QLinearAveragePool", UNARY, 0.031, {"kernel_shape": [2, 2]}),
    ("QLinearAveragePool", UNARY, 0.02, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1],
                                         "count_include_pad": 1}),
    ("QLinearSigmoid", UNARY, 1 / 256, {}), ("QLinearLeakyRelu", UNARY, 0.02, {"alpha": 0.1}),
    ("QLinearSoftmax", UNARY, 0.0031, {"axis": 3, "opset": 13}),
    ("QLinearSoftmax", UNARY, 1 / 256, {"axis": 1, "opset": 13}),
    ("QLinearConcat", ["ys", "yz", *BINARY[:6]], 0.05, {"axis": 1}),
    ("QLinearWhere", ["c", *BINARY], 0.05, {}),
])
@pytest.mark.parametrize("kind", WHOLE)
def test_operators_of_onnxruntime(kind, operator, names, step, said, tmp_path):
    tensors = tensors_of((kind, kind), [2, 32, 6, 6], bits=8)
    tensors |= {"ys": np.float32(step), "c": np.arange(6) % 2 == 0}
    nodes = [helper.make_node(operator, names, ["q"], domain=MICROSOFT, **said)]
    same_numbers(tmp_path, nodes, spread(2, 32, 6, 6), tensors)


@pytest.mark.parametrize("x", [spread(2, 3, 4), spread(2, 3, 4) + 7, spread(2, 3, 4) - 9])
def test_ranges_that_are_measured(x, tmp_path):
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
             helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3, 4]})
    module = FORMAT.load(path, Card()).module
    for one in (x, torch.zeros(2, 3, 4)):
        assert np.array_equal(module(one).numpy(), as_written(path, one))


@pytest.mark.parametrize(("operator", "names", "said"), [
    ("FusedConv", ["x", "w", "b"], {"activation": "LeakyRelu", "activation_params": [0.3]}),
    ("FusedConv", ["x", "w", "b", "other"], {"activation": "Relu"}),
    ("FusedMatMul", ["x", "m"], {"alpha": 0.5, "transB": 1}), ("Gelu", ["x"], {}),
    ("BiasGelu", ["x", "row"], {}), ("FastGelu", ["x", "row"], {}),
    ("QuickGelu", ["x"], {"alpha": 1.5}),
    ("FusedGemm", ["r", "k"], {"activation": "Relu", "alpha": 0.5, "transA": 1}),
    ("FusedGemm", ["r", "k", "row"], {"activation": "LeakyRelu", "activation_alpha": 0.3,
                                      "beta": 2.0}),
    ("SkipLayerNormalization", ["s", "skip", "row", "shift", "bias"], {"epsilon": 1e-5}),
    ("SkipLayerNormalization", ["s", "skip", "row"], {}),
])
def test_operators_that_onnxruntime_merged(operator, names, said, tmp_path):
    random = np.random.default_rng(0)
    tensors = {"w": random.normal(size=(3, 3, 1, 1)), "b": random.normal(size=3),
               "other": random.normal(size=(2, 3, 4, 5)), "m": random.normal(size=(6, 5)),
               "row": random.normal(size=5), "k": random.normal(size=(24, 5)),
               "shift": random.normal(size=5), "bias": random.normal(size=5),
               "skip": random.normal(size=(2, 12, 5))}
    nodes = [helper.make_node("Reshape", ["x", shape], [name]) for name, shape in
             (("r", "as r"), ("s", "as s")) if name in names]
    nodes.append(helper.make_node(operator, names, ["y"], domain=MICROSOFT, **said))
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3, 4, 5]},
                {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
                | {"as r": np.array([24, 5] if said.get("transA") else [5, 24]),
                   "as s": np.array([2, 12, 5])},
                opsets=[helper.make_opsetid(MICROSOFT, 1)])
    x = spread(2, 3, 4, 5) / 3
    np.testing.assert_allclose(FORMAT.load(path, Card()).module(x), as_written(path, x), atol=2e-5)


def net_of(name):
    """A network whose layers give numbers of ordinary size, and pictures for it."""
    torch.manual_seed(1)
    net = Small() if name == "small" else torchvision_net(name)
    side = 16 if name == "small" else 64
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # statistics become those of the next run
    with torch.no_grad():
        net.train()(pictures(8, 3, side, side))
    return net.eval(), side


class Calibration(Pictures):
    def __init__(self, name, side) -> None:
        self.left = [{name: pictures(4, 3, side, side).numpy()}]


def quantized(way, name, folder, dynamo):
    """The file as torch writes it, and quantized by one of onnxruntime's two calls."""
    net, side = net_of(name)
    whole = exported(net, folder / "whole.onnx", pictures(2, 3, side, side), dynamo)
    logging.disable(logging.WARNING)
    if way == "dynamic" and dynamo:  # it stumbles over the sizes in the file
        quantization.quant_pre_process(whole, folder / "prepared.onnx")
        quantization.quantize_dynamic(folder / "prepared.onnx", folder / "net.onnx")
    elif way == "dynamic":
        quantization.quantize_dynamic(whole, folder / "net.onnx")
    else:
        given = onnx.load(whole).graph.input[0].name
        quantization.quantize_static(
            whole, folder / "net.onnx", Calibration(given, side), per_channel=way == "channels",
            quant_format=quantization.QuantFormat.QOperator)
    logging.disable(logging.NOTSET)
    return whole, folder / "net.onnx", pictures(3, 3, side, side)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["static", "channels", "dynamic"])
@pytest.mark.parametrize(("name", "dynamo"), [
    ("small", False), ("resnet18", False), ("mobilenet_v2", False), ("vit", False), ("vit", True)])
def test_networks_on_whole_numbers_agree_with_onnxruntime(name, way, dynamo, tmp_path):
    if name != "small":
        pytest.importorskip("torchvision")
    _, path, x = quantized(way, name, tmp_path, dynamo)
    loaded = FORMAT.load(path, Card())
    expected = torch.from_numpy(as_written(path, x))
    assert expected.std() > 0.01
    found, expected = loaded.module(x).softmax(1), expected.softmax(1)
    assert (found - expected).abs().max() < 1e-4
    note = next(note for note in loaded.notes if note.startswith("Quantized"))
    assert ("measured on each batch" in note) == (way == "dynamic")


@pytest.mark.parametrize("way", ["static", "dynamic"])
@pytest.mark.parametrize("dynamo", [False, True])
def test_layers_work_and_gradients_are_those_of_the_whole_network(way, dynamo, tmp_path):
    whole, path, x = quantized(way, "small", tmp_path, dynamo)
    modules = [FORMAT.load(one, Card()).module for one in (path, whole)]
    weights = [dict(module.named_parameters()) for module in modules]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        expected = weights[1][name]
        weight = weight.T if weight.shape != expected.shape else weight
        assert (weight - expected).abs().max() < 0.02 * expected.abs().max()
    layers = [{name: layer.type_name for name, layer in module.named_modules()
               if name in ("first", "second", "last")} for module in modules]
    assert layers[0] == layers[1] == {"first": "Conv2d", "second": "Conv2d", "last": "Linear"}
    work = [cost(module, [(tuple(x.shape), torch.float32)]).multiply_adds for module in modules]
    assert work[0] == work[1]
    x.requires_grad_()
    gradients = [torch.autograd.grad(module(x)[:, 1].sum(), x)[0].reshape(-1) for module in modules]
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.9
    outputs = {}
    for module in modules:
        hooks = [module.get_submodule(name).register_forward_hook(
            lambda layer, given, output, name=name: outputs.setdefault(name, []).append(output))
            for name in ("first", "second", "last")]
        module(x.detach())
        for hook in hooks:
            hook.remove()
    for several in outputs.values():
        assert len(several) == 2
        low = several[1].relu() if way == "static" else several[1]  # where the two are one
        kept = several[0].relu() if way == "static" else several[0]
        assert (kept - low).abs().max() < 0.1 * low.abs().max()


def test_products_that_meet_are_all_kept(tmp_path):
    """Two of them are multiplied, so that the nodes after one are those after the other, too."""
    nodes = []
    for part in "ab":
        nodes += [helper.make_node("MatMulInteger", ["qx", "w", "xz", "wz"], [f"{part}1"]),
                  helper.make_node("Cast", [f"{part}1"], [f"{part}2"], to=1)]
    nodes += [helper.make_node("Mul", ["b2", "ws"], ["b3"]),
              helper.make_node("Mul", ["a2", "b3"], ["both"]),
              helper.make_node("Add", ["both", "row"], ["y"])]
    tensors = tensors_of(("uint8", "int8"), [7, 5]) | {"row": np.arange(5, dtype=np.float32)}
    same_numbers(tmp_path, nodes, spread(2, 7), tensors, False)
