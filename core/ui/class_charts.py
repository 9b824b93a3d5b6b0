"""The Overview's charts of classes.

Plain dictionaries: a start from kept results spares the import of Altair, 0.4 s.
"""

import pandas as pd
import streamlit as st

RIGHT = "#4477AA"  # the first of the theme's categorical colours
EACH_LABEL = {"labelOverlap": False, "labelFlush": False}  # flush, the first slides to the second
LOOK = {
    "config": {
        "aria": False,
        "axis": {"gridOpacity": 0.4, "labelLimit": 140, "labelFontSize": 11, "titleFontSize": 12},
        "view": {"strokeOpacity": 0},
    },
    "usermeta": {"embedOptions": {"renderer": "canvas"}},
}


def class_bars(table: pd.DataFrame, most: int = 20) -> None:
    """Accuracy by class, worst first, with the number of examples."""
    shown = table.head(most)
    accuracy = {
        "field": "accuracy", "type": "quantitative", "title": "accuracy",
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1], "labelFlush": False},
    }
    bar = {"type": "bar", "height": {"band": 0.7}}
    whole = {"mark": bar | {"color": "gray", "opacity": 0.15}, "encoding": {"x": {"datum": 1}}}
    right = {
        "mark": bar | {"color": RIGHT},
        "encoding": {
            "x": accuracy,
            "tooltip": [_tip("class"), _tip("accuracy", ".1%"), _tip("right", ","),
                        _tip("examples", ",")],
        },
    }
    classes = {"field": "class", "type": "nominal", "sort": None, "title": None, "axis": EACH_LABEL}
    st.vega_lite_chart(shown, LOOK | {
        "height": max(120, 26 * len(shown)),
        "padding": {"right": 4},  # else the edge cuts the last label
        "encoding": {"y": classes},
        "layer": [whole, right],
    })
    if len(table) > most:
        st.caption(f"The worst {most} of {len(table)} classes.")


def confusion(pairs: pd.DataFrame, most: int = 12) -> None:
    """The most frequent confusions as a small matrix of counts."""
    names = list(dict.fromkeys([*pairs["label"].head(most), *pairs["prediction"].head(most)]))
    shown = pairs[pairs["label"].isin(names) & pairs["prediction"].isin(names)]
    name = {"type": "nominal", "sort": names}
    examples = {"field": "examples", "type": "quantitative"}
    many = f"datum.examples > {int(shown['examples'].max()) / 2}"
    slanted = {"labelAngle": -40, "labelOverlap": False}
    st.vega_lite_chart(shown, LOOK | {
        "height": max(160, 34 * len(names)),
        "encoding": {
            "x": name | {"field": "prediction", "title": "prediction", "axis": slanted},
            "y": name | {"field": "label", "title": "label", "axis": EACH_LABEL},
            "tooltip": [_tip("label"), _tip("prediction"), _tip("examples", ","),
                        _tip("share", ".1%") | {"title": "of the label's examples"}],
        },
        "layer": [
            {"mark": "rect", "encoding": {"color": examples | {"legend": None}}},
            {"mark": {"type": "text", "fontSize": 12}, "encoding": {
                "text": examples | {"format": ","},
                "color": {"condition": {"test": many, "value": "black"}, "value": "white"},
            }},
        ],
    })


def _tip(field: str, format: str = "") -> dict:
    """A line of a tooltip; a number where a format is given."""
    line = {"field": field, "type": "quantitative" if format else "nominal"}
    return line | {"format": format} if format else line
