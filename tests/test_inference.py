"""The one pass agrees with plain loops, whatever the model, and recovers from what can go wrong."""

import copy
import json
import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import accuracy_score, log_loss

from core import inference, library
from core.card import Card
from core.device import device
from core.errors import UserError
from core.inference import POOLINGS, activations, log_probabilities_of, predictions
from core.model_facts import feature_layers
from core.one_pass import batches, forward_pass, workers
from core.one_pass.batches import BatchPlan
from core.outcomes import outcomes
from core.overview import by_class, confused_pairs, summary
from core.weight_files.missing_network import MissingNetworkError
from tests.conftest import ROOT

THREADS = torch.get_num_threads()


def ids(samples, model, data, limit=None):
    return library.model_id(samples / model), library.dataset_id(samples / data, limit)


def loop(samples, model, data):
    """An independent pass: the safetensors library, a plain forward, torch's own functions."""
    state, card = (
        load_file(samples / f"{model}.safetensors"),
        json.loads((samples / f"{model}.card.json").read_text()),
    )
    loaded = library.open_model(library.model_id(samples / f"{model}.safetensors")).module
    net = copy.deepcopy(loaded)
    net.load_state_dict(state)
    data = library.open_dataset(library.dataset_id(samples / data))
    pictures = np.stack([data.image(row) for row in range(len(data))]).astype(np.float32) / 255
    inputs = (
        torch.from_numpy((pictures - card["input"]["mean"]) / card["input"]["std"])
        .permute(0, 3, 1, 2)
        .float()
    )
    with torch.no_grad():
        logits = torch.cat([net(part) for part in inputs.split(100)])
    return torch.softmax(logits, 1).numpy(), data.labels


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("shapes-cnn", "shapes-test.json"),
        ("shapes-vit", "shapes-test.json"),
        ("digits-cnn", "digits-test.json"),
    ],
)
def test_accuracy_and_loss_agree_with_a_plain_loop_and_sklearn(samples, model, data):
    model_id, dataset_id = ids(samples, f"{model}.safetensors", data)
    expected, labels = loop(samples, model, data)
    found = predictions(model_id, dataset_id)
    assert np.abs(found - expected).max() < 1e-4
    figures = summary(model_id, dataset_id)
    assert figures.accuracy == pytest.approx(accuracy_score(labels, expected.argmax(1)), abs=1e-3)
    assert figures.mean_loss == pytest.approx(
        log_loss(labels, expected.astype(np.float64)), rel=1e-3
    )
    table = outcomes(model_id, dataset_id)
    assert table["correct"].mean() == figures.accuracy
    assert np.allclose(table["confidence"], found.max(1), atol=1e-6)


def test_by_class_and_confusions_agree_with_sklearn(samples):
    from sklearn.metrics import confusion_matrix, recall_score

    model_id, dataset_id = ids(samples, "shapes-cnn.safetensors", "shapes-test.json")
    table = outcomes(model_id, dataset_id)
    names = list(table["label"].cat.categories)
    recall = recall_score(
        table["label"].astype(str), table["prediction"].astype(str), labels=names, average=None
    )
    found = by_class(model_id, dataset_id).set_index("class")["accuracy"]
    assert np.allclose(found.loc[names], recall)
    assert found.is_monotonic_increasing
    matrix = confusion_matrix(
        table["label"].astype(str), table["prediction"].astype(str), labels=names
    )
    pairs = confused_pairs(model_id, dataset_id)
    assert pairs["examples"].sum() == matrix.sum() - np.trace(matrix)
    worst = pairs.iloc[0]
    assert (
        worst["examples"] == matrix[names.index(worst["label"]), names.index(worst["prediction"])]
    )


@pytest.mark.parametrize("pooling", list(POOLINGS))
def test_activations_agree_with_a_hook(samples, pooling):
    model_id, dataset_id = ids(samples, "digits-cnn.safetensors", "digits-test.json")
    found = activations(model_id, dataset_id, "stage2", pooling)
    module, data = library.open_model(model_id).module, library.open_dataset(dataset_id)
    inputs = (
        torch.tensor(np.stack([data.image(r) for r in range(16)]) / 255.0)
        .permute(0, 3, 1, 2)
        .float()
    )
    kept = []
    handle = module.stage2.register_forward_hook(lambda m, i, o: kept.append(o))
    with torch.no_grad():
        module((inputs - 0.5) / 0.25)
    handle.remove()
    expected = kept[0].mean((2, 3)) if pooling == "mean" else kept[0].amax((2, 3))
    assert np.allclose(found[:16], expected.numpy(), atol=1e-5)


def test_one_pass_leaves_the_maps_of_the_last_stages(samples, monkeypatch, tmp_path):
    monkeypatch.setenv("NETLENS_CACHE", str(tmp_path))
    model_id, dataset_id = ids(samples, "digits-cnn.safetensors", "digits-test.json")
    predictions(model_id, dataset_id)
    monkeypatch.setattr(forward_pass, "batches", lambda *a: pytest.fail("a second pass was run"))
    for layer in feature_layers(library.open_model(model_id).module):
        assert len(activations(model_id, dataset_id, layer, "mean")) == 504


def test_an_unknown_layer_is_named(samples):
    model_id, dataset_id = ids(samples, "digits-cnn.safetensors", "digits-test.json")
    with pytest.raises(UserError, match="no layer 'stage9'"):
        activations(model_id, dataset_id, "stage9", "mean")


@pytest.mark.parametrize(
    ("output", "raw"),
    [
        ("logits", lambda z: z),
        ("probabilities", lambda z: np.exp(z) / np.exp(z).sum(1, keepdims=True)),
        ("log_probabilities", lambda z: z - np.log(np.exp(z).sum(1, keepdims=True))),
    ],
)
def test_each_meaning_of_the_output_gives_the_same_probabilities(output, raw):
    logits = np.random.default_rng(0).normal(size=(50, 6))
    found = log_probabilities_of(raw(logits), Card(output=output))
    assert np.allclose(
        np.exp(found), np.exp(logits) / np.exp(logits).sum(1, keepdims=True), atol=1e-6
    )


def test_one_output_is_the_second_of_two_classes():
    logits = np.array([[-3.0], [0.0], [2.0]])
    p = 1 / (1 + np.exp(-logits))
    for output, raw in (("logits", logits), ("sigmoid", p)):
        assert np.allclose(
            np.exp(log_probabilities_of(raw, Card(output=output))), np.hstack([1 - p, p]), atol=1e-6
        )


def test_certain_and_wrong_stays_finite_and_nan_stays_nan():
    found = log_probabilities_of(
        np.array([[1.0, 0.0], [np.nan, 0.0]]), Card(output="probabilities")
    )
    assert found[0, 1] == pytest.approx(np.log(1e-12))
    assert np.isnan(found[1, 0])


class Forgetful(torch.nn.Module):
    """Runs out of memory above a batch size, as a device would say it."""

    def __init__(self, most):
        super().__init__()
        self.weight, self.most, self.sizes = torch.nn.Parameter(torch.ones(1)), most, []

    def forward(self, x):
        if len(x) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        self.sizes.append(len(x))
        return x.flatten(1)[:, :3] * self.weight


class Pictures:
    def take(self, start, size, ahead):
        return (
            torch.arange(start, start + size, dtype=torch.float32)
            .view(-1, 1, 1, 1)
            .expand(size, 1, 2, 2)
            .clone()
        )

    def inputs(self, part):
        return part


@pytest.mark.parametrize("most", [1, 5, 40])
def test_out_of_memory_halves_the_batch_and_loses_nothing(most):
    model = Forgetful(most).to(device())
    found = list(forward_pass.batches(model, Pictures(), 100, {}, lambda done, total: None))
    values = np.concatenate([outputs[""] for _, outputs in found])
    assert np.array_equal(values[:, 0], np.arange(100))
    assert max(model.sizes) <= most


@pytest.mark.skipif(device().type != "cpu", reason="one worker on a GPU")
def test_the_number_of_workers_changes_nothing(samples, monkeypatch):
    model = library.open_model(library.model_id(samples / "digits-cnn.safetensors")).module
    inputs = torch.rand(90, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    parts = list(inputs.split(8))
    outputs = {}
    for most in (1, 3):
        monkeypatch.setattr(workers, "MOST", most)
        with workers.workers() as team, torch.no_grad():
            outputs[team.count] = torch.cat(team.run(model, parts))
    assert 1 in outputs
    for found in outputs.values():
        torch.testing.assert_close(found, outputs[1], rtol=1e-5, atol=1e-5)
    assert torch.get_num_threads() == THREADS


def test_when_a_batch_fails_the_others_are_over_before_it_is_said():
    begun, failed, ended = threading.Event(), threading.Event(), threading.Event()

    def run(part):
        if part == "slow":
            begun.set()
            failed.wait(20)
            ended.wait(0.2)  # nobody sets it before
            ended.set()
        elif part == "bad":
            begun.wait(20)
            failed.set()
            raise ValueError("bad")

    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(ValueError, match="bad"):
            workers.Workers(2, pool).run(run, ["bad", "slow"])
        assert ended.is_set()


FAULTS_OF_TEN_BATCHES = """
import resource
import torch
from core.one_pass.workers import workers

def faults(batch):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [torch.ones(8 << 20, dtype=torch.uint8) for _ in range(4)]  # 8,192 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with workers() as team:
    print(sum(sorted(team.run(faults, range(20)))[:10]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's allocator")
def test_memory_that_a_batch_freed_is_used_again_by_the_next():
    command = [sys.executable, "-c", FAULTS_OF_TEN_BATCHES]
    environment = {"PATH": "", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    assert int(done.stdout) < 8192  # with no page kept, ten times that


def test_out_of_memory_at_one_is_an_error():
    with pytest.raises(UserError, match="too little memory"):
        list(
            forward_pass.batches(
                Forgetful(0).to(device()), Pictures(), 10, {}, lambda done, total: None
            )
        )


class OneSize(torch.nn.Module):
    """Takes batches of 7 only, as an export with a fixed batch may."""

    batch = (7, 7)

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Flatten()

    def forward(self, x):
        assert len(x) == 7
        return self.inner(x)


def test_a_network_of_one_batch_size_keeps_every_row():
    pools = {"inner": POOLINGS["mean"]}
    found = list(forward_pass.batches(OneSize(), Pictures(), 40, pools, lambda done, total: None))
    for name in ("", "inner"):
        assert np.array_equal(
            np.concatenate([outputs[name] for _, outputs in found])[:, 0], np.arange(40)
        )


class NoChannelsLast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 1)

    def forward(self, x):
        return self.conv(x).view(x.shape[0], -1)  # refuses channels-last outputs


def exported(model, path):
    """The network as a frozen graph, which raises errors of its own kind."""
    program = torch.export.export(
        model, (torch.zeros(2, 1, 2, 2),), dynamic_shapes=({0: torch.export.Dim("n", max=4096)},)
    )
    torch.export.save(program, path)
    return library.open_model(library.model_id(path)).module


@pytest.mark.parametrize("frozen", [False, True])
def test_a_network_that_cannot_take_channels_last_is_run_as_usual(frozen, tmp_path):
    model = NoChannelsLast().eval().requires_grad_(False)
    model = exported(model, tmp_path / "net.pt2") if frozen else model
    pictures = Pictures()
    found = list(forward_pass.batches(model, pictures, 3000, {}, lambda done, total: None))
    assert sum(len(outputs[""]) for _, outputs in found) == 3000
    assert found[-1][1][""].shape[1] == 16


def test_the_plan_takes_the_cheapest_size(monkeypatch):
    seconds = {8: 2.0, 16: 1.0, 32: 1.05, 64: 3.0, 128: 0.1}  # an example; 64 ends the search
    clock = [0.0]
    monkeypatch.setattr(batches.time, "perf_counter", lambda: clock[0])
    model = torch.nn.Linear(1, 1)
    plan, used = BatchPlan(model, 10_000), []
    for _ in range(40):
        with plan.timed(plan.size):
            used.append(plan.size)
            clock[0] += seconds[plan.size] * plan.size
    assert used[-1] == 16
    assert 128 not in used
    again, few = BatchPlan(model, 10_000), BatchPlan(model, 100)
    assert (again.size, again.searching) == (16, False)
    assert few.size == 8  # of which less data lets fewer be tried


def test_sizes_too_quick_to_be_timed_are_passed_over_and_a_hopeless_one_is_timed_once(monkeypatch):
    # An example costs 20 µs, so rounds of 8 to 128 last less than 4 ms; 512 is far worse.
    seconds = {8: 1e-6, 512: 100e-6}
    clock = [0.0]
    monkeypatch.setattr(batches.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(batches, "device", lambda: torch.device("cpu"))
    plan, used = BatchPlan(torch.nn.Linear(1, 1), 100_000), []
    for _ in range(40):
        with plan.timed(plan.size):
            used.append(plan.size)
            clock[0] += seconds.get(plan.size, 20e-6) * plan.size
    assert used[-1] == 256  # not 8, however cheap it looked
    assert used.count(512) == 1 and used.count(128) == 2


def test_workers_together_use_as_many_threads_as_one_operator_would():
    """A thread of torch's takes what is set when it first asks, and what was set last is not its
    own: each would use all processors."""
    everything = torch.get_num_threads()
    with workers.workers() as team:
        def used(_):
            torch.relu(torch.zeros(100_000))
            return torch.get_num_threads()

        assert set(team.run(used, range(20))) == {everything // team.count}
    assert torch.get_num_threads() == everything


def test_when_one_batch_fails_the_others_are_left_and_none_is_running():
    with workers.workers() as team:
        done = []

        def work(part):
            if part == 3:
                raise ValueError(part)
            done.append(part)

        with pytest.raises(ValueError, match="3"):
            team.run(work, range(100_000))
        assert len(done) < 100_000
        assert team.run(lambda part: part * 2, [1, 2, 3]) == [2, 4, 6]


def test_a_layout_that_an_earlier_pass_found_is_left_where_it_fails():
    model = NoChannelsLast().eval().requires_grad_(False).to(device())
    with workers.workers() as team:
        plan = BatchPlan(model, 3000, team.count)
    batches._found[model][plan.asked] = (32, torch.channels_last), 1e-3
    found = list(forward_pass.batches(model, Pictures(), 3000, {}, lambda done, total: None))
    assert sum(len(outputs[""]) for _, outputs in found) == 3000


def test_an_unreadable_picture_is_left_out_and_counted(samples, tmp_path):
    from core.overview import left_out, pass_notes

    random = np.random.default_rng(0)
    for name in ("3", "7"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(
                tmp_path / "set" / name / f"{i}.png"
            )
    broken = tmp_path / "set" / "3" / "1.png"
    broken.write_bytes(broken.read_bytes()[:-30])  # the header is whole, the pixels are not
    model_id, dataset_id = (
        library.model_id(samples / "digits-cnn.safetensors"),
        library.dataset_id(tmp_path / "set"),
    )
    table = outcomes(model_id, dataset_id)
    assert table["example"].tolist() == [0, 2, 3, 4, 5, 6, 7]
    assert set(table["label"].astype(str)) == {"3", "7"}
    assert summary(model_id, dataset_id).scored == 7
    assert any(
        "1 of 8 examples have no prediction" in note for note in pass_notes(model_id, dataset_id)
    )
    ((path, why),) = left_out(model_id, dataset_id).to_numpy().tolist()
    assert path.endswith("1.png") and "1.png" in why


def test_a_network_that_is_no_classifier_is_refused():
    class Dense(torch.nn.Module):
        def forward(self, x):
            return x.sum()

    with pytest.raises(UserError, match="a classifier gives"):
        list(forward_pass.batches(Dense(), Pictures(), 10, {}, lambda done, total: None))


def test_corrections_change_the_numbers_and_only_what_they_touch(samples):
    path = samples / "digits-cnn.safetensors"
    dataset_id = library.dataset_id(samples / "digits-test.json")
    plain, titled = library.model_id(path), library.model_id(path, Card(title="another"))
    probability = library.model_id(path, Card(output="probabilities"))
    assert inference.pass_key(plain, dataset_id) == inference.pass_key(titled, dataset_id)
    assert inference.pass_key(plain, dataset_id) != inference.pass_key(probability, dataset_id)


def test_a_sample_keeps_the_shares_of_the_classes(samples):
    whole = library.open_dataset(library.dataset_id(samples / "digits-all.json"))
    part = library.open_dataset(library.dataset_id(samples / "digits-all.json", 300))
    assert len(part) == 300
    share = np.bincount(whole.labels) / len(whole)
    assert np.abs(np.bincount(part.labels) / 300 - share).max() < 0.01
    again = library.open_dataset(library.dataset_id(samples / "digits-all.json", 300))
    assert np.array_equal(part.labels, again.labels)
    assert any("300 of 1,797" in note for note in part.notes)


def test_a_network_that_does_not_run_says_why(samples, tmp_path):
    from core.card import InputSpec

    wrong = Card(input=InputSpec(channels=3, height=8, width=8))
    model_id = library.model_id(samples / "shapes-vit.safetensors", wrong)
    with pytest.raises(UserError, match="does not run on an input of 3 × 8 × 8"):
        outcomes(model_id, library.dataset_id(samples / "shapes-test.json", 8))


class ChannelsLast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Identity()

    def forward(self, x):  # (N, C, H, W), inside (N, H, W, C) as Swin has it
        return self.inner(x.permute(0, 2, 3, 1)).mean((1, 2))


def test_maps_whose_channels_are_last_are_pooled_over_places():
    inputs = torch.rand(2, 5, 4, 4)
    ready = SimpleNamespace(take=lambda start, size, ahead: inputs, inputs=lambda part: part)
    pools = {"inner": POOLINGS["mean"]}
    [(_, found)] = forward_pass.batches(ChannelsLast(), ready, 2, pools, lambda done, total: None)
    assert np.allclose(found["inner"], inputs.mean((2, 3)).numpy(), atol=1e-6)


def test_weights_without_a_network_ask_for_no_pass(samples, tmp_path, monkeypatch):
    save_file({"some.weight": torch.ones(3, 5, 7)}, tmp_path / "odd.safetensors")
    monkeypatch.setattr(forward_pass, "run_pass", lambda *given: pytest.fail("a pass was begun"))
    with pytest.raises(MissingNetworkError, match="weights only") as refused:
        predictions(*ids(samples, tmp_path / "odd.safetensors", "shapes-test.json"))
    assert "torch.zeros(1, 3, 64, 64)" in refused.value.code
