"""Shows that a change to the code changes nothing but words: records what commands write, and compares.

`record DIR [--python PYTHON]` runs the commands of `output_cases.py`, offline, with the project that the
interpreter has installed, and keeps what each wrote. `compare OLD NEW` lists the differences and ends with 1
when there are any; with `--words-may-change` sentences for people may differ.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from output_cases import cases
from output_differences import differences
from output_recording import DIGESTS, record

SHOWN = 600
"""Letters of a difference that are printed."""


def main() -> int:
    """Record or compare, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    added = commands.add_parser("record", help="run every command and write its outputs")
    added.add_argument("folder", type=Path, metavar="DIR", help="a folder to make")
    added.add_argument("--python", type=Path, default=sys.executable, help="it has the project installed")
    added.add_argument("--only", default="*", metavar="GLOB", help="records of these names")
    added.add_argument(
        "--digest",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="files to compare byte for byte (default: the index)",
    )
    added.set_defaults(call=_record)
    added = commands.add_parser("compare", help="list what differs between two records")
    added.add_argument("old", type=Path, metavar="OLD")
    added.add_argument("new", type=Path, metavar="NEW")
    added.add_argument(
        "--words-may-change", action="store_true", help="only what programs read must be equal"
    )
    added.set_defaults(call=_compare)
    arguments = parser.parse_args()
    code: int = arguments.call(arguments)
    return code


def _record(arguments: argparse.Namespace) -> int:
    chosen = [case for case in cases() if fnmatch(case.name, arguments.only)]
    record(arguments.folder, str(arguments.python.absolute()), chosen, arguments.digest)
    print(f"{len(chosen)} records, {sum(len(case.steps) for case in chosen)} commands", file=sys.stderr)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    for folder in (arguments.old, arguments.new):
        if not (folder / DIGESTS).is_file():
            raise SystemExit(f"{folder}: there is no complete record (write one with `record`)")
    old, new = _recorded(arguments.old), _recorded(arguments.new)
    found: dict[tuple[str, str, str], list[str]] = {}
    for name in sorted(old.keys() | new.keys()):
        for each in differences(name, old.get(name), new.get(name)):
            found.setdefault((each.kind, each.old, each.new), []).append(f"{name}: {each.where}")
    for kind in ("words", "words, facts", "document"):
        for (_, was, is_), places_ in filter(lambda item: item[0][0] == kind, found.items()):
            print(_described(kind, was, is_, places_))
    counts = Counter(kind for kind, _, _ in found)
    print(
        f"{len({name.partition('/')[0] for name in old if '/' in name})} records: "
        f"{counts['document']} differences in documents, exit codes and files, "
        f"{counts['words'] + counts['words, facts']} in words, {counts['words, facts']} of these in facts"
    )
    return 1 if counts["document"] or (found and not arguments.words_may_change) else 0


def _recorded(folder: Path) -> dict[str, str]:
    """Return all files of a record by path."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in paths}


def _described(kind: str, old: str, new: str, places_: Sequence[str]) -> str:
    """Return a difference in lines; one that is met in several places names the first."""
    more = f" and {len(places_) - 1} more" if len(places_) > 1 else ""
    sides = [
        f"  {sign} {line}" for sign, text in (("-", old), ("+", new)) for line in text[:SHOWN].splitlines()
    ]
    return "\n".join([f"{kind}: {places_[0]}{more}", *sides])


if __name__ == "__main__":
    sys.exit(main())
