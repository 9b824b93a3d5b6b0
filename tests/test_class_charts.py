"""The charts of classes: Altair, which checks by Vega-Lite's schema, takes what is sent."""

import json

import altair as alt
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

BARS = pd.DataFrame({
    "class": [f"class {number}" for number in range(25)],
    "examples": 10, "right": range(1, 26), "accuracy": [number / 25 for number in range(25)],
})
PAIRS = pd.DataFrame({
    "label": ["cat", "cat", "dog"], "prediction": ["dog", "owl", "cat"],
    "examples": [30, 10, 4], "share": [0.3, 0.1, 0.04],
})
DRAW = """
import pandas as pd
from core.ui import class_charts
getattr(class_charts, {name!r})(pd.DataFrame({table!r}))
"""


def drawn(name: str, table: pd.DataFrame) -> tuple[AppTest, dict]:
    """The page, and the specification that the browser gets."""
    app = AppTest.from_string(DRAW.format(name=name, table=table.to_dict("list"))).run()
    assert not app.exception
    return app, json.loads(app.main[0].proto.spec)


@pytest.mark.parametrize(("name", "table"), [("class_bars", BARS), ("confusion", PAIRS)])
def test_altair_takes_the_chart_and_each_field_is_in_the_table(name, table):
    spec = drawn(name, table)[1]
    for layer in spec.pop("layer"):
        merged = layer["encoding"] | {
            channel: said for channel, said in spec["encoding"].items()
            if channel not in layer["encoding"]
        }
        part = {**spec, "mark": layer["mark"], "encoding": merged, "data": {"name": "table"}}
        alt.Chart.from_dict(part)  # raises where Vega-Lite's schema does not know a word
        said = [entry for channel in merged.values()
                for entry in (channel if isinstance(channel, list) else [channel])]
        assert {entry["field"] for entry in said if "field" in entry} <= set(table.columns)


def test_a_class_is_a_bar_and_the_worst_are_shown_of_many():
    app, spec = drawn("class_bars", BARS)
    assert spec["height"] == 26 * 20
    assert spec["encoding"]["y"]["sort"] is None  # as the table: the worst first
    assert [caption.value for caption in app.caption] == ["The worst 20 of 25 classes."]
    assert not drawn("class_bars", BARS.head(3))[0].caption


def test_the_axis_ends_at_a_label_that_the_edge_does_not_cut():
    spec = drawn("class_bars", BARS)[1]
    axis = spec["layer"][1]["encoding"]["x"]["axis"]
    assert axis["values"][-1] == 1 and not axis["labelFlush"]  # flush, half a letter was cut
    assert spec["padding"]["right"] > 0


def test_numbers_are_read_on_bright_and_on_dark_cells():
    spec = drawn("confusion", PAIRS)[1]
    colour = spec["layer"][1]["encoding"]["color"]
    assert colour["condition"] == {"test": "datum.examples > 15.0", "value": "black"}
    assert colour["value"] == "white"
    assert spec["encoding"]["x"]["sort"] == ["cat", "dog", "owl"]
