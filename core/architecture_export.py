"""The table of layers as text: Markdown, and the summary that people paste into papers."""

import math
from collections.abc import Mapping

import pandas as pd

Shape = tuple[int, ...]
FLOAT = 4  # bytes of a number of the input
INDENT = "│    "
GAP = 3  # spaces between columns


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
                 input_shape: Shape | None) -> str:
    """The layers as torchinfo prints them, for a table and totals of core.architecture.

    Layers with shared weights and repeated runs are there once, so that the lines add up.
    """
    rows = [(model, "--", "--"), *_lines(table)]
    widths = [max(len(row[column]) for row in rows) + GAP for column in range(2)]
    widths = [max(width, least) for width, least in zip(widths, (41, 26), strict=True)]
    line = "=" * (sum(widths) + 15)
    head = ("Layer (type:depth-idx)", "Output Shape", "Param #")
    said = [line, _row(head, widths), line, *(_row(row, widths) for row in rows), line,
            *_totals(totals), line, *_sizes(table, totals, input_shape), line]
    return "\n".join(said) + "\n"


def _lines(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    numbers: dict[int, int] = {}
    said = []
    for row in table.itertuples():
        numbers[row.depth] = number = numbers.get(row.depth, 0) + 1
        shape = "--" if row.output_shape is None else str(list(row.output_shape))
        own = f"{row.own_parameters:,}" if row.own_parameters else "--"
        branch = f"{INDENT * (row.depth - 1)}{'├─' if row.depth == 1 else '└─'}"
        said.append((f"{branch}{row.type}: {row.depth}-{number}", shape, own))
    return said


def _row(row: tuple[str, str, str], widths: list[int]) -> str:
    return f"{row[0]:<{widths[0]}}{row[1]:<{widths[1]}}{row[2]}".rstrip()


def _totals(totals: Mapping[str, int]) -> list[str]:
    said = [f"Total params: {totals['parameters']:,}",
            f"Trainable params: {totals['trainable']:,}",
            f"Non-trainable params: {totals['parameters'] - totals['trainable']:,}"]
    if "multiply_adds" in totals:
        size, unit = next((size, unit) for size, unit in ((1e9, "G"), (1e6, "M"), (1, "units"))
                          if totals["multiply_adds"] >= size or size == 1)
        said.append(f"Total mult-adds ({unit}): {totals['multiply_adds'] / size:.2f}")
    return said


def _sizes(table: pd.DataFrame, totals: Mapping[str, int], input_shape: Shape | None) -> list[str]:
    """Megabytes; the pass is what the innermost layers give, twice, as for training."""
    weights = totals["weight_bytes"] / 1e6
    if "multiply_adds" not in totals or input_shape is None:
        return [f"Params size (MB): {weights:.2f}"]
    outer = {name.rpartition(".")[0] for name in table["name"]}
    inner = table[~table["name"].isin(outer)]
    given = FLOAT * math.prod(input_shape) / 1e6
    passed = 2 * float(inner["activation_bytes"].fillna(0).sum()) / 1e6
    return [f"Input size (MB): {given:.2f}", f"Forward/backward pass size (MB): {passed:.2f}",
            f"Params size (MB): {weights:.2f}",
            f"Estimated Total Size (MB): {given + passed + weights:.2f}"]
