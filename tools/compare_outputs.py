"""Record the outputs of many commands, and compare two records, to check that a change alters only words.

`record DIR [--python PYTHON]` runs the commands of `output_cases.py` offline, with the project that the
interpreter has installed, and stores their outputs. `compare OLD NEW` lists the differences and exits with 1
if there are any; with `--words-may-change`, sentences for people may differ.
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
"""The maximal number of characters of a printed difference."""


def main() -> int:
    """Record or compare outputs, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    added = commands.add_parser("record", help="run every command and store its outputs")
    added.add_argument("folder", type=Path, metavar="DIR", help="new folder for the record")
    added.add_argument(
        "--python", type=Path, default=sys.executable, help="interpreter that has the project installed"
    )
    added.add_argument("--only", default="*", metavar="GLOB", help="only commands with matching names")
    added.add_argument(
        "--digest",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="files to compare byte for byte (default: the index)",
    )
    added.set_defaults(call=_record)
    added = commands.add_parser("compare", help="list the differences between two records")
    added.add_argument("old", type=Path, metavar="OLD")
    added.add_argument("new", type=Path, metavar="NEW")
    added.add_argument(
        "--words-may-change", action="store_true", help="ignore differences in sentences for people"
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
            raise SystemExit(f'{folder}: not a complete record; write one with "record"')
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
    """Return the content of all files of a record by path."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in paths}


def _described(kind: str, old: str, new: str, places_: Sequence[str]) -> str:
    """Return a difference as lines of text; one that occurs in several places names the first."""
    more = f" and {len(places_) - 1} more" if len(places_) > 1 else ""
    sides = [
        f"  {sign} {line}" for sign, text in (("-", old), ("+", new)) for line in text[:SHOWN].splitlines()
    ]
    return "\n".join([f"{kind}: {places_[0]}{more}", *sides])


if __name__ == "__main__":
    sys.exit(main())
