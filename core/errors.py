"""What a person can put right: the one error whose words reach the page and the command line."""


class UserError(Exception):
    """Says what is wrong, naming the file, layer or column, then what to do next.

    code: lines to copy, with which the message ends.
    """

    code: str = ""


def cannot_be_read(name: str, error: OSError) -> UserError:
    """Of a file or folder that is there, but that the system does not give."""
    return UserError(f"{name} could not be read ({error.strerror or error}). Check that it is "
                     "still there and that this account may read it.")
