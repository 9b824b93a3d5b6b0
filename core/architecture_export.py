"""The table of layers as text: Markdown, and the summary that people paste into papers."""

import math
from collections.abc import Mapping

import pandas as pd

Shape = tuple[int, ...]
FLOAT = 4  # bytes of a number of the input
INDENT = "│    "
GAP = 3  # spaces between columns
LEVEL = len(INDENT)
LAST = 23  # letters of the last column
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


def markdown_table(table: pd.DataFrame) -> str:
    """Any table in Markdown, its text literal."""
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    lines += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    if value is None or (not isinstance(value, tuple) and pd.isna(value)):
        return ""
    if isinstance(value, tuple):
        return " × ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text


def summary_text(table: pd.DataFrame, totals: Mapping[str, int], model: str,
                 input_shape: Shape | None, output_shape: Shape | None = None) -> str:
    """The layers as torchinfo prints them, all levels, for what core.architecture gives.

    Otherwise than there, layers with shared weights and repeated runs are there once, so that the
    lines add up, those that never run are there, the products of attention are counted, and a file
    that does not say what was trained is not said to.
    """
    apart = table[table["is_tensor"]]
    holders = apart["name"].str.rpartition(".")[0] if len(apart) else apart["name"]
    loose = apart.groupby(holders.to_numpy())["own_parameters"].sum().to_dict()
    root = (model, _shape(output_shape), _number(loose.get("", 0)))
    rows = [root, *_lines(table[~table["is_tensor"]], loose)]
    widths = [_name_width(rows), max(26, *(len(row[1]) + GAP for row in rows))]
    line = "=" * (sum(widths) + LAST)
    head = ("Layer (type:depth-idx)", "Output Shape", "Param #")
    said = [line, _row(head, widths), line, *(_row(row, widths) for row in rows), line,
            *_totals(totals), line, *_sizes(table, totals, input_shape), line]
    return "\n".join(said) + "\n"


def _name_width(rows: list[tuple[str, str, str]]) -> int:
    """As torchinfo has it: a whole number of levels of the tree wide, and one space."""
    longest = max(len(row[0]) + 4 * (row is not rows[0]) for row in rows)
    return (40 if longest < 40 else LEVEL * math.ceil(longest / LEVEL)) + 1


def _lines(table: pd.DataFrame, loose: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """loose: by a layer's name, the parameters that lie in it beside its layers."""
    indices: dict[int, int] = {}
    said = []
    for row in table.itertuples():
        indices[row.depth] = index = indices.get(row.depth, 0) + 1
        own = _number(row.own_parameters + loose.get(row.name, 0))
        branch = f"{INDENT * (row.depth - 1)}{'├─' if row.depth == 1 else '└─'}"
        said.append((f"{branch}{row.type}: {row.depth}-{index}", _shape(row.output_shape), own))
    return said


def _shape(shape: Shape | None) -> str:
    return "--" if shape is None else str(list(shape))


def _number(parameters: int) -> str:
    return f"{parameters:,}" if parameters else "--"


def _row(row: tuple[str, str, str], widths: list[int]) -> str:
    return f"{row[0]:<{widths[0]}}{row[1]:<{widths[1]}}{row[2]}".rstrip()


def _totals(totals: Mapping[str, int]) -> list[str]:
    said = [f"Total params: {totals['parameters']:,}"]
    if "trainable" in totals:
        said += [f"Trainable params: {totals['trainable']:,}",
                 f"Non-trainable params: {totals['parameters'] - totals['trainable']:,}"]
    else:
        said.append("Trainable params: not said by the file")
    if "multiply_adds" in totals:
        size, unit = next((size, unit) for size, unit in UNITS
                          if totals["multiply_adds"] >= size or size == 1e6)
        said.append(f"Total mult-adds ({unit}): {totals['multiply_adds'] / size:.2f}")
    return said


def _sizes(table: pd.DataFrame, totals: Mapping[str, int], input_shape: Shape | None) -> list[str]:
    """Megabytes; the pass is what the innermost layers with parameters give, in each of their
    runs, twice, as for training."""
    weights = totals["parameter_bytes"] / 1e6
    if "multiply_adds" not in totals or input_shape is None:
        return [f"Params size (MB): {weights:.2f}"]
    layers = table[~table["is_tensor"]]
    outer = {name.rpartition(".")[0] for name in layers["name"]}
    inner = layers[~layers["name"].isin(outer) & (layers["parameters"] > 0)]
    given = FLOAT * math.prod(input_shape) / 1e6
    passed = 2 * float((inner["activation_bytes"] * inner["runs"]).fillna(0).sum()) / 1e6
    return [f"Input size (MB): {given:.2f}", f"Forward/backward pass size (MB): {passed:.2f}",
            f"Params size (MB): {weights:.2f}",
            f"Estimated Total Size (MB): {given + passed + weights:.2f}"]
