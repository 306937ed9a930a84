"""The option `--index`, and sources among the values of `--sglang` and `--vllm`, for all commands."""

from __future__ import annotations

from compat._cli import console
from compat.index.format import SHIPPED
from compat.model.package_names import SGLANG, VLLM
from compat.sources.stores.addresses import is_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    import os
    from collections.abc import Collection, Mapping, Sequence

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
    further: Collection[str] = (),
) -> tuple[tuple[str, ...], Texts]:
    """Return the index files to open beside the shipped one, and the values with a version for each source.

    It prints a note about each source: the release that it is nearest to, and what only a build would make.

    Args:
        wanted: the values of the options, by package.
        files: the values of `--index`.
        path: the index of the releases.
        further: what to read of the sources besides their names: `demands`, `settings` or both.

    Raises:
        UsageError: a source does not exist, or does not contain its package.
    """
    if not files and not any(is_source(text) for texts in wanted.values() for text in texts):
        return (), wanted
    from compat.sources.opening import open_sources  # most queries name releases only

    opened = open_sources(wanted, files, path, further=further)
    for note in opened.notes:
        console.say(note)
    return opened.files, dict(opened.texts)


def with_named_sources(
    wanted: Mapping[str, Sequence[str]],
    files: Sequence[str],
    path: str | os.PathLike[str] = SHIPPED,
    *,
    further: Collection[str] = (),
) -> tuple[tuple[str, ...], Texts]:
    """Return the same for options that name one release each: `vllm==0.18.1`, `0.18.1` or a source.

    Each source becomes `package==version`.

    Args:
        wanted: the values, by option: `--from` and `--to`.
        files: the values of `--index`.
        path: the index of the releases.
        further: what to read of the sources besides their names: `demands`, `settings` or both.

    Raises:
        UsageError: a source does not exist, contains no package, or is a range of commits.
    """
    opened: list[str] = []
    found: Texts = {}
    for option, texts in wanted.items():
        told = []
        for text in texts:
            package, release = _package_and_release(text)
            if not package:
                told.append(text)
                continue
            if is_source(release):
                _check_single(release, package, f"{option} {text}")
            more, values = with_sources({package: (release,)}, files, path, further=further)
            opened += more
            told.append(f"{package}=={values[package][0]}")
        found[option] = tuple(told)
    return tuple(dict.fromkeys((*files, *opened))), found


def _check_single(text: str, package: str, where: str) -> None:
    """Check that a source is not several commits, before any of them is read."""
    from compat.sources.stores.addresses import parse_address
    from compat.sources.stores.located import single_store

    single_store(parse_address(text), package, where)


def _package_and_release(text: str) -> tuple[str, str]:
    """Return the package and the release or source that a value names; a version alone is of no package."""
    package, mark, release = text.partition("==")
    if mark and package.strip() in (SGLANG, VLLM):
        return package.strip(), release.strip()
    if not is_source(text):
        return "", text
    from compat.sources.stores.located import package_in

    return package_in(text), text
