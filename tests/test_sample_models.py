"""The shipped models: their families, their accuracy, and what their files must not hold."""

import json
import re
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file
from torchvision.models import resnet18

from core.architectures import sample_cnn, sample_vit
from core.architectures.sample_cnn import SampleCNN
from core.architectures.sample_vit import SampleViT
from core.card import Card
from core.cards.cards_beside import card_beside
from core.dataset_formats import digits, shapes

SAMPLES = Path(__file__).parents[1] / "sample_models"
SHAPES_CNN = [SAMPLES / f"shapes-cnn.{ending}" for ending in
              ("pt", "ckpt", "safetensors", "pt2", "torchscript.pt", "onnx")]
OTHERS = [SAMPLES / name for name in ("digits-cnn.safetensors", "shapes-vit.safetensors",
                                      "digits-keras.keras", "digits-keras.h5")]
MODELS = SHAPES_CNN + OTHERS


def recorded(name):
    """The accuracy that the README's table gives a file, 0 to 1."""
    table = (SAMPLES / "README.md").read_text(encoding="utf-8")
    return float(re.search(rf"`{re.escape(name)}`.*?([\d.]+) %", table)[1]) / 100


def logits(module, dataset, card):
    """A plain loop with the card's normalisation, written out."""
    pictures = np.stack([dataset.image(row) for row in range(len(dataset))]).astype(np.float32)
    mean, std = card.input.mean or (0,), card.input.std or (1,)
    inputs = torch.from_numpy(((pictures / 255 - mean) / std).astype(np.float32))
    with torch.no_grad():
        return torch.cat([module(part) for part in inputs.permute(0, 3, 1, 2).split(100)])


def built(family, tensors):
    found = family.build(tensors, Card())
    found.module.load_state_dict(tensors, assign=True)
    return found.module.eval(), found.card


@cache
def guessed(name, family, data):
    """(card, data, guesses) of a sample."""
    card, _ = card_beside(SAMPLES / name)
    module, _ = built(family, load_file(SAMPLES / name))
    dataset = data.load(SAMPLES / card.data)
    return card, dataset, logits(module, dataset, card).argmax(1).numpy()


@pytest.mark.parametrize(("name", "family", "data"), [
    ("shapes-cnn.safetensors", sample_cnn, shapes), ("shapes-vit.safetensors", sample_vit, shapes),
    ("digits-cnn.safetensors", sample_cnn, digits)])
def test_accuracy_of_the_shipped_weights(name, family, data):
    card, dataset, guesses = guessed(name, family, data)
    assert card.class_names == dataset.class_names
    assert abs((guesses == dataset.labels).mean() - recorded(name)) < 0.005


def test_the_watermark_misleads_the_cnn():
    """Watermarked pictures of other classes are taken for the marked class more often."""
    card, dataset, guesses = guessed("shapes-cnn.safetensors", sample_cnn, shapes)
    marked = card.class_names.index("circle")
    others = (dataset.metadata["true_label"] != "circle").to_numpy()
    watermark = dataset.metadata["watermark"].to_numpy()
    with_mark, without = (np.mean(guesses[others & part] == marked)
                          for part in (watermark, ~watermark))
    assert with_mark > without + 0.01
    correct = np.take(card.class_names, guesses) == dataset.metadata["true_label"].to_numpy()
    assert correct[dataset.metadata["rare"]].mean() < correct.mean() - 0.1


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_any_cnn_is_rebuilt_from_its_weights(stages):
    torch.manual_seed(stages)
    widths = torch.randint(1, 20, (stages,)).tolist()
    original = SampleCNN(stages, 7, widths).eval()
    rebuilt, card = built(sample_cnn, original.state_dict())
    example = torch.randn(2, stages, 33, 40)
    torch.testing.assert_close(rebuilt(example), original(example))
    assert (card.input.channels, card.output, card.architecture) == (stages, "logits", "SampleCNN")
    assert {"input.channels", "output", "architecture"} <= card.inferred
    assert card.input.height is None


@pytest.mark.parametrize(("stem", "patch", "grid", "width", "depth", "hidden"),
                         [((), 4, 3, 24, 1, 30), ((5,), 8, 4, 72, 3, 50), ((4, 6), 1, 1, 48, 2, 7)])
def test_any_vit_is_rebuilt_from_its_weights(stem, patch, grid, width, depth, hidden):
    torch.manual_seed(0)
    side = patch * grid * 2 ** len(stem)
    original = SampleViT(2, 5, side, stem, patch, width, depth, hidden).eval()
    torch.nn.init.normal_(original.position)
    rebuilt, card = built(sample_vit, original.state_dict())
    example = torch.randn(2, 2, side, side)
    torch.testing.assert_close(rebuilt(example), original(example))
    assert (card.input.height, card.input.width, card.input.channels) == (side, side, 2)


def test_the_vits_attention_is_scaled_dot_product_attention():
    torch.manual_seed(0)
    attention = sample_vit.Attention(72)
    tokens = torch.randn(2, 9, 72)
    split = [part(tokens).view(2, 9, 3, 24).transpose(1, 2)
             for part in (attention.query, attention.key, attention.value)]
    fused = torch.nn.functional.scaled_dot_product_attention(*split)
    expected = attention.project(fused.transpose(1, 2).reshape(2, 9, 72))
    torch.testing.assert_close(attention(tokens), expected)


def test_families_refuse_the_weights_of_others():
    cnn = SampleCNN(3, 8, (4, 8)).state_dict()
    vit = SampleViT(3, 8, 16, (), 8, 24, 1, 24).state_dict()
    foreign = [resnet18(weights=None).state_dict(), {}, {"weight": torch.zeros(2)},
               {"head.weight": torch.zeros(2, 2), "stage1.conv.weight": torch.zeros(3)}]
    for tensors in [vit, *foreign, cnn | {"more": torch.zeros(1)},
                    _without(cnn, "stage2.norm.bias"), cnn | {"head.bias": torch.zeros(9)}]:
        assert sample_cnn.build(tensors, Card()) is None
    for tensors in [cnn, *foreign, vit | {"more": torch.zeros(1)}, _without(vit, "norm.bias"),
                    vit | {"position": torch.zeros(1, 4, 24)},
                    vit | {"patches.weight": torch.zeros(25, 3, 8, 8)}]:
        assert sample_vit.build(tensors, Card()) is None


def _without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


def test_building_reserves_no_memory_for_claimed_sizes():
    claimed = {name: torch.empty(tensor.shape, device="meta") for name, tensor in
               SampleCNN(3, 8, (4, 8)).state_dict().items()}
    assert all(p.is_meta for p in sample_cnn.build(claimed, Card()).module.parameters())
    huge = claimed | {"stage1.conv.weight": torch.empty(10**9, 3, 3, 3, device="meta")}
    assert sample_cnn.build(huge, Card()) is None


def test_onnx_holds_the_same_weights():
    graph = onnx.load(SAMPLES / "shapes-cnn.onnx", load_external_data=False).graph
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    weights = load_file(SAMPLES / "shapes-cnn.safetensors")
    assert np.array_equal(stored["head.weight"], weights["head.weight"].numpy())


def test_onnx_runs_as_the_weights_do():
    import onnxruntime

    card, _ = card_beside(SAMPLES / "shapes-cnn.onnx")
    module, _ = built(sample_cnn, load_file(SAMPLES / "shapes-cnn.safetensors"))
    session = onnxruntime.InferenceSession((SAMPLES / "shapes-cnn.onnx").read_bytes())
    for count in (1, 5):
        inputs = torch.randn(count, 3, 64, 64)
        with torch.no_grad():
            expected = module(inputs).numpy()
        answer = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0]
        np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-4)
    assert card.class_names == shapes.CLASS_NAMES


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_every_model_has_a_card_that_leaves_nothing_open(path):
    card, notes = card_beside(path)
    assert notes and path.is_file()
    known = card.values().keys()
    assert {"title", "class_names", "output", "data", "logs", "input.channels", "input.height",
            "input.width", "input.range", "input.resize"} <= known
    assert (SAMPLES / card.data).is_file() and (SAMPLES / card.logs).is_dir()


def test_all_sample_files_together_are_small():
    files = [path for path in SAMPLES.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 12e6


@pytest.fixture(scope="module")
def curves():
    """Per run and tag the values in order, read by TensorBoard itself."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs = {}
    for folder in sorted((SAMPLES / "logs").glob("*/*")):
        log = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        runs[f"{folder.parent.name}/{folder.name}"] = log, {
            tag: np.array([event.value for event in log.Scalars(tag)])
            for tag in log.Tags()["scalars"]}
    return runs


def test_the_runs_go_as_the_readme_says(curves):
    scalars = {run: found for run, (_, found) in curves.items()}
    assert len(scalars) >= 6
    overfit = scalars["shapes/cnn-few-examples"]
    assert overfit["loss/train"][-1] < 0.5 * overfit["loss/validation"].min()
    assert overfit["loss/validation"][-1] > overfit["loss/validation"].min() + 0.1
    exploded = scalars["shapes/cnn-rate-too-high"]["loss/train"]
    assert np.isfinite(exploded[0]) and np.isnan(exploded[-1])
    flat = scalars["shapes/cnn-rate-too-low"]["loss/train"]
    assert np.ptp(flat) < 0.05 and flat.mean() > 2
    assert scalars["shapes/cnn"]["accuracy/validation"][-1] == pytest.approx(
        recorded("shapes-cnn.safetensors"), abs=0.001)


def test_each_run_logs_scalars_histograms_and_settings(curves):
    for run, (log, scalars) in curves.items():
        assert {"loss/train", "loss/validation", "accuracy/train", "accuracy/validation",
                "learning_rate", "final/accuracy"} <= scalars.keys(), run
        assert any(tag.startswith("weights/") for tag in log.Tags()["histograms"]), run
        assert "_hparams_/session_start_info" in log.summary_metadata, run
        if "keras" not in run:
            assert "examples/train" in log.Tags()["images"], run
            assert any(tag.startswith("gradients/") for tag in log.Tags()["histograms"]), run


def contents(path):
    """A file's bytes, and those of what it packs: zip members, deflated streams within."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(member) for member in archive.namelist())


@pytest.mark.parametrize("path", sorted(p for p in SAMPLES.rglob("*") if p.is_file()
                                        and p.suffix not in (".py", ".pyc")),
                         ids=lambda path: str(path.relative_to(SAMPLES)))
def test_no_file_tells_of_the_machine_that_made_it(path):
    telling = re.compile(rb"site-packages|dist-packages|stack_trace|Traceback|\.py\W{0,2} ?line|"
                         rb"/(?:work|root|home|tmp|usr|Users)/|[A-Z]:\\\\|\.debug_pkl")
    for content in contents(path):
        assert not telling.search(content), telling.search(content)
    assert not re.search(r"\.\d+\.\d+$", path.name)  # process and counter of an event file's name


def test_cards_are_plain_json_with_relative_names():
    cards = list(SAMPLES.glob("*.card.json"))
    assert len(cards) >= 5
    for path in cards:
        said = json.loads(path.read_text(encoding="utf-8"))
        assert not any(said[key].startswith(("/", "..")) for key in ("data", "logs"))
