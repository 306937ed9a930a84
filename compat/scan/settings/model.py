"""What is found in a file: command lines with the places of their words, and environment variables."""

from typing import NamedTuple


class Word(NamedTuple):
    """A word of a command line."""

    text: str
    """The word without its quotes; what is not known stays as it is written, such as `$MODEL`."""
    start: int
    """The offset in the text of the file at which it is written."""
    inner: tuple[int, int] | None = None
    """For a quoted word, the offsets of what is between the quotes."""
    reference: str = ""
    """The variable whose value stands for the word, if it is nothing else."""


class Command(NamedTuple):
    """A command line, or a part of one, such as the value of a variable."""

    words: tuple[Word, ...]
    assigned: str = ""
    """The variable to which the words are assigned, in place of being run."""
    image: str = ""
    """The image of the container that runs the words after its own entry point."""


class VariableUse(NamedTuple):
    """A place that sets an environment variable."""

    name: str
    start: int
