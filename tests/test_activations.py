"""Activations and gradients against eager hooks, autograd and nets with planted faults."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import UserError
from core.library import dataset_id, model_id, open_dataset, open_model
from core.measures import gradient_norms, number_counts
from core.measures.activations import SAMPLE, activation_statistics, measured_statistics
from core.measures.gradient_norms import loss_sum, marks
from core.measures.outputs import of_one, output_of, output_ranges
from core.measures.unit_statistics import UnitStatistics, ends_of
from core.one_pass.forward_pass import model_on_device
from core.one_pass.sampled_inputs import sampled
from core.outcomes import truth
from core.saliency.explained import model_input

MODELS = ["shapes-cnn.safetensors", "shapes-vit.safetensors", "shapes-cnn.onnx"]
LIMIT = 40


@pytest.fixture
def shapes(samples, one_thread):
    return dataset_id(samples / "shapes-test.json", LIMIT)


def hooked(model, images):
    """Each layer's last output, by plain hooks."""
    seen, handles = {}, []
    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_hook(
                lambda m, i, o, n=name: seen.update({n: o.detach().clone()})))
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("file", MODELS)
def test_what_layers_give_is_what_eager_hooks_see(samples, shapes, file):
    model = model_id(samples / file)
    outputs = hooked(model_on_device(model), model_input(model, shapes, 3))
    ranges = output_ranges(model, shapes, 3).drop_duplicates("layer", keep="last")
    ranges = ranges.set_index("layer")
    assert set(ranges.index) == set(outputs)
    for layer in list(outputs)[::3]:
        found = output_of(model, shapes, 3, layer)
        wanted = outputs[layer][0]
        assert found.kind == {3: "maps", 2: "tokens", 1: "vector"}[wanted.dim()]
        np.testing.assert_allclose(found.values, wanted.numpy(), atol=1e-6)
        assert ranges.low[layer] == pytest.approx(float(wanted.min()), abs=1e-6)
        assert ranges.high[layer] == pytest.approx(float(wanted.max()), abs=1e-6)


@pytest.mark.parametrize("file", MODELS)
def test_statistics_are_those_of_all_outputs(samples, shapes, file):
    model, network = model_id(samples / file), open_model(model_id(samples / file)).module
    images = torch.cat([model_input(model, shapes, row) for row in range(LIMIT)])
    outputs = hooked(network, images)
    assert measured_statistics(model, shapes) is None
    table = activation_statistics(model, shapes)
    assert table.attrs["examples"] == LIMIT
    assert measured_statistics(model, shapes).equals(table)
    rows = table.set_index("layer")
    assert not [n for n, m in network.named_modules() if not list(m.children()) and n in outputs
                and n not in rows.index]
    for layer, row in rows.iterrows():
        if row.run > 1:
            continue
        values = outputs[layer]
        values = values.flatten(2) if values.dim() == 4 else values.movedim(-1, 1)
        values = values.reshape(*values.shape[:2], -1)  # (N, units, positions)
        assert row.units == values.shape[1]
        assert row.dead == (values == 0).all(0).all(-1).nonzero().flatten().tolist()
        assert row["min"] == pytest.approx(float(values.min()), abs=1e-5)
        assert row["max"] == pytest.approx(float(values.max()), abs=1e-5)
        assert row.zeros == pytest.approx(float((values == 0).float().mean()), abs=0.02)
        exact = np.quantile(values.numpy(), (0.25, 0.5, 0.75))
        spread = float(values.std())
        np.testing.assert_allclose(row["quantiles"][1:4], exact, atol=0.05 * spread)


def test_planted_dead_and_saturated_units_are_found_and_no_others():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 6),
                          nn.Sigmoid(), nn.Linear(6, 5), nn.Tanh()).eval()
    with torch.no_grad():
        model[0].bias[[2, 5]] = -100
        model[3].bias[1], model[3].bias[4] = 20, -20
        model[5].weight[3] = 0
        model[5].bias[3] = 9
    found = {}
    for part in torch.randn(60, 3, 8, 8).split(16):
        for name, output in hooked(model, part).items():
            found.setdefault(name, UnitStatistics(model[int(name)], output)).add(output, len(part))
    rows = {name: statistics.row() for name, statistics in found.items()}
    assert (rows["1"]["dead"], rows["0"]["dead"], rows["4"]["dead"]) == ([2, 5], [], [])
    assert (rows["4"]["saturated"], rows["6"]["saturated"]) == ([1, 4], [3])
    assert rows["1"]["saturated"] is None
    assert 0.2 < rows["1"]["zeros"] < 1


def test_numbers_that_are_none_are_counted_apart():
    given = torch.tensor([[1.0, float("nan"), 0.0], [2.0, 1.0, 0.0]])
    found = UnitStatistics(nn.ReLU(), given)
    found.add(given, 2)
    row = found.row()
    assert (row["not_finite"], row["dead"], row["min"], row["max"]) == (1, [2], 0, 2)
    assert (row["mean"], row["zeros"]) == (pytest.approx(4 / 5), pytest.approx(2 / 5))
    empty = UnitStatistics(nn.ReLU(), given[:, 1:2][:1])
    empty.add(given[:1, 1:2], 1)
    assert empty.row()["quantiles"] is None


@pytest.mark.parametrize("module, ends", [
    (nn.Sigmoid(), (0, 1)), (nn.Tanh(), (-1, 1)), (nn.Hardsigmoid(), (0, 1)), (nn.ReLU(), None),
    (nn.Linear(1, 1), None)])
def test_which_activations_have_ends(module, ends):
    assert ends_of(module) == ends


def test_keras_layers_say_their_activation():
    layer = nn.Identity()
    layer.type_name, layer.settings = "Dense", {"activation": "hard_sigmoid"}
    assert ends_of(layer) == (0, 1)
    layer.settings = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    assert ends_of(layer) is None


def test_counts_by_leading_bits_give_quantiles_and_histograms():
    torch.manual_seed(1)
    numbers = torch.cat([torch.randn(20_000) * 3 + 1, torch.zeros(500), -1e3 * torch.rand(50)])
    counts = number_counts.counted(numbers).numpy()
    assert counts.sum() == len(numbers)
    levels = (0.01, 0.3, 0.5, 0.9, 0.999)
    np.testing.assert_allclose(number_counts.quantiles(counts, levels),
                               np.quantile(numbers.numpy(), levels), rtol=0.03, atol=0.01)
    rest = numbers[numbers != 0].numpy()
    wanted = np.histogram(rest, 20, (-8, 10))[0]
    np.testing.assert_allclose(number_counts.histogram(counts, -8, 10, 20), wanted,
                               atol=0.02 * len(rest))
    assert number_counts.quantiles(number_counts.counted(torch.zeros(3)).numpy(), (0.5,)) == [0]


@pytest.mark.parametrize("file", MODELS)
def test_gradient_norms_are_those_of_autograd(samples, shapes, file):
    model = model_id(samples / file)
    found = gradient_norms.gradient_norms(model, shapes).set_index("layer")
    rows = sampled(shapes, gradient_norms.SAMPLE, labelled=True)
    labels = torch.from_numpy(truth(model, shapes).labels[rows])
    copy = deepcopy(open_model(model).module)
    assert copy is not open_model(model).module
    copy.requires_grad_(True)
    images = torch.cat([model_input(model, shapes, int(row)) for row in rows])
    loss = nn.functional.cross_entropy(copy(images), labels)
    loss.backward()
    assert found.attrs["loss"] == pytest.approx(float(loss), rel=1e-4)
    for layer, row in found.iterrows():
        own = list(copy.get_submodule(layer).parameters(recurse=False))
        norm = float(sum(p.grad.double().square().sum() for p in own).sqrt())
        assert row.gradient == pytest.approx(norm, rel=1e-3)
    with_weights = [n for n, m in copy.named_modules() if list(m.parameters(recurse=False))]
    assert sorted(found.index) == sorted(with_weights)
    ours = open_model(model).module
    assert not any(p.requires_grad or p.grad is not None for p in ours.parameters())
    assert not any(m._forward_hooks for m in ours.modules())


def test_a_deep_net_of_sigmoids_is_marked_as_vanishing_in_its_first_layers():
    torch.manual_seed(0)
    layers = [part for _ in range(14) for part in (nn.Linear(8, 8), nn.Sigmoid())]
    model, order = nn.Sequential(*layers).eval().requires_grad_(False), {}
    labels = torch.zeros(4, dtype=torch.long)
    found, _ = gradient_norms.gradients(
        model, torch.randn(4, 8), lambda outputs: loss_sum(outputs, labels, "logits"), order)
    rows = list(gradient_norms._rows(model, found, 4, order))
    assert [row["layer"] for row in rows] == [str(2 * i) for i in range(14)]
    said = marks(np.array([row["gradient"] for row in rows]))
    assert said[0] == "vanishing"
    assert said[-1] == ""


def test_the_rule_of_marks():
    norms = np.array([2e3, 900, 2e-4, 0.0, np.nan, 1.0])
    assert marks(norms) == ["exploding", "", "vanishing", "none", "not finite", ""]
    assert marks(np.array([0.0])) == ["none"]


@pytest.mark.parametrize("meaning", ["logits", "probabilities", "log_probabilities"])
def test_the_loss_is_the_same_whatever_outputs_mean(meaning):
    logits, labels = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([0, 1])
    given = {"logits": logits, "probabilities": logits.softmax(1),
             "log_probabilities": logits.log_softmax(1)}[meaning]
    wanted = nn.functional.cross_entropy(logits, labels, reduction="sum")
    assert float(loss_sum(given, labels, meaning)) == pytest.approx(float(wanted), rel=1e-5)
    one = torch.tensor([[0.7]])
    wanted = nn.functional.binary_cross_entropy_with_logits(one[0], torch.ones(1))
    assert float(loss_sum(one, torch.tensor([1]), None)) == pytest.approx(float(wanted), rel=1e-5)


def test_what_cannot_be_shown_says_why(samples, shapes):
    model = model_id(samples / MODELS[0])
    with pytest.raises(UserError, match="no example 99"):
        output_of(model, shapes, 99, "head")
    with pytest.raises(UserError, match="no layer"):
        output_of(model, shapes, 0, "nowhere")


def test_samples_are_stratified_and_always_the_same(samples):
    whole = dataset_id(samples / "shapes-test.json")
    rows = sampled(whole, SAMPLE)
    assert len(rows) == len(set(rows)) == SAMPLE
    assert np.array_equal(rows, sampled(whole, SAMPLE))
    labels = open_dataset(whole).labels
    counts = np.bincount(labels[rows]) / np.bincount(labels)
    assert counts.max() - counts.min() < 0.05


def test_unreadable_pictures_are_left_out(tmp_path, samples, one_thread):
    from PIL import Image

    folder = tmp_path / "pictures"
    for name in ("circle", "square"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            picture = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
            Image.fromarray(picture).save(folder / name / f"{number}.png")
    (folder / "circle" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    data = dataset_id(Path(folder))
    table = activation_statistics(model_id(samples / MODELS[0]), data)
    assert table.attrs["examples"] == 6


def test_of_a_batch_of_one_example_only_its_part_is_shown():
    batch = torch.arange(24.0).reshape(12, 2)
    assert torch.equal(of_one(batch, 4), batch[:3])  # three windows of each example
    assert torch.equal(of_one(batch[:1], 4), batch[:1])  # what does not depend on the example
    assert of_one(torch.tensor(2.0), 4) == 2
