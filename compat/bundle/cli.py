"""`compat bundle`: pack the environment of a locked pair for a runner without network."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compat import errors
from compat._cli import console
from compat._cli.platforms import require_linux
from compat._cli.printable import printable
from compat._cli.progress import on_terminal
from compat._cli.text import counted, listed, size
from compat.errors import UsageError

if TYPE_CHECKING:
    from compat.bundle.build import BundleOptions
    from compat.bundle.manifest import Manifest
    from compat.locks.lockfile import Lock
    from compat.model.releases import Pair

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
SMALLEST_PART = 1000
NAMES_SHOWN = 5
"""Names in a note; further ones are only counted."""


def main(argv: Sequence[str]) -> int:
    """Build the bundle that `argv` requests, and return the exit code."""
    arguments = parser().parse_args(argv)
    require_linux("compat bundle")

    from compat.bundle.build import build
    from compat.check.foretell import lock_warnings

    pair, lock = _locked(arguments)
    for line in lock_warnings(lock):
        console.say(line)
    manifest = build(pair, lock, _options(arguments, pair), on_terminal)
    _print_notes(manifest)
    if arguments.format == "json":
        print(console.document(**manifest.document()))
    else:
        print(_text(manifest, arguments.output))
    return errors.FINDINGS if any(one.installed is None for one in manifest.unmet) else errors.CLEAN


def _locked(arguments: argparse.Namespace) -> "tuple[Pair, Lock]":
    from compat.locks.lockfile import read_current
    from compat.matrix.config import read_matrix

    pairs = read_matrix(arguments.matrix).select([arguments.pair])
    if len(pairs) > 1:
        raise UsageError(f"{arguments.pair!r} matches {len(pairs)} pairs; a bundle has one")
    return pairs[0], read_current(pairs[0], arguments.matrix.parent / "locks")


def _options(arguments: argparse.Namespace, pair: "Pair") -> "BundleOptions":
    from compat.bundle.build import BundleOptions
    from compat.bundle.provided import read_provided
    from compat.bundle.trim.trim_lists import TrimList, read_trim_list
    from compat.model.pythons import parse_python
    from compat.wheels.platform_tags import PLATFORM

    return BundleOptions(
        output=arguments.output.resolve(),
        python=parse_python(arguments.python, "--python") if arguments.python else pair.python,
        platform=arguments.platform or PLATFORM,
        provided=read_provided(arguments.provided) if arguments.provided else (),
        arch=arguments.arch,
        drops=tuple(arguments.drop),
        trims=read_trim_list(arguments.trim, arguments.arch) if arguments.trim else TrimList(),
        part_size=arguments.part_size,
        level=arguments.level,
        threads=arguments.threads,
    )


def _print_notes(manifest: "Manifest") -> None:
    """Print to stderr which packages differ from the lock, are contested or lack a requirement."""
    trusted = [one.name for one in manifest.left if one.provided is None]
    if trusted:
        console.say(f"left to the runner in whatever version it has: {listed(trusted, NAMES_SHOWN)}")
    for one in manifest.differing:
        console.say(
            f"{one.name}: the runner has {one.provided}, the lock pins {one.locked}, which the bundle carries"
        )
    contested: dict[tuple[str, ...], list[str]] = {}
    for path, names in manifest.contested.items():
        contested.setdefault(tuple(names), []).append(path)
    for owners, paths in contested.items():
        which = "the files" if paths[1:] else "the file"
        console.say(
            f"{listed(paths, 1)}: {', '.join(owners)} provide different contents; "
            f"the bundle has {which} of {owners[0]}"
        )
    for unmet in manifest.unmet:
        runner = f"the runner has {unmet.installed}"
        found = "neither the bundle nor the runner has it" if unmet.installed is None else runner
        console.say(f"{unmet.edge.by} requires {unmet.edge.requirement}; {found}")


def _text(manifest: "Manifest", output: Path) -> str:
    packed = manifest.packed
    dropped = size(sum(one.bytes for one in manifest.dropped))
    left = len(manifest.left) + len(manifest.skipped)
    parts = counted(len(packed.parts), "part")
    lines = [
        f"{output}: {manifest.describe} for Python {manifest.python}, {manifest.platform}",
        f"carried: {len(manifest.packages)} packages, {packed.files} files, {size(packed.bytes)}",
        f"left out: {left} packages, and files of {dropped}",
        f"packed: {size(packed.part_bytes)} in {parts}",
        'on the runner: eval "$(sh unpack.sh DEST)"',
    ]
    return "\n".join(map(printable, lines))


def _part_size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)B?", text, re.IGNORECASE)
    size = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if size < SMALLEST_PART:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size of at least 1K (example: 58M)")
    return size


def _arch(text: str) -> int:
    from compat.bundle.trim.trim_files import parse_arch

    try:
        return parse_arch(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _platform(text: str) -> str:
    from compat.wheels.platform_tags import GLIBC

    found = re.fullmatch(r"x86_64-manylinux_2_(\d+)", text)
    if found is None or int(found[1]) > GLIBC:
        raise argparse.ArgumentTypeError(
            f"{text!r}: locks contain wheels up to x86_64-manylinux_2_{GLIBC} (example: "
            "x86_64-manylinux_2_28)"
        )
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")
    return int(text)


def parser() -> console.Parser:
    """Return the argument parser of `compat bundle`."""
    parser = console.Parser(
        "compat bundle",
        "Pack the environment of a locked pair, in parts with digests, for a runner without network.",
    )
    add = parser.add_argument
    add("pair", metavar="PAIR", help="id of a pair in the matrix")
    add("--output", type=Path, required=True, metavar="DIR", help="new folder, or an older bundle to replace")
    add("--python", metavar="X.Y", help="Python version of the runner (default: the pair's)")
    add(
        "--platform",
        type=_platform,
        metavar="NAME",
        help="platform of the runner, as uv names it (default: that of the locks)",
    )
    add(
        "--provided",
        type=Path,
        metavar="FILE",
        help="packages of the runner: output of pip freeze or pip list, or names",
    )
    add(
        "--arch", type=_arch, metavar="SM", help="leave out files for other GPUs than this one, such as sm_90"
    )
    add("--trim", metavar="LIST", help='leave out the files of a trim list: "linear", or a .toml file')
    add("--drop", action="append", default=[], metavar="GLOB", help="leave out these files; may be repeated")
    add(
        "--part-size",
        type=_part_size,
        default=58 * 10**6,
        metavar="SIZE",
        help="size of the parts (default: 58M)",
    )
    add(
        "--level",
        type=int,
        choices=range(10),
        default=6,
        metavar="0-9",
        help="xz level (default: %(default)s)",
    )
    add("--threads", type=_count, default=2, metavar="N", help="threads that compress (default: %(default)s)")
    add("--matrix", type=Path, default=Path("matrix.toml"), metavar="FILE", help="default: matrix.toml")
    add("--format", choices=("text", "json"), default="text")
    return parser
