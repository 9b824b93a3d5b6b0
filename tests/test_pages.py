"""Every page, found by itself, on every sample model; links, choices, broken files."""

import json
import shutil

import pandas as pd
import pytest
import streamlit as st

from core import library
from core.files import found_files
from core.ui import corrections
from core.ui.images import in_order
from tests.app import PAGES, click_chart, faults, finished, opened, words
from tests.conftest import ROOT

READABLE = [
    "digits-keras.h5",
    "digits-keras.keras",
    "digits-cnn.safetensors",
    "shapes-cnn.ckpt",
    "shapes-cnn.onnx",
    "shapes-cnn.pt",
    "shapes-cnn.pt2",
    "shapes-cnn.safetensors",
    "shapes-cnn.torchscript.pt",
    "shapes-vit.safetensors",
]
SHAPES = {"model": "shapes-cnn.safetensors", "data": "shapes-test.json", "logs": "logs/shapes"}


@pytest.fixture(autouse=True)
def fresh(quick_collection):
    found_files.folders.cache_clear()
    yield
    found_files.folders.cache_clear()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("model", READABLE)  # the outer loop: few models are kept open
def test_every_page_draws_on_every_sample_model(page, model):
    app = opened(page, model=model)
    assert faults(app) == []
    assert len(app.sidebar.selectbox) >= 3
    assert app.main.children


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_what_it_needs(page):
    app = opened(page, model="shapes-cnn.safetensors", data="none", logs="none")
    assert faults(app) == []
    assert len(words(app)) > 20


def test_the_first_request_may_be_a_deep_link_and_gets_the_whole_frame():
    from streamlit.testing.v1 import AppTest

    for page in PAGES:
        app = finished(AppTest.from_file(str(ROOT / page), default_timeout=120).run())
        assert not app.exception, page
        assert app.sidebar.selectbox(key="model").value == "shapes-cnn.safetensors", page


def test_the_overview_says_what_is_right(samples):
    from core.overview import summary

    app = opened(**SHAPES)
    found = summary(
        library.model_id(samples / SHAPES["model"]), library.dataset_id(samples / SHAPES["data"])
    )
    assert f"{found.right:,} of 2,000 right ({100 * found.accuracy:.1f} %)" in words(app)
    assert f"mean loss {found.mean_loss:.3g}" in words(app)


def test_the_overview_says_whose_curve_is_whose():
    said = words(opened(**SHAPES))  # the theme's colours, by the runs' names
    told = {"cnn": "#4477AA", "cnn-few-examples": "#EE7733", "cnn-rate-too-high": "#228833",
            "cnn-rate-too-low": "#CC3311", "vit": "#AA3377"}
    for run, colour in told.items():
        assert f'foreground="{colour}"}}\u00a0{run} ' in said


def test_chosen_examples_are_shown_in_the_order_of_the_choice():
    table = pd.DataFrame({"example": [2, 5, 7, 9], "confidence": [0.1, 0.2, 0.3, 0.4]})
    found = in_order(table, (9, 3, 2, 7))  # 3 is not in the table
    assert found["example"].tolist() == [9, 2, 7]
    assert found["confidence"].tolist() == [0.4, 0.1, 0.3]


def test_the_newcomer_gets_the_sample_with_its_data_and_logs():
    app = opened()
    for key, value in SHAPES.items():
        assert app.sidebar.selectbox(key=key).value == value


def test_a_link_opens_the_view_and_the_address_names_it():
    app = opened(
        "pages/5_Hard_examples.py",
        model="digits-cnn.safetensors",
        data="digits-all.json",
        examples="3,17",
    )
    assert app.sidebar.selectbox(key="data").value == "digits-all.json"
    assert "2 examples chosen" in words(app)
    assert app.sidebar.text_input(key="examples").value == "3,17"
    assert "examples=3%2C17" in next(code.value for code in app.sidebar.code)


def test_the_runs_that_are_ticked_are_in_the_address():
    app = opened("pages/3_Training_curves.py", **SHAPES, run=["cnn", "vit", "gone"])
    assert "2 of 5 runs drawn" in words(app)
    assert app.query_params["run"] == ["cnn", "vit"]
    assert "run=cnn&run=vit" in next(code.value for code in app.sidebar.code)


@pytest.mark.parametrize("allowed", ["1", "0"])
def test_a_path_in_a_link_opens_where_the_server_allows_it(allowed, tmp_path, monkeypatch):
    monkeypatch.setenv("NETLENS_PATHS", allowed)
    mine = shutil.copy(ROOT / "sample_models/digits-cnn.safetensors", tmp_path / "mine.safetensors")
    app = opened(model=str(mine))
    is_open = app.sidebar.selectbox(key="model").value == str(mine)
    assert is_open == (allowed == "1")
    assert any("There is no" in warning.value for warning in app.warning) != is_open
    assert faults(app) == []


@pytest.mark.parametrize(
    "examples", ["", "x", "-1", "99999999999999999999", "3,3,3", "1e3", "5" * 10_000]
)
def test_odd_links_are_survived(examples):
    app = opened(
        model="../../etc/passwd", data="gone.json", examples=examples, card="{not json", sample="7"
    )
    assert not app.exception
    assert any("There is no" in warning.value for warning in app.warning)
    assert app.sidebar.selectbox(key="model").value == "shapes-cnn.safetensors"


def test_choosing_a_model_brings_its_data_and_logs():
    app = opened()
    app.sidebar.selectbox(key="model").select("digits-cnn.safetensors").run()
    app = finished(app)
    assert app.sidebar.selectbox(key="data").value == "digits-test.json"
    assert app.sidebar.selectbox(key="logs").value == "logs/digits"
    assert faults(app) == []


def test_what_is_chosen_on_one_page_is_what_the_next_opens_with():
    app = opened("pages/4_Embeddings.py", **SHAPES)
    app = click_chart(app, "maps-", pick=[{"example": 7}, {"example": 12}])
    assert "2 examples chosen" in words(app)
    assert app.sidebar.text_input(key="examples").value == "7,12"
    app.switch_page("pages/6_Saliency.py").run()
    app = finished(app)
    assert "2 examples chosen" in words(app)
    app.sidebar.button(key="clear_examples").click().run()
    assert "examples chosen" not in words(app)


def test_a_chart_that_is_drawn_again_keeps_what_was_chosen_in_it():
    app = opened("pages/4_Embeddings.py", **SHAPES)
    app = click_chart(app, "maps-", pick=[{"example": 7}])
    for sample in ("500", "all"):
        app.sidebar.selectbox(key="sample").select(sample).run()
        app = finished(app)
    assert app.sidebar.text_input(key="examples").value == "7"
    app.switch_page("pages/6_Saliency.py").run()
    app = finished(app.switch_page("pages/4_Embeddings.py").run())
    assert app.sidebar.text_input(key="examples").value == "7"
    app = click_chart(app, "maps-", pick=[{"example": 12}])
    assert app.sidebar.text_input(key="examples").value == "12"
    app = click_chart(app, "maps-", pick=[])  # a double click
    assert app.sidebar.text_input(key="examples").value == ""


@pytest.mark.parametrize(
    "examples, chosen, said",
    [
        ("3,503,504,99999", 2, "504, 99999: no such example."),
        ("3,-1,abc,**b**", 1, "-1, abc, **b**: no such example."),
        ("x" * 50, 0, f"{'x' * 9}…{'x' * 10}: no such example."),
        (",".join(map(str, range(600, 620))), 0, "600, 601, 602, 603, 604 and 15 more: no such"),
        (",".join(map(str, range(300))) + ",", 200, "Only the first 200 of 300 are taken."),
    ],
)
def test_what_the_data_does_not_have_is_said(examples, chosen, said):
    app = opened("pages/2_Architecture.py", model="digits-cnn.safetensors",
                 data="digits-test.json", examples=examples)
    assert f"{chosen} example{'' if chosen == 1 else 's'} chosen" in words(app)
    assert said in words(app)
    app.sidebar.button(key="clear_examples").click().run()
    assert "chosen" not in words(app) and said not in words(app)


def galleries(app):
    """The tooltips of the cards, by gallery."""
    return [[card["title"] for card in json.loads(part.proto.json)["cards"]]
            for part in app.get("bidi_component")]


def test_an_example_is_called_the_same_in_every_sample():
    """The pictures of the digits are called by their rows in the whole data."""
    link = {"model": "digits-cnn.safetensors", "data": "digits-all.json", "examples": "7,8,1"}
    app = opened("pages/5_Hard_examples.py", **link, sample="500")
    assert "2 examples chosen" in words(app)
    assert "8 is not in the sample of 500." in words(app)
    chosen, hardest = galleries(app)
    assert [title.split(", ")[-2:] for title in chosen] == [
        ["example 7", "digits/0007.png"], ["example 1", "digits/0001.png"]]
    assert all(int(title[-8:-4]) == int(title.split("example ")[1].split(",")[0])
               for title in hardest)
    table = app.dataframe[0].value
    assert table["Example"].tolist() == [int(path[-8:-4]) for path in table["Path"]]
    app.sidebar.selectbox(key="sample").select("all").run()
    app = finished(app)
    assert "3 examples chosen" in words(app) and "not in the sample" not in words(app)
    assert app.sidebar.text_input(key="examples").value == "7,8,1"
    assert [title[-8:-4] for title in galleries(app)[0]] == ["0007", "0008", "0001"]
    app = opened("pages/2_Architecture.py", **link, sample="500", view="Activations")
    assert galleries(app) == [["example 7", "example 1"]]


@pytest.mark.parametrize("what, then", [("toggle", "7,8,1,9"), ("put_first", "9,7,8,1"),
                                        ("select", "9")])
def test_what_is_not_in_the_sample_stays_chosen_beside_what_is_added(what, then, samples):
    from streamlit.testing.v1 import AppTest

    def choose(dataset_id, what):
        import streamlit as st

        from core.ui import selection

        st.session_state["_examples_of"] = dataset_id
        st.session_state.setdefault("examples", "7,8,1")
        if "_next_examples" not in st.session_state:
            assert selection.selected() == (1, 0)
            getattr(selection, what)([2] if what == "select" else 2)

    sample = library.dataset_id(samples / "digits-all.json", 500)
    app = AppTest.from_function(choose, args=(sample, what)).run()
    assert not app.exception
    assert app.session_state["_next_examples"] == then


def test_a_point_of_a_sample_is_chosen_by_its_number_in_the_whole():
    app = opened("pages/4_Embeddings.py", model="digits-cnn.safetensors", data="digits-all.json",
                 sample="500", examples="8,1")
    app = click_chart(app, "maps-", pick=[{"example": 2}])
    assert app.sidebar.text_input(key="examples").value == "9"
    assert galleries(app)[-1][0].endswith("example 9, digits/0009.png")


def test_a_correction_applies_at_once_and_is_in_the_address():
    app = opened(model="digits-cnn.safetensors", card='{"output":"probabilities"}')
    plain = opened(model="digits-cnn.safetensors")
    assert faults(app) == []
    assert words(app) != words(plain)
    assert app.sidebar.text_input(key="card").value == '{"output":"probabilities"}'


def field(app, label):
    return next(
        w
        for w in [*app.sidebar.text_input, *app.sidebar.selectbox, *app.sidebar.text_area]
        if w.label == label
    )


def test_the_card_is_edited_in_the_sidebar_and_undone():
    app = opened(model="digits-cnn.safetensors")
    assert field(app, "Mean").value == "0.5"
    field(app, "Mean").set_value("0, 1")
    button = next(b for b in app.sidebar.button if b.label == "Apply")
    app = finished(button.click().run())
    assert "\"Mean\" ('input.mean') has 2 numbers for 1 channels" in (
        "".join(faults(app)).replace("\\", ""))
    assert not app.sidebar.text_input(key="card").value
    field(app, "Mean").set_value("0.9")
    field(app, "Fitting the size").set_value("8, 8")
    app = finished(next(b for b in app.sidebar.button if b.label == "Apply").click().run())
    assert faults(app) == []
    assert (
        app.sidebar.text_input(key="card").value
        == '{"input":{"mean":[0.9],"resize":{"shorter_side":8,"crop":8}}}'
    )
    field(app, "Mean").set_value("")
    app = finished(next(b for b in app.sidebar.button if b.label == "Apply").click().run())
    assert faults(app) == []
    assert app.sidebar.text_input(key="card").value == (
        '{"input":{"resize":{"shorter_side":8,"crop":8}}}')
    assert field(app, "Mean").value == "0.5", "as the card beside the file says"
    field(app, "Fitting the size").set_value(" ")
    app = finished(next(b for b in app.sidebar.button if b.label == "Apply").click().run())
    assert not app.sidebar.text_input(key="card").value
    field(app, "Mean").set_value("0.9")
    app = finished(next(b for b in app.sidebar.button if b.label == "Apply").click().run())
    app = finished(
        next(b for b in app.sidebar.button if b.label == "Undo corrections").click().run()
    )
    assert not app.sidebar.text_input(key="card").value


def test_what_was_undone_does_not_come_back_from_the_address(monkeypatch):
    """A browser's address still names the corrections while the run that undoes them goes on."""
    monkeypatch.setattr(st, "query_params", {"card": '{"title":"T"}'})
    monkeypatch.setattr(st, "session_state", {"_next_card": ""})
    corrections.follow()
    assert corrections.said() == {}
    monkeypatch.setattr(st, "session_state", {"card": ""})  # a link, or the way back
    assert corrections.said() == {"title": "T"}


def test_what_was_inferred_is_shown_as_such(tmp_path, monkeypatch):
    shutil.copy(ROOT / "sample_models" / "digits-cnn.safetensors", tmp_path / "bare.safetensors")
    monkeypatch.setenv("NETLENS_MODELS", str(tmp_path))
    app = opened(model="bare.safetensors", data="digits-test.json")
    assert "Inferred, please check: architecture, outputs are" in words(app)
    assert "Inferred, not stated by any file: architecture" in words(app)
    assert faults(app) == []


def test_a_network_of_nan_is_survived_on_every_page(tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    state = load_file(ROOT / "sample_models" / "digits-cnn.safetensors")
    state["head.weight"] = state["head.weight"] * float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    monkeypatch.setenv("NETLENS_MODELS", str(tmp_path))
    for page in PAGES:
        app = opened(page, model="nan.safetensors", data="digits-test.json")
        assert not app.exception
        assert not [fault for fault in faults(app) if "could not be drawn" in fault], page


def test_data_of_one_class_and_few_pictures(tmp_path, monkeypatch):
    import numpy as np
    from PIL import Image

    (tmp_path / "data" / "pics" / "7").mkdir(parents=True)
    for i in range(4):
        Image.fromarray(np.full((8, 8), 60 * i, np.uint8)).save(
            tmp_path / "data" / "pics" / "7" / f"{i}.png"
        )
    monkeypatch.setenv("NETLENS_DATA", str(tmp_path / "data"))
    for page in PAGES:
        app = opened(page, model="digits-cnn.safetensors", data="pics")
        assert faults(app) == [], page


def test_a_sample_is_said_on_each_page():
    for page in (PAGES[0], *PAGES[3:]):
        app = opened(page, **SHAPES, sample="500")
        assert "500 of 2,000" in words(app), page


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html>", b"\x80\x02}q\x00.", b"PK\x03\x04" + b"\0" * 40],
    ids=["empty", "html", "pickle", "zip"],
)
def test_a_broken_file_is_one_message_and_the_rest_stays(page, content, tmp_path, monkeypatch):
    """The file is not listed by its bytes, or is listed and answered; the app keeps what it had."""
    (tmp_path / "broken.pt").write_bytes(content)
    shutil.copy(ROOT / "sample_models" / "digits-cnn.safetensors", tmp_path / "good.safetensors")
    monkeypatch.setenv("NETLENS_MODELS", str(tmp_path))
    app = opened(page, model="broken.pt", data="digits-test.json", logs="logs/digits")
    assert not app.exception
    assert app.sidebar.selectbox(key="data").value == "digits-test.json"
    told = faults(app) + [w.value for w in app.warning]
    assert any("broken" in t for t in told), told
    app.sidebar.selectbox(key="model").select("good.safetensors").run()
    assert not finished(app).exception


def test_an_unforeseen_error_is_a_number_and_the_rest_stays(monkeypatch):
    from core import overview

    monkeypatch.setattr(overview, "findings", None)
    app = opened(**SHAPES)
    assert not app.exception
    assert not [w for w in faults(app) if "Traceback" in w or "NoneType" in w]
    assert "of 2,000 right" in words(app)


@pytest.mark.parametrize("page", PAGES[3:])
def test_classes_that_do_not_meet_are_said_where_answers_meet_labels(page):
    app = opened(page, model="shapes-cnn.safetensors", data="digits-all.json", sample="500")
    assert not faults(app)
    assert any("class" in warning.value for warning in app.warning)
    assert "A sample of 500" in words(app)


def test_a_hardness_is_drawn_with_its_unit():
    for hardness, title in (("Cross-entropy", "cross-entropy, nats"), ("Margin", "margin")):
        app = opened("pages/5_Hard_examples.py", **SHAPES, hardness=hardness)
        spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
        assert spec["encoding"]["y"]["title"] == title
