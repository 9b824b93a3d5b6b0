"""What is said of a network as a whole, without torch: read from disk, it is there at once."""

from dataclasses import dataclass

import pandas as pd

Shape = tuple[int, ...]
UNKNOWN_SIZE = (
    "The size of the input is not known, so shapes and costs are missing. Give height "
    "and width in the sidebar, or choose data."
)


@dataclass(frozen=True)
class Architecture:
    """What a network is made of. Where it cannot be run, what a run would tell is missing, `notes`
    says why, and `code` holds lines to copy that may help.

    table: one row a layer in the order of definition, and one for each parameter beside layers.
      name, type, depth (1 is the outermost), settings (as torch prints them).
      parameters, buffers, weight_bytes: of the layer and what is inside it, each tensor once;
      dtype: of the parameters; trainable: missing where the file does not say.
      own_parameters: of the row alone, without those of a row before it: they add up to the
      network's. share: of those and the ones inside it, 0 to 1.
      same_as: names of what has the same weights, or is the same layer. is_tensor: a parameter.
      input_shape, output_shape: of the first tensor, with 1 example; runs: 0 where never called.
      multiply_adds, activation_bytes: for one example, with what is inside the layer.
      note: why a row's shapes are missing or are not the whole story.
    totals: parameters, trainable (where the file says it), buffers, parameter_bytes, weight_bytes
      (both), and of a run multiply_adds and peak_activation_bytes.
    type: the class of the whole network. input_shape, output_shape: of the whole, with 1 example.
    is_network: else these are weights alone, and the rows are groups of them.
    """

    table: pd.DataFrame
    totals: dict[str, int]
    type: str
    input_shape: Shape | None
    notes: tuple[str, ...] = ()
    code: str = ""
    output_shape: Shape | None = None
    is_network: bool = True


@dataclass(frozen=True)
class Peak:
    """bytes: the most that a batch's input and activations hold at once. batch: for which they are,
    where a network takes only some. notes: what is not measured."""

    bytes: int
    batch: int
    notes: tuple[str, ...] = ()
