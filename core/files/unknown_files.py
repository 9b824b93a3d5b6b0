"""What a file that no format reads seems to be, from its first bytes."""

OF_ARROW = ("Save the table as Parquet: datasets.load_from_disk(folder) gives the splits, and "
            "split.to_parquet('test.parquet') saves one.")
# First bytes, what the file is, what to do.
SIGNATURES = (
    (b"version https://git-lfs", "is a Git LFS pointer, which only names the real file",
     "Run 'git lfs pull', then open the real file."),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, not a zip", "Unpack it and open what is inside."),
    (b"Rar!", "is a RAR archive", "Unpack it and open what is inside."),
    (b"\x1f\x8b", "is compressed with gzip", "Unpack it and open what is inside."),
    (b"BZh", "is compressed with bzip2", "Unpack it and open what is inside."),
    (b"\xfd7zXZ", "is compressed with xz", "Unpack it and open what is inside."),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "Unpack it and open what is inside."),
    (b"GGUF", "holds language model weights in GGUF", "Open the weights as safetensors instead."),
    (b"MATLAB ", "is a MATLAB file in which no array of pictures with one of labels was found",
     "Save its arrays as .npz: numpy.savez('set.npz', images=x, labels=y), x of the shape "
     "(examples, height, width, channels)."),
    ((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
     "is a pickle of Python objects, which could run code and is not read",
     "Save arrays as .npz: numpy.savez('set.npz', images=x, labels=y); weights by "
     "torch.save(model.state_dict(), 'weights.pt')."),
    (b"%PDF", "is a PDF document", "Choose the file itself instead."),
    (b"\x89PNG", "is a PNG picture", "Open the folder that holds it as a data set."),
    (b"\xff\xd8\xff", "is a JPEG picture", "Open the folder that holds it as a data set."),
    (b"GIF8", "is a GIF picture", "Open the folder that holds it as a data set."),
    (b"\x89HDF", "is an HDF5 file, of which only Keras models are read",
     "Save arrays as .npz: numpy.savez('set.npz', images=x, labels=y); a Keras model by "
     "model.save('model.keras')."),
    ((b"ARROW1", b"\xff\xff\xff\xff"), "is an Arrow file, which is not read", OF_ARROW),
    (b"\x7fELF", "is a program", "Open the file that the network was saved to."),
    (b"MZ", "is a Windows program", "Open the file that the network was saved to."),
)
WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body")
RESAVE = "Save the weights again: torch.save(model.state_dict(), 'weights.pt'), or use safetensors."
NEXT_STEPS = {
    "model": RESAVE,
    "data set": "A data set is a folder with one sub-folder per class, a table (CSV, TSV, "
                "Parquet), arrays (.npz, .npy), MNIST or CIFAR files, or a .zip or .tar of these.",
}
ANY_KIND = "The README lists the models, data sets and training logs that are read."


def describe_unknown(head: bytes, name: str, kind: str = "model") -> str:
    """One message on a file of which no format reads the first bytes, `head`; `kind`: what it was
    to be."""
    is_a, next_step = _seems(head, NEXT_STEPS.get(kind, ANY_KIND))
    return f"{name} {is_a}. {next_step}"


def _seems(head: bytes, otherwise: str) -> tuple[str, str]:
    if not head:
        return "is empty (0 bytes)", "Copy or download it again; the transfer may have failed."
    for start, is_a, next_step in SIGNATURES:
        if head.startswith(start):
            return is_a, next_step
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(WEB_PAGE):
        return ("is a web page (HTML), not the file itself: the download ended on a page",
                "Download it again while signed in.")
    if head.startswith(b"PK"):
        return ("is a zip archive that is cut off or damaged, or that holds no network or data",
                f"Copy or download it again. {otherwise}")
    if head[257:262] == b"ustar":
        return ("is a tar archive; torch's own of 2017 can only be read by running code from the "
                "file, and is not loaded", f"Unpack it, or: {RESAVE}")
    if _is_text(head):
        return "is a text file, not of a kind that is read here", "Open the file it is about."
    if not any(head):
        return "holds only zeros; the transfer may have failed", "Copy or download it again."
    return ("is of no kind that is read here, or it is damaged, incomplete or corrupt",
            f"Copy or download it again. {otherwise}")


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-4].decode("utf-8") if len(head) > 8 else head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 8:  # not merely a character that the cut divided
            return False
        text = head[:error.start].decode("utf-8")
    return all(character.isprintable() or character in "\r\n\t" for character in text)
