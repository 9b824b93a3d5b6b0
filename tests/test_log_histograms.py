"""Histograms in bulk, percentiles, bins and gradient flow against TensorBoard's own code."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.distribution.compressor import (
    compress_histogram,
    compress_histogram_proto,
)
from tensorboard.util.tensor_util import make_tensor_proto

from core import library
from core.errors import UserError
from core.events.histograms import histograms
from core.logged import gradient_flow
from core.logged import histograms as log_histograms
from core.logged.histograms import percentiles, rebinned
from core.logs import read_logs
from tests.event_files import NAME, scalar, tensor, tensorboard_reader, write

LARGEST = np.finfo(float).max


def of(folder):
    rows = read_logs(folder).others
    rows = rows[rows["kind"].isin(log_histograms.KINDS)]
    return rows, histograms(rows)


def buckets(found, number):
    part = slice(found.first[number], found.first[number] + found.size[number])
    return found.left[part], found.right[part], found.counts[part]


def old(tag, step, limits, counts, low=0.0, high=0.0, squares=0.0):
    proto = HistogramProto(min=low, max=high, num=sum(counts), sum_squares=squares,
                           bucket_limit=limits, bucket=counts)
    return Event(step=step, wall_time=1.7e9, summary=Summary(
        value=[Summary.Value(tag=tag, histo=proto)]))


@pytest.fixture
def by_torch(tmp_path):
    from torch.utils.tensorboard import SummaryWriter
    chance = np.random.default_rng(1)
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(30):
            for layer in range(12):
                values = chance.normal(0.1 * layer, 10.0 ** (layer - 6), 5 + 40 * layer)
                writer.add_histogram(f"weights/layer{layer}", values, step, bins="auto")
                writer.add_scalar("loss", step, step)
            writer.add_histogram("weights/odd", np.zeros(7), step)
            writer.add_histogram("weights/default", chance.random(50), step)
    return tmp_path


def test_all_histograms_of_torch_equal_tensorboards(by_torch):
    rows, found = of(by_torch)
    theirs, place = tensorboard_reader(by_torch), {}
    assert len(rows) == 30 * 14
    for number, tag in enumerate(rows["tag"]):
        place[tag] = place.get(tag, -1) + 1
        proto = theirs.Histograms(tag)[place[tag]].histogram_value
        left, right, counts = buckets(found, number)
        assert right.tolist() == list(proto.bucket_limit)
        assert counts.tolist() == list(proto.bucket)
        assert left.tolist() == [proto.min, *proto.bucket_limit[:-1]]
        assert (found.lowest[number], found.highest[number]) == (proto.min, proto.max)
        assert found.squares[number] == proto.sum_squares or np.isnan(found.squares[number])
        assert (proto.sum_squares == 0) == np.isnan(found.squares[number])
    assert found.faults == {}


def test_percentiles_equal_the_compressors_to_the_last_bit(by_torch):
    rows, found = of(by_torch)
    ours, theirs, place = percentiles(found), tensorboard_reader(by_torch), {}
    for number, tag in enumerate(rows["tag"]):
        place[tag] = place.get(tag, -1) + 1
        proto = theirs.Histograms(tag)[place[tag]].histogram_value
        assert ours[number].tolist() == [value for _, value in compress_histogram_proto(proto)]


@pytest.mark.parametrize("table", [
    np.array([[0, 1, 5], [1, 2, 7.0]]), np.array([[-3, -1, 0], [-1, 4, 1.0]]), np.zeros((0, 3)),
    np.array([[2, 2, 9.0]]), np.array([[0, 1, 0], [1, 2, 0.0]]),
    np.array([[0, 1, 0], [1, 2, 3], [2, 3, 0], [3, 8, 1], [8, 9, 0.0]])])
def test_a_second_tensorflows_percentiles(table, tmp_path):
    write(tmp_path / NAME, [tensor("h", 0, make_tensor_proto(table), "histograms")])
    _, found = of(tmp_path)
    np.testing.assert_array_equal(np.stack(buckets(found, 0), axis=1), table)
    expected = [value for _, value in compress_histogram(table.tolist())]
    assert percentiles(found)[0].tolist() == expected


def test_tensors_in_every_form_and_beside_each_other(tmp_path):
    chance, tables, events = np.random.default_rng(0), [], []
    for step in range(40):
        table = np.sort(chance.random((step % 4, 3)), axis=0)
        tables += [table, np.float32(table), table]
        proto = make_tensor_proto(table)
        listed = TensorProto(dtype=2, tensor_shape=proto.tensor_shape,
                             double_val=table.ravel().tolist())
        events += [tensor("a", step, proto, "histograms"),
                   tensor("b", step, make_tensor_proto(np.float32(table)), "histograms"),
                   tensor("c", step, listed, "histograms")]
    write(tmp_path / NAME, events)
    _, found = of(tmp_path)
    for number, table in enumerate(tables):
        np.testing.assert_array_equal(np.stack(buckets(found, number), axis=1), table)


def test_many_histograms_in_one_record(tmp_path):
    events = []
    for step in range(3):
        event = scalar("loss", step, 1.0)
        for layer in range(5):
            event.summary.value.extend(old(f"w{layer}", step, [1, 2.0], [layer, step + 1.0],
                                           high=2.0).summary.value)
        events.append(event)
    write(tmp_path / NAME, events)
    rows, found = of(tmp_path)
    for number, row in enumerate(rows.to_dict("records")):
        expected = [float(row["tag"][1:]), row["step"] + 1.0]
        assert buckets(found, number)[2].tolist() == expected


def test_a_bad_histogram_costs_only_itself(tmp_path):
    events = [old("h", step, [1.0, 2.0], [3.0, 4.0], high=2.0) for step in range(4)]
    events[2] = old("h", 2, [1.0, 2.0], [3.0], high=2.0)
    events.append(tensor("h", 4, make_tensor_proto(np.zeros((2, 2))), "histograms"))
    write(tmp_path / NAME, events)
    _, found = of(tmp_path)
    assert found.size.tolist()[:2] == [2, 2] and found.size[2] == -1
    steps = log_histograms.along_steps(library.logs_id(tmp_path), tmp_path.name, "h")
    assert steps.step.tolist() == [0, 1, 3]
    assert any("differ in number" in fault for fault in steps.faults)


def test_nan_and_infinite_histograms_are_named_not_drawn(tmp_path):
    write(tmp_path / NAME, [old("h", 0, [1.0, 2.0], [1.0, 1.0], high=2.0),
                            old("h", 1, [1.0, 2.0], [1.0, np.nan], high=2.0),
                            old("h", 2, [np.nan, 2.0], [1.0, 1.0], high=2.0),
                            old("h", 3, [1.0, 2.0], [1.0, 1.0], high=np.inf),
                            old("h", 4, [-LARGEST, 1, LARGEST], [0, 3.0, 2.0], -5.0, 9.0)])
    steps = log_histograms.along_steps(library.logs_id(tmp_path), tmp_path.name, "h")
    assert steps.step.tolist() == [0, 4]
    assert "3 not drawn: its edges or counts are NaN or infinite." in steps.faults
    assert steps.bands[1, 0] == -5 and steps.bands[1, -1] == 9


def in_bins(table, low, high, count=30):
    """TensorBoard's own loop (vz_histogram's intermediateToD3), bin by bin."""
    width, bucket, result = (high - low) / count, 0, []
    for place in range(count):
        begin = low + place * width
        end, total = begin + width, 0.0
        while bucket < len(table):
            left, right = max(low, table[bucket][0]), min(high, table[bucket][1])
            if right > left:
                overlap = min(right, end) - max(left, begin)
                total += max(0.0, overlap) / (right - left) * table[bucket][2]
            elif begin <= left and (right <= end if end >= high else right < end):
                total += table[bucket][2]
            if right > end:
                break
            bucket += 1
        result.append(total)
    return result


def test_bins_are_tensorboards(by_torch):
    rows, found = of(by_torch)
    bands = percentiles(found)
    for tag in rows["tag"].unique():
        chosen = np.flatnonzero(rows["tag"] == tag)
        low, high = bands[chosen, 0].min(), bands[chosen, -1].max()
        if low == high:
            low, high = low / 1.1 - 1, low * 1.1 + 1
        ours = rebinned(found, low, high)
        for number in chosen:
            _, right, counts = buckets(found, number)
            full = np.flatnonzero(counts > 0)
            inner = right[full[0]:full[-1]]
            table = np.stack([[found.lowest[number], *inner], [*inner, found.highest[number]],
                              counts[full[0]:full[-1] + 1]], axis=1)
            np.testing.assert_allclose(ours[number], in_bins(table, low, high),
                                       atol=1e-9 * counts.sum())
            assert ours[number].sum() == pytest.approx(counts.sum())


def test_packed_logs_and_files_that_went_away(by_torch, tmp_path_factory):
    (path,) = by_torch.glob("*tfevents*")
    packed = tmp_path_factory.mktemp("packed")
    (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    (rows, plain), (_, found) = of(by_torch), of(packed)
    for number in range(0, len(rows), 17):
        np.testing.assert_array_equal(buckets(found, number), buckets(plain, number))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="became shorter"):
        histograms(rows)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        histograms(rows)


def test_many_steps_are_sampled_and_the_number_is_said(tmp_path):
    write(tmp_path / NAME, [old("h", step, [1.0], [step + 1.0], high=1.0) for step in range(1000)])
    steps = log_histograms.along_steps(library.logs_id(tmp_path), tmp_path.name, "h", 50)
    assert (len(steps.step), steps.logged, steps.step[0], steps.step[-1]) == (50, 1000, 0, 999)
    assert steps.histograms.totals().tolist() == (steps.step + 1.0).tolist()


def test_tags_in_the_order_that_people_count(tmp_path):
    write(tmp_path / NAME, [old(tag, 0, [1.0], [1.0]) for tag in ("w/10", "w/2", "w", "b/1")])
    identity = library.logs_id(tmp_path)
    assert log_histograms.tags_by_run(identity)["tag"].tolist() == ["b/1", "w", "w/2", "w/10"]
    assert log_histograms.has_any(identity)


def test_logs_without_histograms(tmp_path):
    write(tmp_path / NAME, [scalar("loss", 0, 1.0)])
    identity = library.logs_id(tmp_path)
    assert not log_histograms.has_any(identity)
    assert log_histograms.tags_by_run(identity).empty
    assert gradient_flow.gradient_flow(identity).table.empty


def logged_gradients(folder, size, steps=20, layers=4):
    """What torch logs of gradients whose spread size(layer, step) says; the arrays themselves."""
    from torch.utils.tensorboard import SummaryWriter
    chance, arrays = np.random.default_rng(2), {}
    with SummaryWriter(str(folder)) as writer:
        for step in range(steps):
            for layer in range(layers):
                values = chance.normal(0, 1, 60 * (layer + 1)) * size(layer, step)
                arrays[f"layer{layer}.weight", step] = values
                writer.add_histogram(f"gradients/layer{layer}.weight", values, step)
    return arrays


def test_norms_are_those_of_the_arrays(tmp_path):
    arrays = logged_gradients(tmp_path, lambda layer, step: 0.1)
    flow = gradient_flow.gradient_flow(library.logs_id(tmp_path))
    assert len(flow.table) == len(arrays)
    for row in flow.table.to_dict("records"):
        values = arrays[row["layer"], row["step"]]
        assert row["norm"] == pytest.approx(np.linalg.norm(values))
        assert row["rms"] == pytest.approx(np.sqrt(np.mean(values**2)))
    assert "exact" in flow.notes[0]
    assert flow.marks == ()


def test_norms_from_bins_are_said_to_be_approximate(tmp_path):
    values = np.random.default_rng(0).normal(0, 1, 5000)
    counts, edges = np.histogram(values, 60)
    table = np.stack([edges[:-1], edges[1:], counts], axis=1)
    write(tmp_path / NAME, [tensor("fc/grad", 0, make_tensor_proto(table), "histograms")])
    flow = gradient_flow.gradient_flow(library.logs_id(tmp_path))
    assert flow.table["norm"].item() == pytest.approx(np.linalg.norm(values), rel=0.01)
    assert "approximate" in flow.notes[0]


def test_logged_norms_are_preferred(tmp_path):
    events = [scalar(f"grad_2.0_norm/layer{layer}", step, 1.0 + layer)
              for step in range(3) for layer in range(2)]
    events += [old("gradients/layer0", step, [1.0], [9.0], high=1.0) for step in range(3)]
    write(tmp_path / NAME, events)
    flow = gradient_flow.gradient_flow(library.logs_id(tmp_path))
    assert flow.table.groupby("layer")["norm"].first().to_dict() == {"layer0": 1.0, "layer1": 2.0}
    assert flow.table["rms"].isna().all()
    assert "logged as scalars" in flow.notes[0]


@pytest.mark.parametrize(("size", "layer", "kind", "step"), [
    (lambda layer, step: 500.0 if (layer, step) == (1, 12) else 0.1, 1, "exploding", 12),
    (lambda layer, step: np.inf if layer == 2 and step > 6 else 0.1, 2, "exploding", 7),
    (lambda layer, step: 1e-6 if layer == 0 and step >= 9 else 0.1, 0, "vanishing", 9),
    (lambda layer, step: 0.0 if layer == 3 and step >= 5 else 0.1, 3, "vanishing", 5)])
def test_trouble_is_marked_where_it_begins(size, layer, kind, step):
    rows = [{"run": "r", "layer": f"layer{number}", "order": number, "step": at,
             "norm": size(number, at) * 8, "rms": size(number, at)}
            for number in range(4) for at in range(20)]
    (mark,) = gradient_flow.marks(pd.DataFrame(rows))
    assert (mark.layer, mark.kind, mark.step) == (f"layer{layer}", kind, step)


def test_layers_that_only_differ_in_size_or_shrink_together_are_no_trouble():
    rows = [{"run": "r", "layer": f"layer{number}", "order": number, "step": at,
             "norm": 0.9**at * 3.0**number * 10, "rms": 0.9**at * 3.0**number}
            for number in range(6) for at in range(100)]
    assert gradient_flow.marks(pd.DataFrame(rows)) == []


def test_two_steps_do_not_make_a_vanishing_gradient():
    low = [0.1, 1e-9, 1e-9, 0.1, 1e-9, 0.1]
    rows = [{"run": "r", "layer": name, "order": 0, "step": step, "norm": value, "rms": value}
            for name, values in (("a", low), ("b", [0.1] * 6), ("c", [0.1] * 6))
            for step, value in enumerate(values)]
    assert gradient_flow.marks(pd.DataFrame(rows)) == []


@pytest.mark.parametrize(("tag", "layer"), [
    ("gradients/conv1.weight", "conv1.weight"), ("conv1.weight.grad", "conv1.weight"),
    ("conv1.weight_grad", "conv1.weight"), ("grad_2.0_norm/fc.bias", "fc.bias"),
    ("grad_2.0_norm_total", "all layers"), ("train/grad_norm", "all layers"),
    ("Gradients/block/0/bias", "block/0/bias")])
def test_layers_by_the_names_of_tags(tag, layer):
    assert gradient_flow.is_gradient(tag)
    assert gradient_flow.layer_of(tag) == layer


def test_the_clean_sample_runs_have_no_trouble_and_the_broken_one_has(samples):
    flow = gradient_flow.gradient_flow(library.logs_id(samples / "logs" / "shapes"))
    assert {mark.run for mark in flow.marks} == {"cnn-rate-too-high"}
    assert set(flow.table["run"]) >= {"cnn", "vit"}


PAGE = """
from pathlib import Path
from core.library import logs_id, open_logs
from core.ui.log_histograms import distributions
identity = logs_id(Path({folder!r}))
distributions(identity, sorted(set(open_logs(identity).others["run"])))
"""


@pytest.mark.parametrize("view", ["Percentile bands", "Heat map", "Ridges", "Gradient flow"])
def test_every_view_draws(view, samples, tmp_path, quick_collection):
    from streamlit.testing.v1 import AppTest
    write(tmp_path / NAME, [old("<b>*x*</b>", step, [1.0], [1.0], high=1.0) for step in (0, 1)])
    for folder in (samples / "logs" / "shapes", tmp_path):
        app = AppTest.from_string(PAGE.format(folder=str(folder)), default_timeout=60)
        app.query_params["distribution"] = view
        app.run()
        assert not app.exception
        drawn = len(app.get("vega_lite_chart"))
        assert drawn == (0 if view == "Gradient flow" and folder == tmp_path
                         else 1 if folder == tmp_path else 5 if view == "Gradient flow" else 6)


def test_ridges_have_no_colour_but_grey_and_their_own(samples, quick_collection):
    from streamlit.testing.v1 import AppTest
    app = AppTest.from_string(PAGE.format(folder=str(Path(samples) / "logs" / "shapes")),
                              default_timeout=60)
    app.query_params["distribution"] = "Ridges"
    drawn = [json.loads(chart.proto.spec) for chart in app.run().get("vega_lite_chart")]
    scales = [spec["layer"][0]["encoding"]["fill"]["scale"] for spec in drawn]
    # Vega's own way from grey to orange leads around the colour wheel, through pink.
    assert scales and all(scale["interpolate"] == "rgb" for scale in scales)


@pytest.mark.parametrize("first", [10, 1000])
def test_no_ridge_is_cut(tmp_path, first):
    """The first step's values are more alike, so that its ridge is the highest."""
    from core.ui.histogram_charts import OVERLAP, ridges
    limits = (np.arange(200) / 100 - 1).tolist()
    write(tmp_path / NAME, [
        old("w", step, limits, [1.0] * 100 + [first if step == 0 else 2.0] + [1.0] * 99)
        for step in range(12)])
    steps = log_histograms.along_steps(library.logs_id(tmp_path), tmp_path.name, "w")
    chart = ridges(steps, (-1.0, 1.0), "#000000")
    bottom, top = chart.layer[0].encoding.y.to_dict()["scale"]["domain"]
    assert top <= chart.data["top"].min() < -OVERLAP and bottom == 11.5


@pytest.mark.parametrize("view, x, y", [
    ("Percentile bands", "step", "value"), ("Heat map", "step", "value"),
    ("Ridges", "value", "step"), ("Gradient flow", "step", "root mean square")])
def test_axes_and_colours_are_named(view, x, y, samples, quick_collection):
    from streamlit.testing.v1 import AppTest
    app = AppTest.from_string(PAGE.format(folder=str(Path(samples) / "logs" / "shapes")),
                              default_timeout=60)
    app.query_params["distribution"] = view
    app.run()
    for spec in [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]:
        layers = [layer["encoding"] for layer in spec["layer"]]
        assert {layer["x"]["title"] for layer in layers} == {x}
        assert {layer["y"]["title"] for layer in layers} == {y}
        if view == "Heat map":
            assert layers[0]["color"]["legend"]["title"] == "share of the step's values"


def test_a_name_too_long_for_a_chart_is_told_in_full(tmp_path, quick_collection):
    from streamlit.testing.v1 import AppTest
    names = ["a.weight", "encoder.layers.encoder_layer_10.self_attention.out_proj.weight"]
    write(tmp_path / NAME, [old(name, step, [0.0, 1.0], [1, 2], 0.0, 1.0, 1.0)
                            for name in names for step in range(3)])
    app = AppTest.from_string(PAGE.format(folder=str(tmp_path)), default_timeout=60).run()
    told = [caption.proto.help for caption in app.caption]
    assert [words.replace("\\", "").replace("\u2060", "") for words in told if words] == names[1:]


def test_names_that_are_not_there_are_said(samples, quick_collection):
    from streamlit.testing.v1 import AppTest
    app = AppTest.from_string(PAGE.format(folder=str(Path(samples) / "logs" / "shapes")),
                              default_timeout=60)
    app.query_params["find_histograms"] = "nothing of this name"
    assert "has that in its name" in app.run().caption[0].value


def test_tags_are_found_apart_from_those_of_the_curves(samples, quick_collection):
    from streamlit.testing.v1 import AppTest
    folder = Path(samples) / "logs" / "shapes"
    app = AppTest.from_string(PAGE.format(folder=str(folder)), default_timeout=60)
    app.query_params["find_tags"] = "loss"  # as left by the curves
    assert len(app.run().get("vega_lite_chart")) == 6
    tags = sorted(set(log_histograms.tags_by_run(library.logs_id(folder))["tag"]))
    app = AppTest.from_string(PAGE.format(folder=str(folder)), default_timeout=60)
    app.query_params["find_histograms"] = f"^({re.escape(tags[0])}|{re.escape(tags[-1])})$"
    titles = [json.dumps(json.loads(chart.proto.spec)["title"])
              for chart in app.run().get("vega_lite_chart")]
    assert titles and all(tags[0] in title or tags[-1] in title for title in titles)
