"""Numbers with their noun, as sentences about files have them."""


def counted(number: int, word: str, words: str | None = None) -> str:
    """1 picture, 2,000 pictures."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"
