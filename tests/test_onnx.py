"""ONNX files against onnxruntime and the networks they came from, and files that are refused."""

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from core.card import Card
from core.errors import UserError
from core.files.limits import UPLOADED, limited_to
from core.graph import onnx_file, onnx_lowering, onnx_sizes_tried
from core.layers import capture
from core.model_formats import safetensors
from core.model_formats.onnx import FORMAT

SHARED = Path(__file__).parents[2] / "shared"
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
torch.backends.mha.set_fastpath_enabled(False)


class Functional(nn.Module):
    """Batch norm, a functional ReLU, a layer that runs twice, x.shape[0], a layer of the root."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.act = nn.ReLU()
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(8, 5)
        self.scale = nn.Parameter(torch.rand(8))
        for tensor in self.stem[1].parameters():
            nn.init.uniform_(tensor, 0.5, 1.5)
        self.stem[1].running_mean.uniform_(-1, 1)

    def forward(self, x):
        x = functional.relu(self.stem(x))
        x = self.act(self.block(x)).mean((2, 3)) * self.scale
        x = self.act(x).view(x.shape[0], 2, 4).transpose(1, 2).reshape(x.shape[0], -1)
        return self.head(x)


class Ending(nn.Module):
    def __init__(self, end):
        super().__init__()
        self.fc, self.end = nn.Linear(12, 4), end

    def forward(self, x):
        return self.end(self.fc(x.flatten(1)))


def torchvision_net(name):
    models = pytest.importorskip("torchvision").models
    if name == "vit":
        net = models.VisionTransformer(64, 16, 2, 4, 32, 64, num_classes=10)
        nn.init.normal_(net.heads.head.weight)
        return net
    return models.get_model(name, weights=None, num_classes=10)


def exported(net, path, example, dynamo, opset=17, open_batch=True):
    """The file that torch writes for `net`."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = ({0: "batch"},) if open_batch else None
            torch.onnx.export(net.eval(), (example,), path, dynamo=True, verbose=False,
                              dynamic_shapes=shapes, external_data=False)
        else:
            axes = {"x": {0: "batch"}} if open_batch else None
            torch.onnx.export(net.eval(), (example,), path, dynamo=False, opset_version=opset,
                              input_names=["x"], dynamic_axes=axes)
    logging.disable(logging.NOTSET)
    return path


def made(path, nodes, inputs, weights=(), opset=17, outputs=("y",), functions=(), **model):
    """A file of these nodes. inputs: name -> sizes."""
    given = [helper.make_tensor_value_info(name, FLOAT, sizes) for name, sizes in inputs.items()]
    results = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(value), name)
               for name, value in dict(weights).items()]
    graph = helper.make_graph(nodes, "graph", given, results, tensors)
    opsets = [helper.make_opsetid("", opset), *model.pop("opsets", [])]
    built = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)
    for key, value in model.items():
        helper.set_model_props(built, {key: value})
    path.write_bytes(built.SerializeToString())
    return path


def oracle(path, *arrays):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))[0]


def pictures(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape) + shape[0]))


def agree(path, x, card=None):
    """Loads, compares with onnxruntime, gives what was loaded."""
    loaded = FORMAT.load(path, card or Card())
    found = loaded.module(x)
    expected = oracle(path, x.numpy())
    assert tuple(found.shape) == expected.shape
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-4)
    return loaded


FORMS = [("dynamo", True, 0, True), ("dynamo-fixed", True, 0, False),
         ("legacy-17", False, 17, True), ("legacy-11-fixed", False, 11, False),
         ("legacy-9", False, 9, True)]


@pytest.mark.parametrize("form", FORMS, ids=[form[0] for form in FORMS])
def test_a_small_network_is_the_same_in_every_form(form, tmp_path):
    _, dynamo, opset, open_batch = form
    torch.manual_seed(0)
    net = Functional()
    path = exported(net, tmp_path / "net.onnx", pictures(2, 3, 16, 16), dynamo, opset, open_batch)
    module = FORMAT.load(path, Card()).module
    x = pictures(5, 3, 16, 16).requires_grad_()
    assert torch.allclose(module(x), net(x), atol=1e-5)
    mine, theirs = (torch.autograd.grad(f(x)[:, 1].sum(), x)[0] for f in (module, net))
    assert (mine - theirs).norm() <= 1e-4 * theirs.norm()
    names = {"block.0", "block.1", "head", "act"}
    with torch.no_grad(), capture(module, names) as found, capture(net, names) as expected:
        module(x)
        net(x)
    for name in names:
        assert torch.allclose(found[name], expected[name], atol=1e-5), name
    state, own = module.state_dict(), net.state_dict()
    assert torch.equal(state["head.weight"], own["head.weight"])
    assert torch.equal(state["block.0.weight"], own["block.0.weight"])
    with pytest.raises(UserError, match="exported for inputs of N × 3 × 16 × 16"):
        module(pictures(2, 3, 20, 20))


@pytest.mark.parametrize(("sizes", "said"), [(["n", 3, "h", "w"], False), (["n", 3, 64, 64], True)])
def test_only_a_size_that_the_file_says_is_called_exported(sizes, said, tmp_path):
    """The matrix fixes the sides at 64, whether the input's sizes say so or not."""
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]),
             helper.make_node("MatMul", ["flat", "w"], ["y"])]
    weights = {"w": np.ones((3 * 64 * 64, 2), np.float32)}
    module = FORMAT.load(made(tmp_path / "net.onnx", nodes, {"x": sizes}, weights), Card()).module
    with pytest.raises(UserError, match="inputs of N × 3 × 64 × 64, not 2 × 3 × 20 × 20") as error:
        module(pictures(2, 3, 20, 20))
    assert ("was exported for" in str(error.value)) == said
    assert ("the file does not say its size" in str(error.value)) != said


@pytest.mark.parametrize("dynamo", [True, False])
def test_merged_batch_norms_are_said(dynamo, tmp_path):
    net = Functional().eval()
    path = exported(net, tmp_path / "net.onnx", pictures(2, 3, 16, 16), dynamo)
    loaded = FORMAT.load(path, Card())
    name = "stem.1" if dynamo else "stem.0"
    assert any("merged batch norms" in note and name in note for note in loaded.notes)
    x = pictures(3, 3, 16, 16)
    with torch.no_grad(), capture(loaded.module, [name]) as found:
        loaded.module(x)
    assert torch.allclose(found[name], net.stem(x), atol=1e-5)


@pytest.mark.parametrize(("name", "dynamo"), [
    ("resnet18", False), ("mobilenet_v3_small", False), ("squeezenet1_1", False), ("vit", False),
    ("shufflenet_v2_x0_5", False), ("resnet18", True), ("squeezenet1_1", True), ("vit", True)])
def test_torchvision_networks_agree_with_onnxruntime(name, dynamo, tmp_path):
    torch.manual_seed(0)
    net = torchvision_net(name)
    path = exported(net, tmp_path / "net.onnx", pictures(2, 3, 64, 64), dynamo)
    loaded = agree(path, pictures(3, 3, 64, 64))
    assert loaded.card.input.height == 64
    assert not any("fixes the batch" in note for note in loaded.notes)
    own = {key for key, _ in net.named_modules()}
    named = [key for key, _ in loaded.module.named_modules()]
    assert len([key for key in named if key in own]) >= 0.8 * len(named)


def test_a_fixed_batch_is_freed(tmp_path):
    path = exported(torchvision_net("shufflenet_v2_x0_5"), tmp_path / "net.onnx",
                    pictures(1, 3, 64, 64), False, open_batch=False)
    loaded = FORMAT.load(path, Card())
    x = pictures(3, 3, 64, 64)
    expected = np.concatenate([oracle(path, one[None].numpy()) for one in x])
    np.testing.assert_allclose(loaded.module(x).detach().numpy(), expected, atol=1e-4)
    assert any("fixes the batch at 1" in note for note in loaded.notes)


@pytest.mark.parametrize(("end", "meaning"), [
    (nn.Softmax(1), "probabilities"), (nn.LogSoftmax(1), "log_probabilities"),
    (nn.Sigmoid(), "sigmoid"), (nn.Identity(), "logits")])
def test_what_the_output_means_is_inferred(end, meaning, tmp_path):
    path = exported(Ending(end), tmp_path / "net.onnx", pictures(2, 3, 2, 2), False)
    card = FORMAT.load(path, Card()).card
    assert card.output == meaning
    assert (card.input.channels, card.input.height, card.input.width) == (3, 2, 2)
    assert {"output", "input.height"} <= card.inferred


@pytest.mark.parametrize("said", [json.dumps(["cat", "dog"]), json.dumps({"0": "cat", "1": "dog"}),
                                  "{0: 'cat', 1: 'dog'}", "cat,dog", "cat\ndog"])
def test_class_names_come_from_the_metadata(said, tmp_path):
    path = made(tmp_path / "net.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": [2, 2]},
                names=said)
    assert FORMAT.load(path, Card()).card.class_names == ("cat", "dog")


W = np.random.default_rng(0).standard_normal
I64 = np.int64
# What it is: operator, inputs after x, attributes, opset, sizes of x.
OPERATORS = {
    "conv same upper": ("Conv", [W((4, 3, 3, 3), "f")],
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, 7, (2, 3, 9, 8)),
    "conv same lower": ("Conv", [W((4, 3, 4, 4), "f")],
        {"auto_pad": "SAME_LOWER"}, 11, (2, 3, 9, 8)),
    "conv uneven pads": ("Conv", [W((4, 3, 3, 3), "f")], {"pads": [0, 1, 2, 3]}, 11, (2, 3, 9, 8)),
    "conv grouped 1d": ("Conv", [W((6, 1, 3), "f"), W(6, "f")],
        {"group": 3, "dilations": [2]}, 11, (2, 3, 9)),
    "transposed conv": ("ConvTranspose", [W((3, 4, 3, 3), "f")],
        {"strides": [2, 2], "pads": [0, 1, 1, 0], "output_padding": [1, 1]}, 11, (2, 3, 5, 6)),
    "max pool ceil": ("MaxPool", [],
        {"kernel_shape": [3, 3], "strides": [2, 2],
         "ceil_mode": 1, "pads": [1, 1, 1, 1]}, 10, (2, 3, 8, 9)),
    "max pool uneven": ("MaxPool", [],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}, 8, (2, 3, 8, 9)),
    "average pool": ("AveragePool", [],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, 7, (2, 3, 8, 9)),
    "average pool uneven": ("AveragePool", [],
        {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1]}, 7, (2, 3, 8, 9)),
    "average pool with pads": ("AveragePool", [],
        {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1], "count_include_pad": 1}, 11, (2, 3, 8, 9)),
    "old softmax flattens": ("Softmax", [], {"axis": 1}, 11, (2, 3, 4)),
    "new softmax": ("Softmax", [], {"axis": 1}, 13, (2, 3, 4)),
    "clip attributes": ("Clip", [], {"min": 0.2, "max": 0.6}, 6 + 1, (2, 5)),
    "clip inputs": ("Clip", [np.float32(0.2), np.float32(0.6)], {}, 11, (2, 5)),
    "old slice": ("Slice", [], {"starts": [1, -3], "ends": [9, -1], "axes": [0, 2]}, 9, (2, 3, 5)),
    "slice backwards": ("Slice",
        [np.array([3], I64), np.array([-9], I64), np.array([2], I64), np.array([-2], I64)],
        {}, 13, (2, 3, 5)),
    "old pad": ("Pad", [], {"pads": [0, 1, 0, 2], "value": 3.0}, 7, (2, 5)),
    "pad reflect": ("Pad", [np.array([0, 0, 1, 2, 0, 0, 2, 1], I64)],
        {"mode": "reflect"}, 11, (2, 3, 5, 6)),
    "pad edge": ("Pad", [np.array([0, 0, 1, 2, 0, 0, 2, 1], I64)],
        {"mode": "edge"}, 13, (2, 3, 5, 6)),
    "upsample 9": ("Upsample", [np.array([1, 1, 2, 3], "f")], {"mode": "nearest"}, 9, (2, 3, 4, 5)),
    "resize 10": ("Resize", [np.array([1, 1, 1.5, 0.6], "f")],
        {"mode": "nearest"}, 10, (2, 3, 4, 5)),
    "resize linear": ("Resize", [None, np.array([1, 1, 2, 1.5], "f")],
        {"mode": "linear"}, 13, (2, 3, 4, 6)),
    "resize asymmetric": ("Resize", [None, np.array([1, 1, 2, 1.5], "f")],
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, 13, (2, 3, 4, 6)),
    "resize corners": ("Resize", [None, None, np.array([2, 3, 7, 9], I64)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, 13, (2, 3, 4, 6)),
    "resize cubic": ("Resize", [None, None, np.array([2, 3, 7, 9], I64)],
        {"mode": "cubic"}, 13, (2, 3, 4, 6)),
    "resize nearest": ("Resize", [None, None, np.array([2, 3, 7, 9], I64)],
        {"mode": "nearest"}, 13, (2, 3, 4, 6)),
    "resize ceil": ("Resize", [None, None, np.array([2, 3, 7, 9], I64)],
        {"mode": "nearest", "nearest_mode": "ceil",
         "coordinate_transformation_mode": "asymmetric"}, 13, (2, 3, 4, 6)),
    "lrn": ("LRN", [], {"size": 3, "alpha": 0.1, "beta": 0.5, "bias": 2.0}, 7, (2, 6, 4, 4)),
    "gemm": ("Gemm", [W((5, 4), "f"), W((1, 4), "f")], {"alpha": 0.5, "beta": 2.0}, 7, (2, 5)),
    "gemm turned": ("Gemm", [W((4, 5), "f"), W(4, "f")], {"transB": 1}, 13, (2, 5)),
    "old reduce": ("ReduceMean", [], {"axes": [1, -1], "keepdims": 0}, 11, (2, 3, 4)),
    "new reduce": ("ReduceMax", [np.array([1], I64)], {"keepdims": 1}, 18, (2, 3, 4)),
    "reduce l2": ("ReduceL2", [], {"axes": [1]}, 11, (2, 3, 4)),
    "instance norm": ("InstanceNormalization", [W(3, "f"), W(3, "f")],
        {"epsilon": 1e-3}, 7, (2, 3, 4, 4)),
    "layer norm": ("LayerNormalization", [W(4, "f"), W(4, "f")], {}, 17, (2, 3, 4)),
    "batch norm": ("BatchNormalization", [W(3, "f"), W(3, "f"), W(3, "f"), np.ones(3, "f")],
        {}, 9, (2, 3, 4, 4)),
    "lp norm": ("LpNormalization", [], {"axis": 1, "p": 2}, 7, (2, 3, 4)),
    "gather": ("Gather", [np.array([[0, -1], [1, 1]], I64)], {"axis": 1}, 11, (2, 3, 4)),
    "gather nd": ("GatherND", [np.array([[0, 1], [1, -1]], I64)], {}, 13, (2, 3, 4)),
    "depth dcr": ("DepthToSpace", [], {"blocksize": 2}, 11, (2, 8, 3, 4)),
    "depth crd": ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}, 11, (2, 8, 3, 4)),
    "space": ("SpaceToDepth", [], {"blocksize": 2}, 7, (2, 3, 4, 6)),
    "flatten 0": ("Flatten", [], {"axis": 0}, 9, (2, 3, 4)),
    "reshape zero": ("Reshape", [np.array([0, -1], I64)], {}, 7, (2, 3, 4)),
    "transpose": ("Transpose", [], {}, 7, (2, 3, 4)),
    "expand": ("Expand", [np.array([3, 1, 1], I64)], {}, 8, (2, 4)),
    "tile": ("Tile", [np.array([1, 2], I64)], {}, 7, (2, 4)),
    "cumsum": ("CumSum", [np.array(1, I64)], {"exclusive": 1, "reverse": 1}, 11, (2, 4)),
    "prelu": ("PRelu", [W((3, 1, 1), "f")], {}, 9, (2, 3, 4, 4)),
    "selu": ("Selu", [], {}, 7, (2, 4)), "elu": ("Elu", [], {"alpha": 0.5}, 7, (2, 4)),
    "celu": ("Celu", [], {"alpha": 0.5}, 12, (2, 4)),
    "hard sigmoid": ("HardSigmoid", [], {}, 7, (2, 4)), "softsign": ("Softsign", [], {}, 7, (2, 4)),
    "thresholded": ("ThresholdedRelu", [], {"alpha": 0.3}, 10, (2, 4)),
    "gelu": ("Gelu", [], {"approximate": "tanh"}, 20, (2, 4)),
    "hard swish": ("HardSwish", [], {}, 14, (2, 4)), "mish": ("Mish", [], {}, 18, (2, 4)),
    "max": ("Max", [W((2, 4), "f"), W((1, 4), "f")], {}, 8, (2, 4)),
    "mean": ("Mean", [W((2, 4), "f"), W((1, 4), "f")], {}, 8, (2, 4)),
    "pow": ("Pow", [np.array(3, I64)], {}, 13, (2, 4)),
    "div scalar": ("Div", [np.array([2.5], "f")], {}, 13, (2, 4)),
    "einsum": ("Einsum", [W((4, 5), "f")], {"equation": "bij,jk->bik"}, 12, (2, 3, 4)),
    "group norm": ("GroupNormalization", [W(2, "f"), W(2, "f")],
        {"num_groups": 2}, 18, (2, 4, 3, 3)),
    "trilu": ("Trilu", [np.array(1, I64)], {"upper": 0}, 14, (2, 4, 4)),
    "grid": ("GridSample", [W((2, 5, 6, 2), "f") * 0.7], {"align_corners": 1}, 16, (2, 3, 4, 4)),
    "grid nearest": ("GridSample", [W((2, 5, 6, 2), "f")],
        {"mode": "nearest", "padding_mode": "border"}, 16, (2, 3, 4, 4)),
    "grid cubic": ("GridSample", [W((2, 5, 6, 2), "f")],
        {"mode": "cubic", "padding_mode": "reflection"}, 20, (2, 3, 4, 4)),
    "one less": ("Sub", [np.array(1, "f")], {}, 7, (2, 4)),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("open_batch", [False, True])
def test_operators_agree_with_onnxruntime(name, open_batch, tmp_path):
    operator, others, attributes, opset, shape = OPERATORS[name]
    names = [f"w{n}" if other is not None else "" for n, other in enumerate(others)]
    weights = {n: w for n, w in zip(names, others, strict=True) if w is not None}
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    sizes = ["batch", *shape[1:]] if open_batch else list(shape)
    path = made(tmp_path / "net.onnx", [node], {"x": sizes}, weights, opset)
    loaded = FORMAT.load(path, Card())
    x = pictures(*shape) - 0.5
    found = loaded.module(x).detach().numpy()
    np.testing.assert_allclose(found, oracle(path, x.numpy()), rtol=1e-4, atol=1e-5)


def test_sizes_are_computed_where_height_and_width_are_open(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["c"], name="/conv/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Shape", ["c"], ["s"]), helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Gather", ["s", "one"], ["k"]),
        helper.make_node("Unsqueeze", ["k", "axes"], ["k1"]),
        helper.make_node("Concat", ["n1", "k1", "minus"], ["to"], axis=0),
        helper.make_node("Reshape", ["c", "to"], ["flat"], name="/Reshape"),
        helper.make_node("ReduceMean", ["flat"], ["y"], "/pool/ReduceMean", axes=[2], keepdims=0),
    ]
    weights = {"conv.weight": W((4, 3, 3, 3), "f"), "zero": np.array(0), "one": np.array(1),
               "axes": np.array([0]), "minus": np.array([-1])}
    path = made(tmp_path / "net.onnx", nodes, {"x": ["n", 3, "h", "w"]}, weights, 13)
    for shape in ((1, 3, 20, 31), (4, 3, 50, 16)):
        loaded = agree(path, pictures(*shape))
    assert loaded.card.input.height is None
    assert loaded.card.input.channels == 3


def test_an_open_size_that_the_operators_fix_is_read_as_the_card_says(tmp_path):
    nodes = [helper.make_node("Flatten", ["x"], ["f"]),
             helper.make_node("Gemm", ["f", "fc.weight"], ["y"], transB=1)]
    path = made(tmp_path / "net.onnx", nodes, {"x": ["n", "c", "h", "w"]},
                {"fc.weight": W((4, 1 * 28 * 28), "f")}, 13)
    loaded = agree(path, pictures(3, 1, 28, 28))
    assert (loaded.card.input.channels, loaded.card.input.height) == (1, 28)
    assert any("leaves the input's size open" in note for note in loaded.notes)


def test_an_input_of_bytes_says_its_range(tmp_path):
    nodes = [helper.make_node("Cast", ["x"], ["a"], to=FLOAT),
             helper.make_node("Div", ["a", "most"], ["b"]), helper.make_node("Flatten", ["b"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3, 4, 4]}, {"most": np.float32(255)})
    assert FORMAT.load(path, Card()).card.input.range is None
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, path)
    loaded, x = FORMAT.load(path, Card()), pictures(2, 3, 4, 4).mul(255).floor()
    assert loaded.card.input.range == (0, 255)
    assert np.abs(loaded.module(x).numpy() - oracle(path, x.numpy().astype(np.uint8))).max() < 1e-6


def test_an_input_of_bytes_is_given_bytes(tmp_path):
    nodes = [helper.make_node("Add", ["x", "more"], ["a"]),  # which does not fit in bytes
             helper.make_node("Cast", ["a"], ["b"], to=FLOAT),
             helper.make_node("Flatten", ["b"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3, 4, 4]}, {"more": np.uint8(200)}, 14)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, path)
    loaded, x = FORMAT.load(path, Card()), pictures(2, 3, 4, 4).mul(255).floor()
    assert (loaded.module(x).numpy() == oracle(path, x.numpy().astype(np.uint8))).all()


def test_nodes_in_any_order_are_read(tmp_path):
    nodes = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Flatten", ["b"], ["y"]),
             helper.make_node("Neg", ["x"], ["a"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3, 4, 4]})
    x = pictures(2, 3, 4, 4) - 0.5
    assert torch.equal(FORMAT.load(path, Card()).module(x), (-x).relu().flatten(1))
    agree(path, x)


def test_channels_last_are_given_first(tmp_path):
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2], name="model/t"),
             helper.make_node("Conv", ["t", "w"], ["y"], name="model/conv2d/Conv2D")]
    path = made(tmp_path / "net.onnx", nodes, {"x": ["n", 9, 8, 3]},
                {"w": W((4, 3, 3, 3), "f")}, 13)
    loaded = FORMAT.load(path, Card())
    x = pictures(2, 3, 9, 8)
    expected = oracle(path, x.permute(0, 2, 3, 1).contiguous().numpy())
    np.testing.assert_allclose(loaded.module(x).detach().numpy(), expected, atol=1e-5)
    assert (loaded.card.input.height, loaded.card.input.width) == (9, 8)
    assert any("channels last" in note for note in loaded.notes)


def test_functions_are_unfolded(tmp_path):
    body = [helper.make_node("LeakyRelu", ["a"], ["l"]), helper.make_node("Add", ["l", "b"], ["c"])]
    body[0].attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope",
                                                 type=onnx.AttributeProto.FLOAT))
    function = helper.make_function("mine", "leaky", ["a", "b"], ["c"], body,
                                    [helper.make_opsetid("", 17)], ["slope"])
    node = helper.make_node("leaky", ["x", "x"], ["y"], name="/act/leaky", domain="mine", slope=0.3)
    path = made(tmp_path / "net.onnx", [node], {"x": [2, 3]}, functions=[function],
                opsets=[helper.make_opsetid("mine", 1)])
    assert "act" in dict(agree(path, pictures(2, 3) - 0.5).module.named_modules())


def test_functions_that_unfold_without_end_are_refused(tmp_path):
    functions = [helper.make_function("mine", f"f{n}", ["a"], ["b"], [
        helper.make_node(f"f{n + 1}", ["a"], ["c"], domain="mine"),
        helper.make_node(f"f{n + 1}", ["c"], ["b"], domain="mine")],
        [helper.make_opsetid("mine", 1)])
        for n in range(30)]
    path = made(tmp_path / "net.onnx", [helper.make_node("f0", ["x"], ["y"], domain="mine")],
                {"x": [2, 3]}, functions=functions, opsets=[helper.make_opsetid("mine", 1)])
    with pytest.raises(UserError, match="unfold to more than"):
        FORMAT.load(path, Card())


def with_external(tmp_path, **entries):
    """A file whose weight lies in weights.bin, with these entries."""
    path = made(tmp_path / "net.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], {"x": [2, 3]})
    model = onnx.load(path)
    tensor = TensorProto(name="w", dims=[3], data_type=FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_in_a_file_beside_it_are_read(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8 + np.array([1, 2, 3], "f").tobytes())
    path = with_external(tmp_path, location="weights.bin", offset="8", length="12")
    found = FORMAT.load(path, Card()).module(torch.zeros(2, 3))
    assert found.tolist() == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(("entries", "reason"), [
    ({"location": "weights.bin", "offset": "12"}, "does not match"),
    ({"location": "weights.bin", "length": "8"}, "does not match"),
    ({"location": "weights.bin", "offset": "-4"}, "offset or length"),
    ({"location": "../weights.bin"}, "outside"), ({"location": "C:weights.bin"}, "outside"),
    ({"location": "a\\weights.bin"}, "outside"), ({"location": ".."}, "outside"), ({}, "outside"),
    ({"location": "other.bin"}, "'other.bin', which is missing"),
    ({"location": "link.bin"}, "missing"), ({"location": "weights.bin", "x": "y"}, "unknown key")])
def test_other_external_data_is_refused(entries, reason, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"\0" * 20)
    (tmp_path / "link.bin").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match=reason) as error:
        FORMAT.load(with_external(tmp_path, **entries), Card())
    assert str(error.value).startswith("net.onnx: ")


def refused(path, reason):
    with pytest.raises(UserError, match=reason) as error:
        FORMAT.load(path, Card())
    assert str(error.value).startswith("net.onnx")
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(("node", "reason", "opset"), [
    (helper.make_node("Relu", ["x"], ["y"], domain="com.acme"),
     "operator 'Relu' of the domain 'com.acme' is unknown", 17),
    (helper.make_node("Conv", ["x"], ["y"], domain="com.microsoft.nchwc"),
     "rearranged by onnxruntime.*ORT_ENABLE_EXTENDED", 17),
    (helper.make_node("NonZero", ["x"], ["y"], name="nz"), "'nz'.*'NonZero' is unknown", 17),
    (helper.make_node("LSTM", ["x"], ["y"]), "'LSTM' is unknown here.*torch.export", 17),
    (helper.make_node("QAttention", ["x"], ["y"], name="q", domain="com.microsoft"),
     "'q'.*quantized network", 17),
    (helper.make_node("DynamicQuantizeLSTM", ["x"], ["y"], domain="com.microsoft"),
     "before it was quantized", 17),
    (helper.make_node("QLinearAdd", ["x"], ["y"]), "QLinearAdd.*quantized network", 17),
    (helper.make_node("QLinearConv", ["x"], ["y"]), "could not be read", 17),
    (helper.make_node("DequantizeLinear", ["x"], ["y"]), "could not be read", 17),
    (helper.make_node("Relu", ["x"], ["y"], inplace=1), "attribute 'inplace' is unknown", 17),
    (helper.make_node("Loop", ["x"], ["y"]), "loop or branch", 17),
    (helper.make_node("Relu", ["z"], ["y"]), "reads 'z', which nothing", 17),
    (helper.make_node("Relu", ["x"], ["z"]), "no node makes the output 'y'", 17),
    (helper.make_node("Relu", ["x"], ["y"]), "opset 6 .* older than 7", 6),
    (helper.make_node("Concat", ["x"], ["y"]), "could not be read", 17),
    (helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[0, 0]), "could not|not supported", 17),
    (helper.make_node("Expand", ["x", "huge"], ["y"]), "too large", 17),
    (helper.make_node("ConstantOfShape", ["huge"], ["y"]), "too large", 17),
    (helper.make_node("Tile", ["x", "huge"], ["y"]), "too large|could not", 17),
])
def test_what_cannot_be_run_is_refused_by_name(node, reason, opset, tmp_path):
    huge = {"huge": np.array([1 << 20, 1 << 20, 1 << 20], I64)}
    sizes = [1, 1, 1] if "huge" in node.input else [2, 3]
    refused(made(tmp_path / "net.onnx", [node], {"x": sizes}, huge, opset), reason)


@pytest.mark.parametrize(("nodes", "reason"), [
    ([helper.make_node("Constant", [], ["n0"], value_int=1 << 40),
      *[helper.make_node("Mul", [f"n{n}", f"n{n}"], [f"n{n + 1}"]) for n in range(30)],
      helper.make_node("Add", ["x", "n30"], ["y"])], "64 bits"),
    ([helper.make_node("Split", ["x"], ["y"], num_outputs=1 << 40)], "parts, the limit"),
    ([helper.make_node("Constant", [], ["same"], value_floats=[0.0] * 100)] * 4000
     + [helper.make_node("Relu", ["x"], ["y"])], None),
], ids=["number", "list", "names"])
def test_small_files_cannot_cost_much(nodes, reason, tmp_path):
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3]}, opset=18)
    if reason:
        refused(path, reason)
    else:
        assert FORMAT.load(path, Card()).module(torch.ones(2, 3)).sum() == 6


def test_a_bomb_of_doublings_is_refused(tmp_path):
    nodes = [helper.make_node("Concat", [f"v{n}", f"v{n}"], [f"v{n + 1}"], axis=1)
             for n in range(40)]
    nodes.append(helper.make_node("Relu", ["v40"], ["y"]))
    refused(made(tmp_path / "net.onnx", nodes, {"v0": [1, 8]}), "too large|limit")


def with_bytes(path, part, repeats=1, nodes=None, **options):
    """A file whose graph ends in `part`, `repeats` times, that no library would write."""
    made(path, nodes or [helper.make_node("Relu", ["x"], ["y"])], {"x": [2, 3]}, **options)
    model = onnx.load(path)
    graph = model.graph.SerializeToString() + part * repeats
    model.ClearField("graph")
    path.write_bytes(model.SerializeToString() + field(7, graph))
    return path


def varint(number):
    low, number = number & 127, number >> 7
    return bytes([low | 128]) + varint(number) if number else bytes([low])


def field(number, content):
    """A field of bytes, or of a whole number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def constant(kind, code, place, content):
    attribute = field(1, kind) + field(20, code) + field(place, content)
    return field(1, field(2, b"c") + field(4, b"Constant") + field(5, attribute))


def weight(dims, code, *fields):
    return field(5, field(8, b"w") + field(1, dims) + field(2, code) + b"".join(fields))


def metadata(key, text):
    return field(9, field(1, key) + field(2, text))


@pytest.mark.parametrize(("part", "repeats", "reason"), [
    (field(99, b""), 1_000_001, "more than 1,000,000 fields"),
    (field(1, b""), 20_001, "more than 20,000 nodes"),
    (field(12, field(1, b"y")), 1_001, "1,002 outputs, the limit"),
    (field(11, field(1, b"x")), 1_001, "1,002 inputs, the limit"),
    (field(11, field(1, b"x")), 1, "input 'x' 2 times .*duplicate"),
    (constant(b"value_ints", 7, 8, b"\1" * 1_000_001), 1, "'value_ints': .*more than 1,000,000"),
    (constant(b"value_ints", 7, 8, b"\1" * 600_000), 2, "'value_ints': .*more than 400,000"),
    (constant(b"value_floats", 6, 7, b"\1" * 4_000_004), 1, "'value_floats': .*too large"),
    (field(1, field(3, b"a" * 17_000_000)), 1, "names and texts are too large"),
    (weight(b"\1" * 33, 1, field(9, b"\0" * 4)), 1, "33 dimensions, the limit is 32"),
    (weight(varint((1 << 63) - 1) * 500, 1), 1, "too large"),
    (weight(varint(1 << 40), 1, field(9, b"\0" * 4)), 1, "too large"),
    (weight(varint(40_000_000), 7, field(7, b"\1" * 40_000_000)), 1, "one by one would take"),
    (weight(b"\3", 7, field(7, b"\1" * 4)), 1, "more than 3 numbers"),
    (weight(b"\3", 1, field(4, b"\0" * 12), field(9, b"\0" * 12)), 1, "in the file twice"),
    (weight(b"\3", 1, field(9, b"\0" * 12)), 2, "the tensor 'w' 2 times .*duplicate"),
    (field(15, b""), 1, "sparse"), (field(1, 5), 1, "another kind"), (field(5, 7), 1, "another"),
    (field(11, field(1, b"z") + field(2, field(1, field(2, field(1, b"") * 33)))), 1,
     "33 dimensions of the input 'z'"),
    (field(11, field(1, b"z") + field(2, field(1, field(2, field(1, field(1, 1 << 62)))))), 1,
     "input 'z' has .*too large"),
    (constant(b"value_float", 1, 2, 7), 1, "another kind"),
    (constant(b"value_float", 1, 2, b"ab"), 1, "four bytes"),
    (constant(b"value_int", 2, 3, b"ab"), 1, "another kind"),
    (constant(b"sparse_value", 11, 22, b""), 1, "'sparse_value' is of a kind"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_fields_that_cost_much_or_lie_are_refused(part, repeats, reason, tmp_path):
    refused(with_bytes(tmp_path / "net.onnx", part, repeats), reason)


def test_a_second_graph_is_refused(tmp_path):
    path = made(tmp_path / "net.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": [2, 3]})
    path.write_bytes(path.read_bytes() + field(7, onnx.load(path).graph.SerializeToString()))
    refused(path, "several graphs")


def chain(operator, count, first, *others, **attributes):
    """Nodes v0, v1 …, each of the one before."""
    return [helper.make_node(operator, [first if n == 0 else f"v{n - 1}", *others], [f"v{n}"],
                             **attributes) for n in range(count)]


def each(operator, count, *inputs, **attributes):
    return [helper.make_node(operator, inputs, [f"v{n}"], **attributes) for n in range(count)]


MANY, ONES = np.arange(4096) + (1 << 40), np.ones(4096, I64)
NUMBERS = "more than 1,000,000 numbers"


@pytest.mark.parametrize(("nodes", "weights", "reason"), [
    (chain("Add", 300, "w", "o"), {"w": MANY, "o": np.array(1)}, NUMBERS),
    (each("Concat", 300, *["w"] * 300, axis=0), {"w": MANY}, NUMBERS),
    (each("Concat", 2, *["w"] * 60_000, axis=0), {"w": MANY}, "read more than 100,000 values"),
    (each("Gather", 300, "w", "i", axis=0), {"w": MANY[None], "i": ONES * 0}, NUMBERS),
    (each("Split", 300, "w", "o", axis=0), {"w": MANY, "o": ONES}, "more than 50,000 tensors"),
    (each("Expand", 300, "o", "s"), {"o": np.array([1 << 50]), "s": np.array([4096])}, NUMBERS),
    (each("Range", 300, "z", "s", "o"),
     {"z": np.array(0), "s": np.array(4096), "o": np.array(1)}, NUMBERS),
    (each("ReduceProd", 1, "w"), {"w": np.array([1 << 62] * 4000 + [0])}, "64 bits"),
    (each("Pow", 1, "o", "p"), {"o": np.array([1 << 30]), "p": np.array(32)}, "64 bits"),
    (chain("Tile", 40, "w", "t"), {"w": np.arange(8), "t": np.array([16])}, "could not"),
    (each("Split", 20, "long", axis=1, num_outputs=4096), {"long": np.ones((2, 4096), "f")},
     "more than 50,000 tensors"),
    (each("Slice", 40, "long", "a", "b", "c", "a"), {"long": np.ones((1, 65536), "f"),
     "a": np.array([-1]), "b": np.array([-1 << 60]), "c": np.array([1])}, NUMBERS),
    (each("ConstantOfShape", 3, "s"), {"s": np.array([100_000_000])}, "300,000,000 elements"),
    (each("Reshape", 1, "x", "s"), {"s": np.array([2, 3] + [1] * 31)}, "33 dimensions"),
    ([helper.make_node("Relu", ["v1"], ["v0"]), helper.make_node("Relu", ["v0"], ["v1"])], {},
     "reads 'v1', which nothing before"),
], ids=lambda value: value[0].op_type if isinstance(value, list) else "")
def test_lists_and_numbers_that_grow_are_refused(nodes, weights, reason, tmp_path):
    nodes = [*nodes, helper.make_node("Relu", ["x"], ["y"])]
    refused(made(tmp_path / "net.onnx", nodes, {"x": [2, 3]}, weights, 18), reason)


def test_sizes_that_are_left_open_cannot_grow_either(tmp_path):
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Gather", ["s", "z"], ["n"]),
             *chain("Mul", 8, "w", "n"), helper.make_node("Relu", ["x"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": ["n", 3]}, {"z": np.array(0),
                                                               "w": np.arange(2, 3002)})
    module = agree(path, pictures(2, 3)).module
    assert len(module.programs[0].program.steps) == 1  # a batch of 2 leaves nothing to compute


def test_sizes_are_not_tried_without_end(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(onnx_sizes_tried, "lowered",
                        lambda *given: tried.append(given) or onnx_lowering.lowered(*given))
    nodes = [*chain("Relu", 1500, "x"), helper.make_node("Flatten", ["v1499"], ["f"]),
             helper.make_node("Gemm", ["f", "w"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": ["n", "c", "h", "w"]}, {"w": W((7, 5), "f")})
    refused(path, "Gemm")
    assert 1 < len(tried) < 10


@pytest.mark.parametrize(("names", "reason"), [
    ([f"/{'/'.join(['a'] * 63)}/b{n}/R" for n in range(2500)], "too many layers inside layers"),
    ([f"/{'/'.join(f'a{n}x{depth}' for depth in range(30))}/R" for n in range(400)],
     "more than 10,000 layers"),
])
def test_too_many_layers_are_refused(names, reason, tmp_path):
    nodes = [helper.make_node("Relu", ["x"], [f"v{n}"], name) for n, name in enumerate(names)]
    nodes.append(helper.make_node("Relu", ["v0"], ["y"]))
    refused(made(tmp_path / "net.onnx", nodes, {"x": [2, 3]}), reason)


@pytest.mark.parametrize("name", [".".join("a" * 20_000), "a" * 100_000, "_1" * 20_000])
def test_long_names_of_tensors_are_replaced(name, tmp_path):
    path = made(tmp_path / "net.onnx", [helper.make_node("Add", ["x", name], ["y"])], {"x": [2, 3]},
                {name: np.ones(3, "f")})
    module = agree(path, pictures(2, 3)).module
    assert max(map(len, module.state_dict())) < 100


def test_tensors_named_alike_are_all_kept(tmp_path):
    names = [f"val_{n}" for n in range(1500)]
    nodes = [helper.make_node("Add", ["x" if n == 0 else f"v{n - 1}", name], [f"v{n}"],
                              f"/a/m{n}") for n, name in enumerate(names)]
    nodes[-1].output[0] = "y"
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3]},
                {name: np.full(3, n / 1000, "f") for n, name in enumerate(names)})
    assert len(agree(path, pictures(2, 3)).module.state_dict()) == len(names)


@pytest.mark.parametrize("name", ["n0~", "value", "value~1"])
def test_tensors_named_like_ours_are_told_apart(name, tmp_path):
    nodes = [helper.make_node("Shape", ["x"], ["s"]),
             helper.make_node("Slice", ["s", "zero", "one"], ["b"]),
             helper.make_node("Concat", ["b", "minus"], ["to"], axis=0),
             helper.make_node("Add", ["x", name], ["sum"]),
             helper.make_node("Reshape", ["sum", "to"], ["y"])]
    weights = {"zero": np.array([0]), "one": np.array([1]), "minus": np.array([-1]),
               name: W(3, "f")}
    agree(made(tmp_path / "net.onnx", nodes, {"x": ["n", 3]}, weights), pictures(4, 3))


def calls_of(function, count):
    return [helper.make_node(function, ["x" if n == 0 else f"v{n - 1}"], [f"v{n}"], domain="mine")
            for n in range(count)]


def body_of(name, *nodes, inputs=("a",)):
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    return helper.make_function("mine", name, inputs, ["b"], nodes, opsets)


@pytest.mark.parametrize(("function", "reason"), [
    (body_of("f", helper.make_node("f", ["a"], ["b"], domain="mine")), "unfold|call themselves"),
    (body_of("f", helper.make_node("Relu", ["a"], ["q" * 1_000_000]),
             helper.make_node("Relu", ["q" * 1_000_000], ["b"])), "unfold to more than"),
    (body_of("f", helper.make_node("Relu", ["a"], ["b"], **{f"a{n}": n for n in range(2000)})),
     "unfold to more than"),
    (body_of("f", helper.make_node("Relu", ["a"], ["b"]),
             inputs=["a", *(f"i{n}" for n in range(60_000))]), "unfold to more than"),
    (body_of("f", helper.make_node("Concat", ["a"] * 1000, ["b"], axis=0)),
     "read more than 100,000 values"),
    (body_of("f", *[helper.make_node("Relu", ["a"], ["b"])] * 80), "unfold to more than"),
], ids=["cycle", "names", "attributes", "inputs", "reads", "nodes"])
def test_functions_that_unfold_to_much_are_refused(function, reason, tmp_path):
    nodes = [*calls_of("f", 300), helper.make_node("Relu", ["v299"], ["y"])]
    refused(made(tmp_path / "net.onnx", nodes, {"x": [2, 3]}, functions=[function],
                 opsets=[helper.make_opsetid("mine", 1)]), reason)


def test_branches_inside_branches_are_refused_unread(tmp_path):
    graph = helper.make_graph([], "g", [], [])
    for _ in range(10):
        branch = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([branch], "g", [], [])
    path = made(tmp_path / "net.onnx", [helper.make_node("Loop", ["x"], ["y"], body=graph)],
                {"x": [2, 3]})
    refused(path, "loop or branch")


def with_places(path, code, places, count=1000):
    """A file whose tensors lie at these offsets of weights.bin, each `count` elements."""
    made(path, [helper.make_node("Relu", ["x"], ["y"])], {"x": [2, 3]})
    model = onnx.load(path)
    for n, (name, offset) in enumerate(places):
        tensor = model.graph.initializer.add(name=f"w{n}", dims=[count], data_type=code,
                                             data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=name)
        tensor.external_data.add(key="offset", value=str(offset))
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_that_overlaps_or_is_spread_out_is_refused(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(8000))
    overlapping = [("weights.bin", 0), ("weights.bin", 4)]
    refused(with_places(tmp_path / "net.onnx", FLOAT, overlapping), "overlaps")
    spread = [(f"w{n}.bin", 0) for n in range(257)]
    for name, _ in spread:
        (tmp_path / name).write_bytes(bytes(4))
    refused(with_places(tmp_path / "net.onnx", FLOAT, spread, 1), "more than 256 separate files")
    refused(with_places(tmp_path / "net.onnx", FLOAT, [("a" * 300, 0)]), "missing")
    with (tmp_path / "sparse.bin").open("wb") as file:
        file.truncate(UPLOADED.unpacked_bytes + 1)  # a hole, which takes no room on disk
    path = with_places(tmp_path / "net.onnx", FLOAT, [("sparse.bin", 0)])
    with limited_to(UPLOADED):
        refused(path, "'sparse.bin' is too large")


def test_external_data_that_is_the_same_is_read_once(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(2001))
    path = with_places(tmp_path / "net.onnx", TensorProto.FLOAT16, [("weights.bin", 1)] * 50)
    tensors = onnx_file.read_model(path).weights.values()
    assert len(tensors) == 50
    assert len({tensor.data_ptr() for tensor in tensors}) == 1


def test_text_that_is_not_needed_is_not_read(tmp_path):
    path = with_bytes(tmp_path / "net.onnx", field(1, field(1, b"x") + field(2, b"z") + field(
        4, b"Relu") + metadata(b"stack", b"a" * 17_000_000)))
    assert FORMAT.load(path, Card()).module(torch.ones(2, 3)).sum() == 6


@pytest.mark.parametrize("names", ["[" * 1_000_000, f"[{'9' * 1_000_000}]", "[[]]", "{}"])
def test_class_names_that_are_none_are_left_out(names, tmp_path):
    path = made(tmp_path / "net.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": [2, 3]},
                names=names)
    assert FORMAT.load(path, Card()).card.class_names is None


def test_a_check_of_a_larger_batch_computes_nothing_large(tmp_path):
    nodes = [helper.make_node("Reshape", ["x", "t"], ["r"]),
             helper.make_node("Expand", ["r", "e"], ["b"]), helper.make_node("Relu", ["b"], ["c"]),
             helper.make_node("ReduceMean", ["c"], ["m"], axes=[2], keepdims=0),
             helper.make_node("Reshape", ["m", "u"], ["y"])]
    weights = {"t": np.array([6, 1, 1]), "u": np.array([2, 3])}
    for length, is_freed in ((100, True), (80_000_000, False)):
        path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3, 1, 1]},
                    weights | {"e": np.array([1, 1, length])})
        notes = FORMAT.load(path, Card()).notes
        assert any("were freed" in note for note in notes) == is_freed


def test_a_batch_that_may_be_either_of_two_axes_is_tried(tmp_path):
    nodes = [helper.make_node("Reshape", ["x", "t"], ["r"]),
             helper.make_node("ReduceMean", ["r"], ["m"], axes=[0], keepdims=0),
             helper.make_node("Mul", ["x", "m"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": [1, 3, 4]}, {"t": np.array([1, 1, 3, 4])})
    loaded, x = FORMAT.load(path, Card()), pictures(5, 3, 4)
    expected = [oracle(path, one.numpy()) for one in x.split(1)]
    np.testing.assert_allclose(loaded.module(x).numpy(), np.concatenate(expected), rtol=1e-5)


def test_an_upload_has_smaller_limits(tmp_path):
    node = helper.make_node("ConstantOfShape", ["shape"], ["y"])
    path = made(tmp_path / "net.onnx", [node], {"x": [2]}, {"shape": np.array([300_000_000], I64)})
    with limited_to(UPLOADED), pytest.raises(UserError, match="too large"):
        FORMAT.load(path, Card())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_damage_is_named_or_read(share, samples, tmp_path):
    whole = (samples / "shapes-cnn.onnx").read_bytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(whole[:int(len(whole) * share)])
    refused(path, "cut off|damaged|truncated")
    generator = np.random.default_rng(int(share * 100))
    for _ in range(30):
        broken = bytearray(whole)
        for place in generator.integers(0, len(whole) if share > 0.5 else 4000, 3):
            broken[place] = generator.integers(256)
        path.write_bytes(broken)
        try:
            FORMAT.load(path, Card())
        except UserError as error:
            assert str(error).startswith("net.onnx")


def test_the_sample_is_the_network_it_came_from(samples):
    mine = FORMAT.load(samples / "shapes-cnn.onnx", Card())
    theirs = safetensors.FORMAT.load(samples / "shapes-cnn.safetensors", Card()).module
    x = pictures(5, 3, 64, 64)
    assert torch.allclose(mine.module(x), theirs(x), atol=1e-5)
    assert torch.equal(mine.module.state_dict()["head.weight"], theirs.state_dict()["head.weight"])
    assert {"stage1.conv", "stage4.conv", "head"} <= set(dict(mine.module.named_modules()))


def hostile():
    manifest = SHARED / "hostile" / "manifest.json"
    entries = json.loads(manifest.read_text())["entries"] if manifest.is_file() else []
    return [entry for entry in entries if entry["kind"] == "onnx"]


@pytest.mark.parametrize("entry", hostile(), ids=lambda entry: Path(entry["file"]).name)
def test_hostile_files_get_their_answer(entry):
    path = SHARED / "hostile" / entry["file"]
    allowed = {entry["action"], *(entry.get("also_ok") or [])}
    try:
        loaded = FORMAT.load(path, Card()) if FORMAT.matches(path) else None
    except UserError as error:
        assert "reject" in allowed
        assert any(word in str(error).lower() for word in entry["must_say"])
        return
    words = " ".join(loaded.notes).lower() if loaded else ""
    told = "warn" in allowed and any(word in words for word in entry["must_say"])
    assert loaded is None or "accept" in allowed or told
    assert loaded is not None or "reject" in allowed


@pytest.mark.parametrize("path", sorted((SHARED / "real" / "models").glob("*/*.onnx")),
                         ids=lambda path: path.stem)
def test_real_files_agree_with_onnxruntime(path):
    loaded = FORMAT.load(path, Card())
    given = loaded.module.inputs[0]
    x = pictures(*given.example)
    is_half = any("half precision" in note for note in loaded.notes)
    found = loaded.module(x).detach().numpy()
    expected = oracle(path, x.numpy().astype(np.float16 if is_half else np.float32))
    loose = 5e-3 if is_half else 1e-4
    np.testing.assert_allclose(found, expected, atol=loose * np.abs(expected).max())
