"""The option `--index`, and sources among the values of `--sglang` and `--vllm`, for all commands."""

from __future__ import annotations

from compat._cli import console
from compat.index.format import SHIPPED
from compat.sources.stores.addresses import is_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    import os
    from collections.abc import Sequence

Texts = dict[str, tuple[str, ...]]
"""The values of options, by package."""


def add_index_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--index` to the parser of a command."""
    parser.add_argument(
        "--index",
        action="append",
        default=[],
        metavar="FILE",
        help='a file of "compat index add" with builds of your own; may be repeated',
    )


def with_sources(
    wanted: Texts,
    files: Sequence[str],
    path: str | os.PathLike[str] = SHIPPED,
    *,
    demands: bool = False,
) -> tuple[tuple[str, ...], Texts]:
    """Return the index files to open beside the shipped one, and the values with a version for each source.

    It prints a note about each source: the release that it is nearest to, and what only a build would make.

    Args:
        wanted: the values of the options, by package.
        files: the values of `--index`.
        path: the index of the releases.
        demands: whether to read what the sources take from other distributions as well.

    Raises:
        UsageError: a source does not exist, or does not contain its package.
    """
    if not files and not any(is_source(text) for texts in wanted.values() for text in texts):
        return (), wanted
    from compat.sources.opening import open_sources  # most queries name releases only

    opened = open_sources(wanted, files, path, demands=demands)
    for note in opened.notes:
        console.say(note)
    return opened.files, dict(opened.texts)
