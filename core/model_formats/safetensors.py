"""safetensors: a JSON header, then raw tensors. https://huggingface.co/docs/safetensors"""

from pathlib import Path

from core.card import Card
from core.model_formats import Format, LoadedModel

LENGTH_BYTES = 8
OTHERS = (b"PK\x03\x04", b"\x80\x02\x8a")  # a zip; what torch.save wrote before it wrote zips


def matches(path: Path) -> bool:
    """A length, then a JSON object; true also where the length is a lie, so that `load` says so."""
    with path.open("rb") as file:
        head = file.read(LENGTH_BYTES + 1)
    return head[LENGTH_BYTES:] == b"{" or (path.suffix == ".safetensors" and _claims_header(head))


def _claims_header(head: bytes) -> bool:
    return (len(head) > LENGTH_BYTES and b"\0" in head[:LENGTH_BYTES]
            and not head.startswith(OTHERS))


def load(path: Path, card: Card) -> LoadedModel:
    """The network whose weights the file holds, alone or with the other files of its index; or
    the weights alone. Raises UserError."""
    from core.weight_files.safetensors_file import read_safetensors
    from core.weight_files.shards import model_of_parts, model_of_whole

    return model_of_whole(path, card) or model_of_parts(path, card, *read_safetensors(path))


FORMAT = Format("safetensors", matches, load)
