"""What a person can put right: the one error whose words reach the page and the command line."""


class UserError(Exception):
    """Says what is wrong, naming the file, layer or column, then what to do next.

    code: lines to copy, with which the message ends.
    """

    code: str = ""
