"""The interpreter of frozen networks, on graphs written by hand."""

import pytest
import torch
from torch import nn

from core.errors import UserError
from core.graph.evaluation import in_evaluation_mode
from core.graph.inplace import without_writes
from core.graph.meta import cost
from core.graph.module import GraphModule
from core.graph.nodes import Call, Graph, Input, Node, Number, Ref, Weight
from core.graph.operators import resolve
from core.graph.outputs import output_meaning

X = Ref("x")


def graph(*nodes, outputs=("y",), sizes=((1, 64), (4, 4)), weights=None, layers=()):
    example = tuple(2 if low != high else low for low, high in sizes)
    given = (Input("x", sizes, example),)
    return Graph(nodes, given, tuple(map(Ref, outputs)), weights or {}, layers)


def node(operator, *arguments, out="y", calls=(), **keywords):
    return Node(operator, arguments, keywords, out, tuple(calls), f"node {out}")


def call(path, kind="Block", key=None):
    return Call(key or path, path, kind)


def run(source, x):
    return GraphModule(without_writes(source))(x)


def outputs_of(module, x):
    """What plain forward hooks see: path -> outputs of each run."""
    seen, handles = {}, []
    for name, layer in module.named_modules():
        def after(_, inputs, output, name=name):
            assert all(isinstance(given, torch.Tensor) for given in inputs)
            seen.setdefault(name, []).append(output)
        handles.append(layer.register_forward_hook(after))
    module(x)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("name", [
    "aten.from_file.default", "aten.set_.source_Tensor", "aten.add.out", "aten.resize_.default",
    "aten._reshape_alias.default", "aten.relu.nonsense", "sym.system", "sym.__import__",
    "unknown.x", "os.system", "aten.bernoulli.default", "aten.record_stream.default", "prim.device",
    "aten.add.__init__",
    "aten.relu.__class__", "aten.add.overloads", "aten.__class__.mro", "aten.add_.out", "sym.pow.x",
])
def test_operators_off_the_list_are_refused_by_name(name):
    with pytest.raises(UserError, match=r"operator .* of node 7 .*state dict"):
        resolve(name, "node 7")


def test_every_allowed_operator_exists_in_this_torch():
    from core.graph import operators

    missing = [name for name in operators.ALLOWED if not hasattr(torch.ops.aten, name)]
    assert not missing


@pytest.mark.parametrize("name", ["aten.empty.memory_format", "aten.empty_like.default"])
def test_uninitialised_memory_is_never_shown(name):
    argument = [64] if "memory" in name else torch.ones(64)
    assert resolve(name)(argument, pin_memory=False).abs().sum() == 0


@pytest.mark.parametrize(("name", "numbers"), [
    ("pow", (10, 10**6)), ("pow", (10, -33)), ("pow", (1 << 31, 2)), ("pow", (0, -1)),
    ("pow", (-2, 0.5)), ("pow", ([2], 3)), ("lshift", (1, 10**9)), ("lshift", (1, -1)), ("mul", (1 << 40, 1 << 40)),
    ("mul", ([0], 10**12)),
    ("mul", ("a", 10**12)),
])
def test_arithmetic_is_bounded(name, numbers):
    with pytest.raises((ValueError, TypeError)):
        resolve(f"sym.{name}")(*numbers)


@pytest.mark.parametrize("numbers", [(2, 10), (64, -0.5), (7, -2), (-3, 3), (-3, -3), (2.5, 1.5),
                                     (0, 0.5)])
def test_powers_of_sizes_are_those_of_python(numbers):
    assert resolve("sym.pow")(*numbers) == pow(*numbers)


def test_numbers_are_computed_and_shared_between_layers():
    first, second = call("first"), call("second")
    source = graph(
        node("aten.sym_size.int", X, 0, out="n", calls=[first]),
        node("sym.mul", Ref("n"), 2, out="m", calls=[first]),
        node("aten.view.default", X, [Ref("m"), -1], out="v", calls=[first]),
        node("aten.view.default", Ref("v"), [Ref("n"), 4], calls=[second]))
    module = GraphModule(source)
    x = torch.arange(12.0).view(3, 4)
    assert torch.equal(module(x), x)
    seen = outputs_of(module, x)
    assert seen["first"][0].shape == (6, 2)
    assert torch.equal(seen["second"][0], x)


def test_layers_are_nested_named_and_typed_as_they_were():
    outer, inner = call("stage", "Sequential"), call("stage.0", "ReLU")
    weight = Weight("stage.1.weight", torch.randn(4, 4), True)
    source = graph(
        node("aten.relu.default", X, out="a", calls=[outer, inner]),
        node("aten.linear.default", Ref("a"), Ref("w"), calls=[outer, call("stage.1", "Linear")]),
        weights={"w": weight}, layers=("stage", "stage.0", "stage.1", "stage.2"))
    module = GraphModule(source, "Net")
    assert {name: layer.type_name for name, layer in module.named_modules()} == {
        "": "Net", "stage": "Sequential", "stage.0": "ReLU", "stage.1": "Linear"}
    assert source.layers_lost() == ["stage.2"]
    assert dict(module.named_parameters()).keys() == {"stage.1.weight"}
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert not module.training
    x = torch.randn(3, 4)
    expected = x.relu() @ weight.tensor.T
    seen = outputs_of(module, x)
    torch.testing.assert_close(seen["stage.0"][0], x.relu())
    torch.testing.assert_close(seen["stage"][0], expected)
    assert module.get_submodule("stage.1")(x.relu()).equal(expected)


def test_a_layer_called_twice_runs_its_two_programs():
    once, again = call("act", "ReLU"), call("act", "ReLU", key="act@1")
    source = graph(node("aten.relu.default", X, out="a", calls=[once]),
                   node("aten.sub.Tensor", Ref("a"), 1.0, out="b"),
                   node("aten.relu.default", Ref("b"), calls=[again]))
    x = torch.tensor([[-1.0, 0.5, 1.5, 3.0]])
    seen = outputs_of(GraphModule(source), x)
    assert [part.tolist() for part in seen["act"]] == [[[0, 0.5, 1.5, 3.0]], [[0, 0, 0.5, 2.0]]]


def test_a_hook_that_replaces_an_output_changes_what_follows():
    source = graph(node("aten.relu.default", X, out="a", calls=[call("act")]),
                   node("aten.mul.Tensor", Ref("a"), 3.0))
    module = GraphModule(source)
    handle = module.act.register_forward_hook(lambda layer, inputs, output: torch.ones_like(output))
    assert torch.equal(module(torch.randn(2, 4)), torch.full((2, 4), 3.0))
    handle.remove()


def test_a_layer_that_gives_several_tensors_gives_them_in_order():
    block = call("block")
    source = graph(node("aten.chunk.default", X, 2, 1, out=["a", "b"], calls=[block]),
                   node("aten.sub.Tensor", Ref("a"), Ref("b")))
    x = torch.randn(2, 4)
    seen = outputs_of(GraphModule(source), x)
    assert [part.tolist() for part in seen["block"][0]] == [x[:, :2].tolist(), x[:, 2:].tolist()]


def test_values_are_freed_once_nothing_reads_them():
    module = GraphModule(graph(node("aten.relu.default", X, out="a"),
                               node("aten.neg.default", Ref("a"), out="b"),
                               node("aten.add.Tensor", Ref("b"), Ref("b"))))
    assert [step.dead for step in module.programs[0].program.steps] == [("x",), ("a",), ("b",)]


def test_tied_tensors_are_one_parameter():
    shared = torch.randn(4, 4)
    source = graph(node("aten.linear.default", X, Ref("v"), out="a", calls=[call("a")]),
                   node("aten.linear.default", Ref("a"), Ref("w"), calls=[call("b")]),
                   weights={"v": Weight("a.weight", shared, True),
                            "w": Weight("b.weight", shared, True)})
    module = GraphModule(source)
    assert module.a.weight is module.b.weight
    assert len(list(module.parameters())) == 1


# --- operators that write


def test_a_relu_in_place_leaves_the_normalised_values_to_their_layer():
    norm, act = call("norm"), call("act", "ReLU")
    source = without_writes(graph(node("aten.sub.Tensor", X, 0.5, out="n", calls=[norm]),
                                  node("aten.relu_.default", Ref("n"), out="r", calls=[act]),
                                  node("aten.add.Tensor", Ref("n"), Ref("r"))))
    x = torch.tensor([[0.0, 1.0, 2.0, -3.0]])
    module = GraphModule(source)
    seen = outputs_of(module, x)
    assert seen["norm"][0].tolist() == [[-0.5, 0.5, 1.5, -3.5]]
    assert seen["act"][0].tolist() == [[0, 0.5, 1.5, 0]]
    assert seen[""][0].tolist() == [[0, 1.0, 3.0, 0]]


def test_the_input_is_never_written_to_and_its_gradient_flows():
    source = without_writes(graph(node("aten.relu_.default", X, out="r"),
                                  node("aten.mul.Tensor", X, Ref("r"))))
    x = torch.tensor([[-1.0, 2.0, 3.0, -4.0]], requires_grad=True)
    before = x.detach().clone()
    y = GraphModule(source)(x)
    grad, = torch.autograd.grad(y.sum(), x)
    assert torch.equal(x.detach(), before)
    assert y.tolist() == [[0, 4, 9, 0]]
    assert grad.tolist() == [[0, 4, 6, 0]]


def test_a_write_through_a_view_reaches_the_whole_as_in_eager():
    source = graph(node("aten.mul.Tensor", X, 2.0, out="a"),
                   node("aten.select.int", Ref("a"), 1, 0, out="s"),
                   node("aten.fill_.Scalar", Ref("s"), 7.0, out="f"),
                   node("aten.add.Tensor", Ref("a"), 0.0))
    x = torch.ones(2, 4)
    assert run(source, x)[:, 0].tolist() == [7.0, 7.0]
    assert torch.equal(x, torch.ones(2, 4))


def test_a_write_through_a_view_of_the_input_works_on_a_copy():
    source = graph(node("aten.select.int", X, 1, 0, out="s"),
                   node("aten.fill_.Scalar", Ref("s"), 7.0, out="f"),
                   node("aten.mul.Tensor", X, 1.0))
    x = torch.ones(2, 4)
    assert run(source, x)[:, 0].tolist() == [7.0, 7.0]
    assert torch.equal(x, torch.ones(2, 4))


def test_a_weight_that_is_written_to_stays_for_the_next_run():
    source = graph(node("aten.slice.Tensor", Ref("w"), 0, 0, 2, out="s"),
                   node("aten.add_.Tensor", Ref("s"), 1.0, out="t"),
                   node("aten.mul.Tensor", X, Ref("w")),
                   weights={"w": Weight("w", torch.zeros(4), False)})
    module = GraphModule(without_writes(source))
    x = torch.ones(1, 4)
    assert module(x).tolist() == module(x).tolist() == [[1, 1, 0, 0]]
    assert module.w.tolist() == [0, 0, 0, 0]


def test_a_write_without_a_named_result_still_counts():
    source = graph(node("aten.neg.default", X, out="a"),
                   Node("aten.add_.Tensor", (Ref("a"), 5.0), {}, None),
                   node("aten.mul.Tensor", Ref("a"), 1.0))
    assert run(source, torch.ones(1, 4)).tolist() == [[4, 4, 4, 4]]


# --- evaluation mode, meaning of the output


def test_networks_recorded_in_training_mode_run_in_evaluation_mode():
    weights = {name: Weight(f"n.{name}", torch.rand(4) + 1, False) for name in "gbmv"}
    norm = node("aten.batch_norm.default", X, *map(Ref, "gbmv"), True, 0.1, 1e-5, True, out="n")
    source = graph(norm, node("aten.dropout.default", Ref("n"), 0.5, True), weights=weights)
    source, changed = in_evaluation_mode(source)
    g, b, m, v = (weight.tensor for weight in weights.values())
    x = torch.randn(3, 4)
    assert changed == 2
    torch.testing.assert_close(GraphModule(source)(x), (x - m) / (v + 1e-5).sqrt() * g + b)


@pytest.mark.parametrize(("operator", "meaning"), [
    ("aten.softmax.int", "probabilities"), ("aten.log_softmax.int", "log_probabilities"),
    ("aten.sigmoid.default", "sigmoid"), ("aten.relu.default", "logits")])
def test_what_the_output_means_is_told_by_its_last_operator(operator, meaning):
    source = graph(node(operator, X, 1, out="p"), node("aten.view.default", Ref("p"), [-1, 4]))
    assert output_meaning(source) == meaning


# --- bounds


@pytest.mark.parametrize("bomb", [
    node("aten.expand.default", Ref("x"), [10**6, 10**6, 2, 4]),
    node("aten.repeat.default", Ref("x"), [10**6, 10**6]),
    node("aten.zeros.default", [10**7, 10**6]),
    node("aten.arange.default", 10**13),
    node("aten.unbind.int", Ref("big"), out=["y", "z"]),
    node("aten.split.Tensor", Ref("big"), 1, out=["y", "z"]),
    node("aten.avg_pool2d.default", Ref("wide"), [9999, 9999], [1, 1], [4999, 4999]),
    node("aten.matmul.default", Ref("wide"), Ref("wide")),
])
def test_bombs_are_refused_before_anything_is_computed(bomb):
    before = (node("aten.zeros.default", [10**6], out="big"),
              node("aten.zeros.default", [1, 30000, 30000], out="wide"))
    module = GraphModule(graph(*before, bomb))
    with pytest.raises(UserError, match=r"limit|too large|large"):
        cost(module, [((2, 4), torch.float32)])


def test_what_a_run_costs_is_known_exactly():
    source = graph(node("aten.linear.default", X, Ref("w"), out="a"),
                   node("aten.relu.default", Ref("a")),
                   weights={"w": Weight("w", torch.randn(8, 4), True)})
    module = GraphModule(source)
    found = cost(module, [((5, 4), torch.float32)])
    assert (found.multiply_adds, found.output_shapes) == (5 * 8 * 4, ((5, 8),))
    assert 5 * 8 * 4 * 2 <= found.peak_bytes <= 5 * 8 * 4 * 2 + 5 * 4 * 4
    assert module.w.device.type == "cpu"


# --- inputs, batches, failures


def test_other_input_sizes_than_the_exported_are_refused():
    sizes = ((1, 64), (3, 3), (8, 8), (4, 32))
    module = GraphModule(graph(node("aten.relu.default", X), sizes=sizes))
    assert module(torch.zeros(2, 3, 8, 20)).shape == (2, 3, 8, 20)
    for shape in [(2, 3, 9, 8), (2, 1, 8, 8), (2, 3, 8, 33), (3, 8, 8)]:
        with pytest.raises(UserError, match=r"N × 3 × 8 × \(4 to 32\)"):
            module(torch.zeros(shape))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_a_fixed_batch_takes_any_in_parts(count):
    source = graph(node("aten.view.default", X, [2, 2, 2], out="v"),
                   node("aten.sum.dim_IntList", Ref("v"), [2]), sizes=((2, 2), (4, 4)))
    x = torch.randn(count, 4, requires_grad=True)
    y = GraphModule(source)(x)
    torch.testing.assert_close(y, x.view(count, 2, 2).sum(2))
    grad, = torch.autograd.grad(y.sum(), x)
    assert torch.equal(grad, torch.ones_like(x))


def test_a_failing_node_is_named_with_its_layer():
    module = GraphModule(graph(node("aten.view.default", X, [3, 5], calls=[call("head.fc")])))
    with pytest.raises(UserError, match=r"node y in layer 'head.fc', operator aten.view.default"):
        module(torch.zeros(2, 4))


def test_a_layer_that_never_ran_says_so():
    module = GraphModule(graph(node("aten.relu.default", X), layers=("aux",),
                               weights={"w": Weight("aux.weight", torch.zeros(1), True)}))
    with pytest.raises(UserError, match="never runs"):
        module.aux(torch.zeros(1))


@pytest.mark.parametrize("name", ["forward.weight", "a.training.x", "a.register_buffer"])
def test_names_that_a_module_cannot_have_are_refused(name):
    with pytest.raises(UserError, match="cannot be used"):
        GraphModule(graph(node("aten.relu.default", X),
                          weights={"w": Weight(name, torch.zeros(1), False)}))


def test_too_many_nodes_are_refused():
    nodes = [node("aten.relu.default", X, out=f"v{i}") for i in range(20_001)]
    with pytest.raises(UserError, match="20,001 nodes"):
        GraphModule(graph(*nodes, outputs=["v1"]))


def test_numbers_are_marked_wherever_they_are_used():
    module = GraphModule(graph(node("aten.sym_size.int", X, 0, out="n"),
                               node("aten.add.Tensor", X, Ref("n"))))
    arguments = module.programs[0].program.steps[1].node.arguments
    assert type(arguments[1]) is Number
    assert module(torch.zeros(3, 4)).unique().tolist() == [3]


def test_the_module_moves_and_copies_like_any_other():
    import copy

    source = graph(node("aten.linear.default", X, Ref("w")),
                   weights={"w": Weight("w", torch.eye(4), True)})
    module = GraphModule(source)
    double = copy.deepcopy(module).double()
    x = torch.randn(2, 4, dtype=torch.float64)
    assert torch.equal(double(x), x)
    assert module.w.dtype == torch.float32
    assert isinstance(module, nn.Module)
