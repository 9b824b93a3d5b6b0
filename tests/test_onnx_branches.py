"""ONNX files with branches: decided where the file or the input's size decides them."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from core.card import Card
from core.model_formats.onnx import FORMAT
from tests.test_onnx import agree, made, pictures, refused

FLOAT = onnx.TensorProto.FLOAT


def branch(*nodes, outputs=("way",), **weights):
    results = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    return helper.make_graph(list(nodes), "branch", [], results, tensors)


def choice(condition, then, other, outputs=("y",)):
    return helper.make_node("If", [condition], list(outputs), "choice", then_branch=then,
                            else_branch=other)


DOUBLED = branch(helper.make_node("Mul", ["x", "two"], ["way"]), two=np.float32([[2.0]]))
ROOTED = branch(helper.make_node("Sqrt", ["x"], ["inner"]),
                helper.make_node("Exp", ["inner"], ["way"]))


@pytest.mark.parametrize("truth", [True, False])
def test_a_constant_decides(truth, tmp_path):
    path = made(tmp_path / "net.onnx", [choice("c", DOUBLED, ROOTED)], {"x": [2, 3]},
                {"c": np.array(truth)})
    agree(path, pictures(2, 3))


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("size", [3, 4])
def test_the_size_of_the_input_decides(batch, size, tmp_path):
    nodes = [helper.make_node("Shape", ["x"], ["shape"]),
             helper.make_node("Gather", ["shape", "one"], ["side"], axis=0),
             helper.make_node("Equal", ["side", "three"], ["c"]),
             choice("c", DOUBLED, ROOTED)]
    path = made(tmp_path / "net.onnx", nodes, {"x": [batch, size]},
                {"one": np.array(1), "three": np.array(3)})
    loaded = agree(path, pictures(2, size))
    assert loaded.module.batch[1] > 2


def test_branches_inside_branches_keep_values_of_one_name_apart(tmp_path):
    inner = branch(helper.make_node("Add", ["x", "half"], ["inner"]),
                   choice("no", DOUBLED, ROOTED, ["nested"]),
                   helper.make_node("Add", ["inner", "nested"], ["way"]),
                   half=np.float32([[0.5]]))
    nodes = [helper.make_node("Neg", ["x"], ["inner"]), choice("yes", inner, DOUBLED, ["z"]),
             helper.make_node("Add", ["inner", "z"], ["y"])]
    path = made(tmp_path / "net.onnx", nodes, {"x": [2, 3]},
                {"yes": np.array(True), "no": np.array(False)})
    x, loaded = pictures(2, 3), FORMAT.load(tmp_path / "net.onnx", Card())
    expected = -x + (x + 0.5) + x.sqrt().exp()  # onnxruntime refuses the second `inner`
    assert torch.allclose(loaded.module(x), expected, atol=1e-6)
    assert path.is_file()


class Squeezing(nn.Module):
    """What torch's older exporter writes as a branch: an axis that may have one element."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x.squeeze(1))


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_network_is_read(tmp_path):
    net, x = Squeezing().eval(), pictures(2, 1, 5)
    torch.onnx.export(torch.jit.script(net), (x,), tmp_path / "net.onnx", dynamo=False,
                      input_names=["x"], dynamic_axes={"x": {0: "batch", 1: "one"}})
    assert "If" in {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    model = onnx.load(tmp_path / "net.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(model, tmp_path / "net.onnx")
    loaded = agree(tmp_path / "net.onnx", x)
    assert "last" in dict(loaded.module.named_modules())


@pytest.mark.parametrize(("nodes", "reason"), [
    ([helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
      helper.make_node("Greater", ["s", "zero"], ["c"]), choice("c", DOUBLED, ROOTED)],
     "'choice'.*branch on values that the network computes"),
    ([choice("yes", branch(helper.make_node("NonZero", ["x"], ["way"], name="nz")), DOUBLED)],
     "'nz'.*'NonZero' is unknown"),
    ([choice("yes", branch(outputs=()), DOUBLED)], "damaged"),
    ([choice("yes", branch(helper.make_node("Relu", ["later"], ["way"])), DOUBLED)],
     "reads 'later', which nothing"),
    ([helper.make_node("If", ["yes"], ["y"], then_branch=DOUBLED)], "loop or branch"),
])
def test_what_is_not_decided_or_damaged_is_said(nodes, reason, tmp_path):
    weights = {"zero": np.float32(0), "yes": np.array(True)}
    refused(made(tmp_path / "net.onnx", nodes, {"x": [2, 3]}, weights), reason)


def nest(depth):
    graph = DOUBLED
    for _ in range(depth):
        graph = branch(choice("yes", graph, ROOTED, ["way"]))
    return [choice("yes", graph, ROOTED)]


def test_nesting_is_bounded(tmp_path):
    weights = {"yes": np.array(True)}
    path = made(tmp_path / "net.onnx", nest(7), {"x": [2, 3]}, weights)
    x = pictures(2, 3)
    assert torch.equal(FORMAT.load(path, Card()).module(x), 2 * x)
    refused(made(tmp_path / "net.onnx", nest(8), {"x": [2, 3]}, weights), "loop or branch")


def test_nodes_in_branches_count(tmp_path):
    many = branch(*[helper.make_node("Relu", ["x"], [f"r{n}"]) for n in range(20_001)],
                  outputs=("r0",))
    path = made(tmp_path / "net.onnx", [choice("yes", many, DOUBLED)], {"x": [2, 3]},
                {"yes": np.array(True)})
    refused(path, "more than 20,000 nodes")
