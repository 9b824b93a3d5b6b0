"""Pictures, texts, sounds and precision-recall curves of logs against what was logged."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.pr_curve.pr_curves_plugin import PrCurvesPlugin
from tensorboard.util.tensor_util import make_ndarray, make_tensor_proto

from core import library
from core.errors import UserError
from core.logged import custom_scalars, pr_curves
from core.logged import media as log_media
from tests.event_files import NAME, scalar, tensor, tensorboard_reader, write


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def gif(frames):
    out, pictures = io.BytesIO(), [Image.fromarray(frame) for frame in frames]
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:])
    return out.getvalue()


def bomb():
    """A PNG of a few bytes that claims 60,000 × 60,000 pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def picture(tag, step, content):
    value = Summary.Value(tag=tag, image=Summary.Image(
        height=4, width=5, colorspace=3, encoded_image_string=content))
    return Event(step=step, wall_time=1.7e9, summary=Summary(value=[value]))


def opened(folder, events):
    write(folder / NAME, events)
    return library.logs_id(folder)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (4, 5, 3), dtype=np.uint8)


def test_the_last_at_or_before_a_step_and_its_true_step(tmp_path, pixels):
    identity = opened(tmp_path, [picture("a", step, png(np.full_like(pixels, step)))
                                 for step in (10, 30, 20)])
    for asked, step in ((10, 10), (19, 10), (20, 20), (29, 20), (99, 30)):
        shown = log_media.shown_at(identity, tmp_path.name, "a", asked)
        assert shown.step == step
        assert (shown.pictures[0] == step).all()
    assert log_media.shown_at(identity, tmp_path.name, "a", 9) is None
    assert log_media.steps_of(identity) == [10, 20, 30]
    (row,) = log_media.media_series(identity).to_dict("records")
    assert (row["what"], row["logged"], row["first"], row["last"]) == ("pictures", 3, 10, 30)


def test_pictures_of_both_tensorflows_are_the_same_pixels(tmp_path, pixels):
    batch = make_tensor_proto([b"5", b"4", png(pixels), png(255 - pixels)])
    identity = opened(tmp_path, [picture("old", 0, png(pixels)),
                                 tensor("new", 0, batch, "images")])
    (old,) = log_media.shown_at(identity, tmp_path.name, "old", 0).pictures
    first, second = log_media.shown_at(identity, tmp_path.name, "new", 0).pictures
    np.testing.assert_array_equal(old, pixels)
    np.testing.assert_array_equal(first, pixels)
    np.testing.assert_array_equal(second, 255 - pixels)


def test_an_animated_gif_gives_its_first_frame_and_can_be_played(tmp_path):
    frames = [np.full((6, 6, 3), value, np.uint8) for value in (10, 200, 90)]
    identity = opened(tmp_path, [picture("clip", 0, gif(frames)),
                                 picture("still", 0, gif(frames[:1]))])
    shown = log_media.shown_at(identity, tmp_path.name, "clip", 0)
    np.testing.assert_array_equal(shown.pictures[0], frames[0])
    assert shown.plays == ((gif(frames), "image/gif"),)
    assert log_media.shown_at(identity, tmp_path.name, "still", 0).plays == ()


@pytest.mark.parametrize(("content", "said"), [
    (bomb(), "pixels; the limit is"), (b"", "empty"), (b"<svg onload='x()'/>", "SVG"),
    (b"no picture at all", "cannot be read as a picture"),
    (png(np.zeros((3, 3), "u1"))[:40], "cannot")])
def test_hostile_pictures_are_named_not_shown(content, said, tmp_path):
    identity = opened(tmp_path, [picture("a", 0, content), scalar("loss", 0, 1.0)])
    shown = log_media.shown_at(identity, tmp_path.name, "a", 0)
    assert shown.pictures == shown.plays == ()
    assert said in shown.faults[0]


def test_many_pictures_at_once_are_bounded(tmp_path, pixels):
    batch = make_tensor_proto([b"5", b"4", *[png(pixels)] * 40])
    identity = opened(tmp_path, [tensor("a", 0, batch, "images")])
    shown = log_media.shown_at(identity, tmp_path.name, "a", 0)
    assert len(shown.pictures) == log_media.MOST_PICTURES
    assert shown.faults == ("The first 16 of 40 are shown.",)


def test_texts_are_given_as_they_are(tmp_path):
    words = "# **bold** ![x](http://a.b/c.png) <script>x</script> \N{SNOWMAN}"
    long = "x" * (log_media.LONGEST_TEXT + 5)
    identity = opened(tmp_path, [
        tensor("a", 0, make_tensor_proto([words.encode(), b"\xff"]), "text"),
        tensor("a", 1, make_tensor_proto(long.encode()), "text")])
    assert log_media.shown_at(identity, tmp_path.name, "a", 0).words == (words, "\ufffd")
    shown = log_media.shown_at(identity, tmp_path.name, "a", 1)
    assert len(shown.words[0]) == log_media.LONGEST_TEXT
    assert "first 20,000 characters" in shown.faults[0]


def test_sounds_are_played_where_their_bytes_are_of_a_known_kind(tmp_path):
    wave = b"RIFF\x24\x00\x00\x00WAVEfmt "
    labelled = make_tensor_proto(np.array([[wave, b"a label"], [wave, b""]]))
    old = Event(summary=Summary(value=[Summary.Value(tag="old", audio=Summary.Audio(
        sample_rate=8000, encoded_audio_string=wave, content_type="text/html"))]))
    odd = Event(summary=Summary(value=[Summary.Value(tag="odd", audio=Summary.Audio(
        sample_rate=8000, encoded_audio_string=b"<html>", content_type="audio/wav"))]))
    identity = opened(tmp_path, [old, odd, tensor("new", 0, labelled, "audio")])
    assert log_media.shown_at(identity, tmp_path.name, "old", 0).plays == ((wave, "audio/wav"),)
    assert len(log_media.shown_at(identity, tmp_path.name, "new", 0).plays) == 2
    shown = log_media.shown_at(identity, tmp_path.name, "odd", 0)
    assert shown.plays == () and "no kind that browsers play" in shown.faults[0]


def test_a_value_of_the_wrong_kind_is_said(tmp_path):
    identity = opened(tmp_path, [tensor("a", 0, make_tensor_proto(np.zeros((2, 2))), "images")])
    shown = log_media.shown_at(identity, tmp_path.name, "a", 0)
    assert "not what its kind says" in shown.faults[0]


def test_what_is_not_drawn_is_listed(tmp_path):
    run = tmp_path / "run"
    graph = Event(graph_def=b"\x0a\x00")
    identity = opened(run, [graph, tensor("m", 0, make_tensor_proto(np.zeros((1, 2, 3))), "mesh"),
                            tensor("z", 0, make_tensor_proto(np.zeros((2, 2))), "my_plugin")])
    assert log_media.has_any(identity)
    (run / log_media.PROJECTOR).write_text("embeddings {}")
    table = log_media.not_shown(library.logs_id(tmp_path))
    assert set(table["kind"]) == {"graph", "mesh", "my_plugin", "projector"}
    assert table["meaning"].str.len().min() > 5


def test_logs_of_scalars_alone_have_none(tmp_path):
    identity = opened(tmp_path, [scalar("a", 0, 1.0)])
    assert not log_media.has_any(identity)
    assert log_media.not_shown(identity).empty and log_media.media_series(identity).empty
    assert pr_curves.curve_series(identity).empty and custom_scalars.layout(identity) == []


@pytest.fixture
def by_torch(tmp_path):
    from torch.utils.tensorboard import SummaryWriter
    chance = np.random.default_rng(0)
    labels, scores = chance.integers(0, 2, 400), np.clip(chance.random(400) * 0.7, 0, 1)
    with SummaryWriter(str(tmp_path)) as writer:
        for step in (0, 5):
            writer.add_pr_curve("pr", labels, scores, step, num_thresholds=101)
        writer.add_custom_scalars({"group": {"both": ["Multiline", ["loss.*", "acc"]],
                                             "band": ["Margin", ["mean", "low", "high"]]}})
    return tmp_path, labels, scores


def test_curves_equal_tensorboards_entries(by_torch):
    folder, _, _ = by_torch
    identity = library.logs_id(folder)
    for event in tensorboard_reader(folder).Tensors("pr"):
        theirs = PrCurvesPlugin._make_pr_entry(None, event.step, event.wall_time,
                                               make_ndarray(event.tensor_proto))
        ours = pr_curves.curve_at(identity, folder.name, "pr", event.step)
        assert ours["step"].unique().tolist() == [event.step]
        assert ours["threshold"].tolist() == theirs["thresholds"]
        for name in pr_curves.ROWS:
            assert ours[name].tolist() == theirs[name], name
        assert len(ours) < 101  # nothing reaches the highest thresholds
    assert pr_curves.curve_steps(identity) == [0, 5]
    assert pr_curves.curve_at(identity, folder.name, "pr", -1) is None


def test_curves_are_those_of_the_predictions(by_torch):
    folder, labels, scores = by_torch
    ours = pr_curves.curve_at(library.logs_id(folder), folder.name, "pr", 5)
    for row in ours.iloc[::10].to_dict("records"):
        answered = np.floor(scores * 100) >= round(row["threshold"] * 100)  # as the writer counts
        assert row["true_positives"] == (answered & (labels == 1)).sum()
        assert row["false_positives"] == (answered & (labels == 0)).sum()
        assert row["recall"] == pytest.approx((answered & (labels == 1)).sum() / labels.sum())


@pytest.mark.parametrize("array", [np.zeros((5, 9)), np.zeros((6, 0)), np.zeros(6)])
def test_what_is_no_curve_is_refused(array, tmp_path):
    identity = opened(tmp_path, [tensor("pr", 0, make_tensor_proto(array), "pr_curves")])
    with pytest.raises(UserError, match="six rows"):
        pr_curves.curve_at(identity, tmp_path.name, "pr", 0)


def test_layouts_name_their_tags(by_torch):
    charts = custom_scalars.layout(library.logs_id(by_torch[0]))
    assert charts == [custom_scalars.Laid("group", "both", ("loss.*", "acc"), ()),
                      custom_scalars.Laid("group", "band", (), (("mean", "low", "high"),))]


PAGE = """
from pathlib import Path
from core.library import logs_id, open_logs
from core.ui.log_media import media
identity = logs_id(Path({folder!r}))
media(identity, sorted(set(open_logs(identity).others["run"])))
"""


def test_the_page_shows_everything_and_renders_no_markdown_of_a_file(
        tmp_path, pixels, quick_collection):
    from streamlit.testing.v1 import AppTest
    trap = "![x](http://a.b/c.png)"
    opened(tmp_path, [picture(trap, 1, png(pixels)), picture("later", 7, png(pixels)),
                      tensor("words", 1, make_tensor_proto(trap.encode()), "text"),
                      tensor("sound", 2, make_tensor_proto([[b"RIFF....WAVE", b""]]), "audio"),
                      tensor("pr", 2, make_tensor_proto(np.ones((6, 3))), "pr_curves"),
                      tensor("m", 0, make_tensor_proto(np.zeros((1, 2, 3))), "mesh")])
    app = AppTest.from_string(PAGE.format(folder=str(tmp_path)), default_timeout=60).run()
    assert not app.exception and not app.error
    assert len(app.get("image")) == 2 and len(app.get("audio")) == 1
    assert len(app.get("vega_lite_chart")) == 1 and len(app.dataframe) == 1
    assert [code.value for code in app.code] == [trap]
    (precision,) = [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]
    _, points = precision["layer"]
    colour = points["encoding"]["color"]["scale"]["range"][0]
    assert any(f'●]{{foreground="{colour}"}}' in caption.value for caption in app.caption)
    near, = [one["select"] for one in precision["params"]]
    assert near["nearest"] and near["on"] == "pointermove"  # else a person must hit a point
    assert "threshold" in [tip["field"] for tip in points["encoding"]["tooltip"]]
    assert not any(trap in str(part.value) for part in [*app.markdown, *app.caption])
    app.select_slider(key="media_step").set_value(1).run()
    assert len(app.get("image")) == 1
    assert any("first at step 7" in caption.value for caption in app.caption)
    app.session_state["media_step"] = 5  # a stop that the grown logs have no more
    app.run()
    assert app.select_slider(key="media_step").value == 7 and len(app.get("image")) == 2
    app.select_slider(key="media_step").set_value(1).run()
    app.text_input(key="find_media").set_value("^(later|words)$").run()
    assert len(app.code) == 1 and not app.get("audio") and not app.get("image")
    app.text_input(key="find_media").set_value("no such tag").run()
    assert any("has that in its name" in caption.value for caption in app.caption)
