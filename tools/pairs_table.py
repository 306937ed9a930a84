"""Print the best vllm for every release of sglang: the table in `docs/pairs.md`."""

import sys
from collections.abc import Sequence

from packaging.version import Version

from compat import errors
from compat._cli import console
from compat.errors import NothingSelectedError
from compat.index.reader import Index
from compat.model.pythons import parse_python
from compat.model.releases import SGLANG, parse_version
from compat.partners.ranking import Partner, rank
from compat.partners.ranking_output import clash_texts
from compat.requirements.release_summary import PYTHON

HEAD = ("sglang", "torch", "kernels", "flashinfer", "first choice", "its torch", "clashes")


def main(argv: Sequence[str]) -> int:
    """Print the table with the options in `argv`, and return the exit code.

    Raises:
        NothingSelectedError: no final release is as new as `--since`.
        UsageError: `--since` or `--python` is not a valid version.
    """
    parser = console.Parser(
        "python tools/pairs_table.py", "Print the best vllm for every final release of sglang."
    )
    parser.add_argument(
        "--since", default="0.4.7", metavar="VERSION", help="first sglang release (default: %(default)s)"
    )
    parser.add_argument(
        "--python", default=PYTHON, metavar="X.Y", help="Python version (default: %(default)s)"
    )
    parser.add_argument("--format", choices=("markdown", "json"), default="markdown")
    options = parser.parse_args(argv)
    parse_python(options.python, "--python")
    choices = first_choices(Index(), parse_version(options.since, "--since"), options.python)
    if not choices:
        raise NothingSelectedError(f"--since: no final release of sglang from {options.since} on is indexed")
    if options.format == "json":
        pairs = [{"sglang": each.sglang.version, "vllm": each.vllm.version} for each in choices]
        print(console.document("pairs table", python=options.python, pairs=pairs))
    else:
        print(as_markdown(choices))
    return errors.CLEAN


def first_choices(index: Index, since: Version, python: str) -> list[Partner]:
    """Return the best vllm for every final release of sglang from `since` on, in version order."""
    versions = (version for version in index.versions(SGLANG) if not Version(version).is_prerelease)
    return [rank(index, SGLANG, text, python)[1][0] for text in versions if Version(text) >= since]


def as_markdown(choices: Sequence[Partner]) -> str:
    """Return the table as Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *map(_row, choices)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row(choice: Partner) -> tuple[str, ...]:
    sglang, pins = choice.sglang, choice.sglang.kernels
    kernels = ", ".join(f"{name} {text}" for name, text in pins.items() if name.endswith("-kernel"))
    torch = "the same" if choice.same_torch == "exact" else choice.vllm.torch or "not pinned"
    return (
        f"{sglang.version}{'[' + ','.join(sglang.extras) + ']' if sglang.extras else ''}",
        sglang.torch or "-",
        kernels or "-",
        next((text for name, text in pins.items() if name == "flashinfer-python"), "-"),
        choice.problem or choice.vllm.version,
        torch,
        ", ".join(clash_texts(choice)) or "none",
    )


if __name__ == "__main__":
    sys.exit(console.run(main))
