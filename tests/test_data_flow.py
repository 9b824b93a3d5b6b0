"""The data flow against what is known of networks: by hand, by torch.fx, by torch's own counters."""

from collections import Counter

import pytest
import torch
import torchvision
from streamlit.testing.v1 import AppTest
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from core.data_flow import flow_of
from core.flow.drawing import drawing_of
from core.flow.names import operator_name
from core.flow.operations import Call, Edge, Flow, Operation
from core.flow.tidy import rearranged_at_once, without_unused
from core.library import model_id, open_model
from core.weight_files.weights_only import WeightsOnly

NETWORKS = ["resnet50", "densenet121", "googlenet", "mobilenet_v3_large", "vit_b_16", "swin_t",
            "swin_v2_t", "maxvit_t", "squeezenet1_1", "shufflenet_v2_x1_0", "efficientnet_b0",
            "convnext_tiny"]
SIDE = 224


def network(name):
    more = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    with torch.device("meta"):
        return torchvision.models.get_model(name, **more).eval().requires_grad_(False)


def named_edges(flow):
    """Edges as pairs of names: the layer where it holds no others, else the operator."""
    outer = {call.layer for operation in flow.operations for call in operation.calls[:-1]}
    outer |= {""}

    def name(position):
        operation = flow.operations[position]
        return operation.operator if operation.layer in outer else operation.layer

    return Counter((name(edge.source), name(edge.target)) for edge in flow.edges)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.conv2(self.relu(self.conv1(x)))
        out += x
        return self.relu(out)


def test_a_residual_block():
    flow = flow_of(Residual(), (1, 4, 8, 8))
    assert named_edges(flow) == Counter([
        ("input", "conv1"), ("conv1", "relu"), ("relu", "conv2"), ("conv2", "add"),
        ("input", "add"), ("add", "relu"), ("relu", "output")])
    assert [o.calls for o in flow.operations if o.operator == "relu"] == [
        (Call("relu", 0),), (Call("relu", 1),)]
    assert [o.memory for o in flow.operations[1:-1]] == [1024, 0, 1024, 0, 0]  # in place: none


def test_a_dense_block():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv2d(2 * n, 2, 1) for n in (1, 2, 3)])

        def forward(self, x):
            found = [x]
            for layer in self.layers:
                found.append(layer(torch.cat(found, 1)))
            return torch.cat(found, 1)

    flow = flow_of(Dense(), (1, 2, 4, 4))
    cats = [i for i, o in enumerate(flow.operations) if o.operator == "cat"]
    read = [[flow.operations[e.source].layer or flow.operations[e.source].operator
             for e in flow.edges if e.target == cat] for cat in cats]
    layers = ["layers.0", "layers.1", "layers.2"]
    assert read == [["input", *layers[:n]] for n in range(4)]
    assert [flow.operations[cat].shapes for cat in cats] == [((1, 2 * n, 4, 4),) for n in (1, 2, 3, 4)]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.body(x)
        if x.sum() > -1:  # what torch.fx cannot follow
            x = self.body(x)
        return self.head(x)


def test_a_layer_called_twice_is_two_groups_with_its_weights_once_in_the_total():
    flow = flow_of(Twice().eval(), (1, 4))
    assert [o.calls[0] for o in flow.operations[1:5]] == [Call("body", 0)] * 2 + [Call("body", 1)] * 2
    drawn = drawing_of(flow)
    groups = [item for item in drawn.graph["items"] if item[2]]
    assert [(item[3], item[4], item[6], item[8][0]) for item in groups] == [
        ("body", 0, "body", 20), ("body", 1, "body", 20)]
    assert drawn.ids == {"body": "body@0", "body.0": "#1", "body.1": "#2", "head": "#5"}


def test_writes_into_a_part_constants_and_what_nothing_uses():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))
            self.unused = nn.Linear(4, 4)

        def forward(self, x):
            mask = x.new_zeros(4) + torch.arange(4) * (self.scale * 2).exp()
            self.unused(x)
            y = torch.relu(x)
            y[:, 0] = x.sum(1)
            left, right = y.chunk(2, 1)
            return (left * right).repeat(1, 2) + mask

    flow = flow_of(Odd(), (1, 4))
    assert [o.operator for o in flow.operations] == [
        "input", "relu", "sum", "setitem", "chunk", "mul", "repeat", "add", "output"]
    assert {(e.source, e.target) for e in flow.edges} == {
        (0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8)}
    assert flow.operations[7].weights == {"scale"}  # through constants
    assert flow.notes == ("Operations left out, as nothing uses their results: 1.",)


def test_a_layer_that_works_by_other_means_is_one_operation():
    class Hidden(nn.Module):
        def forward(self, x):
            return torch.from_numpy(x.numpy() * 2)

    flow = flow_of(nn.Sequential(nn.ReLU(), Hidden(), nn.ReLU()), (1, 4))
    assert [o.operator for o in flow.operations] == ["input", "relu", "Hidden", "relu", "output"]
    assert [tuple(e[:2]) for e in flow.edges] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_changes_of_shape_in_a_row_are_one_operation_and_branches_stay():
    operations = [Operation("input"), Operation("view"), Operation("permute", memory=8),
                  Operation("relu"), Operation("transpose"), Operation("gelu"), Operation("output")]
    edges = [Edge(0, 1, ()), Edge(1, 2, ()), Edge(2, 3, ()), Edge(2, 4, ()), Edge(4, 5, ()),
             Edge(3, 6, ()), Edge(5, 6, ())]
    tidy, between = rearranged_at_once(operations, edges)
    assert [o.operator for o in tidy] == ["input", "view, permute", "relu", "transpose", "gelu",
                                          "output"]
    assert tidy[1].memory == 8
    assert [e[:2] for e in between] == [(0, 1), (1, 2), (1, 3), (3, 4), (2, 5), (4, 5)]
    used, _ = without_unused(operations, [edge for edge in edges if edge.target != 6]
                             + [Edge(3, 6, ())])
    assert [o.operator for o in used] == ["input", "view", "permute", "relu", "output"]


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mnasnet0_5"])
def test_edges_are_those_of_torch_fx(name):
    """Compared by the layer's name, or the function's where the layer holds others."""
    model = network(name)
    traced = torch.fx.symbolic_trace(model)
    idle = (nn.Dropout, nn.Identity)
    modules = dict(model.named_modules())

    def named(node):
        if node.op in ("placeholder", "output"):
            return "input" if node.op == "placeholder" else "output"
        return node.target if isinstance(node.target, str) else operator_name(node.target)

    def sources(node):
        for source in node.all_input_nodes:
            if source.op == "call_module" and isinstance(modules[source.target], idle):
                yield from sources(source)
            else:
                yield source

    expected = Counter()
    for node in traced.graph.nodes:
        if not (node.op == "call_module" and isinstance(modules[node.target], idle)):
            expected.update((named(source), named(node)) for source in sources(node))
    assert named_edges(flow_of(model, (1, 3, SIDE, SIDE))) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks_are_whole(name):
    model = network(name)
    calls, image = set(), torch.empty(1, 3, SIDE, SIDE, device="meta")
    handles = [module.register_forward_hook(lambda *_, n=n: calls.add(n))
               for n, module in model.named_modules() if list(module.parameters(recurse=False))]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = model(image)
    for handle in handles:
        handle.remove()
    flow = flow_of(model, (1, 3, SIDE, SIDE))
    assert not flow.missing
    assert all(edge.source < edge.target for edge in flow.edges)
    assert all(edge.shape in flow.operations[edge.source].shapes for edge in flow.edges)
    last = len(flow.operations) - 1
    assert {edge.target for edge in flow.edges} == set(range(1, last + 1))
    assert {edge.source for edge in flow.edges} == set(range(last))
    assert flow.operations[last].shapes == (tuple(output.shape),)
    own = {name: {f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)}
           for name, module in model.named_modules()}
    read = frozenset().union(*(operation.weights for operation in flow.operations))
    ran = {call.layer for operation in flow.operations for call in operation.calls}
    constant = {layer for layer in calls if "cpb_mlp" in layer}  # Swin's position bias
    drawn = drawing_of(flow)
    assert calls - {""} - constant <= ran
    for layer in calls - {""}:
        assert own[layer] <= read
        assert layer in drawn.ids
    assert sum(o.multiply_adds for o in flow.operations) == counter.get_total_flops() // 2
    items = drawn.graph["items"]
    tops = [item[8] for item in items if item[1] < 0]
    assert sum(values[1] for values in tops) == counter.get_total_flops() // 2
    assert sum(values[0] for values in tops) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("frozen", ["shapes-cnn.pt2", "shapes-cnn.torchscript.pt"])
def test_a_frozen_graph_flows_as_the_network_it_was_made_of(samples, frozen):
    def structure(file):
        model = open_model(model_id(samples / file))
        flow = flow_of(model.module, (1, 3, 64, 64))
        kinds = [(o.operator.replace("convolution", "conv2d"), o.layer, o.shapes, o.multiply_adds,
                  o.memory) for o in flow.operations]
        return kinds, [edge[:2] for edge in flow.edges]

    assert structure(frozen) == structure("shapes-cnn.safetensors")


@pytest.mark.parametrize("file", ["shapes-cnn.onnx", "digits-keras.keras", "shapes-vit.safetensors"])
def test_every_kind_of_file_has_a_flow(samples, file):
    model = open_model(model_id(samples / file))
    side = (model.card.input.channels, model.card.input.height, model.card.input.width)
    flow = flow_of(model.module, (1, *side))
    assert not flow.missing
    read = frozenset().union(*(operation.weights for operation in flow.operations))
    assert set(flow.parameters) <= read
    assert all(edge.shape in flow.operations[edge.source].shapes for edge in flow.edges)


def test_without_a_flow_the_layers_are_there_and_the_reason():
    weights = WeightsOnly({"stem.weight": torch.ones(2, 3), "stem.bias": torch.ones(2)}, "a.pt")
    flow = flow_of(weights, None)
    assert "a.pt holds weights only" in flow.missing
    assert [(o.layer, o.operator) for o in flow.operations] == [("stem", "Weights")]
    assert flow.operations[0].weights == {"stem.weight", "stem.bias"}
    unknown = flow_of(Residual(), None)
    assert "size of the input is not known" in unknown.missing
    assert [o.layer for o in unknown.operations] == ["conv1", "conv2", "relu"]
    wrong = flow_of(Residual(), (1, 3, 8, 8))
    assert "does not run on an input of 1 × 3 × 8 × 8" in wrong.missing

    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones(1)

    assert "cannot be traced back" in flow_of(Constant(), (1, 4)).missing


def test_names_with_slashes_are_a_tree_as_those_with_dots():
    tensors = {"body/first/kernel:0": torch.ones(2, 3), "body/first/bias:0": torch.ones(2),
               "body/second/kernel:0": torch.ones(4), "/head/kernel": torch.ones(3),
               "head.kernel": torch.zeros(3)}
    weights = WeightsOnly(tensors, "a.npz")
    assert list(weights.state_dict()) == ["body.first.kernel:0", "body.first.bias:0",
                                          "body.second.kernel:0", "head.kernel", "head.kernel_"]
    flow = flow_of(weights, None)
    drawn = drawing_of(flow)
    assert [(item[3], item[1], item[8][0]) for item in drawn.graph["items"]] == [
        ("body", -1, 12), ("first", 0, 8), ("second", 0, 4), ("head", -1, 6)]
    assert drawn.layers[drawn.ids["body.first"]] == "body.first"
    assert "a.npz holds weights only" in flow.missing


def test_the_network_is_left_as_it_was():
    model = network("resnet18").to_empty(device="cpu")
    tensors = {name: (id(t), t.device, t._version) for name, t in model.named_parameters()}
    flow_of(model, (1, 3, 32, 32))
    flow_of(model, (1, 5, 32, 32))  # fails on the way
    assert {n: (id(t), t.device, t._version) for n, t in model.named_parameters()} == tensors
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("called, name", [
    (torch.nn.functional.relu, "relu"), (torch.Tensor.__iadd__, "add"), (torch.add, "add"),
    (torch.ops.aten.add_.Tensor, "add"), (torch.ops.aten.conv2d, "conv2d"),
    (torch.Tensor.T.__get__, "T"), (torch.Tensor.__rsub__, "sub"),
    (torch.Tensor.__getitem__, "getitem")])
def test_an_operator_has_one_name(called, name):
    assert operator_name(called) == name


def test_groups_hold_consecutive_operations_so_that_folding_makes_no_cycle():
    items = drawing_of(flow_of(network("maxvit_t"), (1, 3, SIDE, SIDE))).graph["items"]
    assert all(item[1] < position for position, item in enumerate(items))
    open_groups = []
    for position, item in enumerate(items):  # each group's items follow it without a gap
        while open_groups and open_groups[-1] != item[1]:
            open_groups.pop()
        assert item[1] == -1 or open_groups, position
        if item[2]:
            open_groups.append(position)
    children = Counter(item[1] for item in items)
    assert min(count for parent, count in children.items() if parent >= 0) > 1


def test_a_lone_operation_stands_for_its_layers():
    inner = nn.Sequential(nn.Sequential(nn.ReLU()))
    drawn = drawing_of(flow_of(nn.Sequential(inner, nn.Linear(4, 2)), (1, 4)))
    assert [item[3] for item in drawn.graph["items"]] == ["", "0.0.0", "1", ""]
    assert drawn.ids == {"0": "#1", "0.0": "#1", "0.0.0": "#1", "1": "#2"}
    assert drawn.layers["#1"] == "0.0.0"


def test_an_empty_network_is_drawn_too():
    assert drawing_of(Flow((), (), {}, {}, missing="Nothing.")).graph["items"] == []


@pytest.mark.parametrize("file, told", [
    ("shapes-vit.safetensors", ""), ("weights.pt", "weights.pt holds weights only")])
def test_the_view_draws_a_flow_or_says_why_there_is_none(samples, tmp_path, file, told):
    torch.save({"a.odd": torch.ones(2, 3, 5)}, tmp_path / "weights.pt")

    def script(path):
        from pathlib import Path

        import streamlit as st

        from core.library import model_id
        from core.ui.flow import clicked_box

        st.text(f"chosen {clicked_box(model_id(Path(path)), None, 'blocks.0.norm1')}")

    path = samples / file if not told else tmp_path / file
    app = AppTest.from_function(script, args=(str(path),), default_timeout=60).run()
    assert not app.exception
    assert [text.value for text in app.text] == ["chosen None"]  # no browser has answered
    captions = [caption.value.replace("\\", "") for caption in app.caption]
    assert told in "".join(captions) and bool(captions) == bool(told)
