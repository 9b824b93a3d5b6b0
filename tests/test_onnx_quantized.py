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
from core.model_formats.onnx import FORMAT
from tests.test_onnx import exported, made, pictures, refused

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
