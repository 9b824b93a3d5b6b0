"""Which input a TorchScript program takes: recorded in the file, said by the card, or tried out."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import torch

from core.card import Card, InputSpec
from core.errors import UserError
from core.graph.script_network import Followed, Given, Program
from core.graph.script_values import DoesNotFitError

BATCH = 2  # more than one, so that a batch is not taken for an axis that broadcasts
SMALL_PICTURES = (32, 64, 28, 96, 128, 224, 256, 299, 384)
LARGE_PICTURES = (224, 256, 299, 384, 512, 32, 64, 28, 96, 128)
GREY_PICTURES = (28, 32, 64, 224, 128, 96, 256)
LARGE_KERNEL = 7  # a first convolution of ImageNet networks; their patches are larger still
MANY_CLASSES = 1000
NAMED = 3  # sizes that a message lists
WORDS = 16  # of a text that is tried


@dataclass(frozen=True)
class Chosen:
    """The inputs that the program was followed for, and where they are from."""

    given: list[Given]
    note: str


def followed_program(program: Program, card: Card) -> tuple[Chosen, Followed]:
    """The program followed on the input that it was recorded with, that the card says, or that
    fits. Raises UserError where none does."""
    if program.recorded:
        _check_card(program.recorded[0][0], card.input)
        shape = _in_words(program.recorded[0][0])
        chosen = Chosen(program.recorded, f"Input size {shape}, as it was traced. A trace holds "
                                          "for this size alone, so others are refused.")
        return chosen, program.followed(program.recorded)
    names = program.input_names()
    if len(names) != 1:
        raise UserError(f"its network takes {len(names)} inputs ({', '.join(names)[:200]}) and the "
                        "file does not say their sizes. Save a network that takes one picture.")
    tensors = program.tensors()
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
    return _tried(program, list(_shapes(tensors, card.input)), dtype, card.input)


def _tried(program: Program, shapes: list[tuple[int, ...]], dtype: torch.dtype,
           said: InputSpec) -> tuple[Chosen, Followed]:
    """The first shape that the program takes."""
    first: DoesNotFitError | None = None
    for shape in shapes:
        given = [((BATCH, *shape), dtype)]
        try:
            found = program.followed(given)
        except DoesNotFitError as error:
            first = first or error
            continue
        known = shape == (said.channels, said.height, said.width)
        how = "as the card says" if known else "inferred, the first usual size that the program " \
                                               "takes; correct it in the card where it is wrong"
        return Chosen(given, f"Input size {_in_words(given[0][0])}, {how}. The program is read "
                             "anew for another size in the card."), found
    if _reads_whole_numbers(program):
        raise UserError("its network reads whole numbers, such as those of the words of a text, "
                        "and no pictures. Netlens reads image classifiers: open one of those, or "
                        "save this network's state dict to see its weights.") from first
    tried = ", ".join(" × ".join(map(str, shape)) for shape in shapes[:NAMED])
    more = f" and {len(shapes) - NAMED} more" if len(shapes) > NAMED else ""
    raise UserError(f"the program takes no input of the sizes tried ({tried}{more}): {first} The "
                    "file does not say its input size: set it in the model card.") from first


def _reads_whole_numbers(program: Program) -> bool:
    try:
        program.followed([((BATCH, WORDS), torch.int64)])
    except UserError:  # and DoesNotFitError, which is one
        return False
    return True


def _check_card(recorded: tuple[int, ...], said: InputSpec) -> None:
    sizes = (said.channels, said.height, said.width)
    differs = any(size not in (None, own) for size, own in zip(sizes, recorded[1:], strict=False))
    if len(recorded) == 4 and differs:
        asked = " × ".join("?" if size is None else str(size) for size in sizes)
        raise UserError(f"it was traced with inputs of {_in_words(recorded)}, the model card says "
                        f"{asked}. A trace may give wrong numbers at another size: correct the "
                        "card, or trace the network again at that size.")


def _shapes(tensors: list[torch.Tensor], said: InputSpec) -> Iterator[tuple[int, ...]]:
    """Sizes of one input worth trying, the likeliest first: what the card says goes first."""
    convolution = next((tensor for tensor in tensors if tensor.dim() == 4), None)
    matrix = next((tensor for tensor in tensors if tensor.dim() == 2), None)
    if said.height and said.width:
        channels = [said.channels] if said.channels else _channels(convolution)
        yield from ((count, said.height, said.width) for count in channels)
        return
    first = next((tensor for tensor in tensors if tensor.dim() in (2, 4)), None)
    if first is not None and first is matrix:
        yield from _flat(matrix.shape[1], said)
    for channels in [said.channels] if said.channels else _channels(convolution):
        for side in _sides(channels, convolution, tensors):
            yield channels, said.height or side, said.width or side


def _channels(convolution: torch.Tensor | None) -> list[int]:
    return [convolution.shape[1]] if convolution is not None else [3, 1]


def _sides(channels: int, convolution: torch.Tensor | None,
           tensors: list[torch.Tensor]) -> tuple[int, ...]:
    if channels == 1:
        return GREY_PICTURES
    classes = next((tensor.shape[0] for tensor in reversed(tensors) if tensor.dim() == 2), 0)
    large = convolution is not None and convolution.shape[-1] >= LARGE_KERNEL
    return LARGE_PICTURES if large or classes >= MANY_CLASSES else SMALL_PICTURES


def _flat(numbers: int, said: InputSpec) -> Iterator[tuple[int, ...]]:
    """Square pictures of so many numbers, for a network that begins with a matrix."""
    for channels in [said.channels] if said.channels else (1, 3):
        side = isqrt(numbers // channels)
        if side > 1 and channels * side * side == numbers:
            yield channels, side, side
    yield (numbers,)


def _in_words(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape[1:]))
