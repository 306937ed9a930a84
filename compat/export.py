"""`compat export ruff`: the index as rules of other tools, for projects that run these anyway."""

import json
from collections.abc import Iterator, Sequence

from compat import __version__, cli, errors
from compat.errors import NothingSelectedError
from compat.index.alone import alone
from compat.index.reader import Index
from compat.index.store import NameSpan
from compat.index.world import World
from compat.packages import IMPORT_NAMES, SGLANG, VLLM
from compat.resolve.search import find_location
from compat.symbols import UNUSABLE, import_statement, split_location

HEAD = """\
# What {releases} lack of what other releases have, for ruff's rule TID251 (banned-api).
# Written by `compat export ruff` of sglang-vllm-compat {version}; name it in `extend` of a ruff.toml.
[lint]
extend-select = ["TID251"]

[lint.flake8-tidy-imports.banned-api]
"""


def main(argv: Sequence[str]) -> int:
    """Run `compat export` and return its exit code."""
    arguments = _parser().parse_args(argv)
    wanted = {SGLANG: arguments.sglang, VLLM: arguments.vllm}
    index = Index()
    positions = {
        package: index.position(package, version, f"--{package}")
        for package, version in wanted.items()
        if version
    }
    if not positions:
        raise NothingSelectedError("name the release that is to be used: --sglang VERSION or --vllm VERSION")
    releases = " and ".join(f"{package} {index.versions(package)[at]}" for package, at in positions.items())
    print(HEAD.format(releases=releases, version=__version__), end="")
    for package, position in positions.items():
        for path, message in banned(index, package, position):
            print(f"{json.dumps(path)}.msg = {json.dumps(message)}")
    return errors.CLEAN


def banned(index: Index, package: str, position: int) -> Iterator[tuple[str, str]]:
    """Yield the dotted paths that a release of a package lacks and another has, with what to do.

    What is below a missing module is not listed: ruff bans it with the module. Private names are left out,
    and what a module only imports from elsewhere.
    """
    world = World(index, alone(index, package, position))
    release = f"{package} {index.versions(package)[position]}"
    gone: set[str] = set()
    modules = dict.fromkeys(index.modules_ever(package))
    for module in modules:
        parent = module.rpartition(".")[0]
        if parent in gone:
            gone.add(module)
        elif world.answer(module, "").status == "missing" and module.partition(".")[0] in _tops(package):
            gone.add(module)
            yield module, _message(world, package, module, "", release)
    for module, name in _names(index, package):
        path = f"{module}.{name}"
        if module in gone or path in modules:
            continue
        if world.answer(module, name).status in UNUSABLE:
            yield path, _message(world, package, module, name, release)


def _names(index: Index, package: str) -> list[tuple[str, str]]:
    """Return every public name that some release binds itself, or takes from its own package."""
    tops = _tops(package)
    found = {(span.module, span.name) for span in index.name_spans(package) if _own(span, tops)}
    return sorted(each for each in found if each[0].partition(".")[0] in tops)


def _own(span: NameSpan, tops: tuple[str, ...]) -> bool:
    if not span.name or span.name.startswith("_"):
        return False
    for row in span.branches:
        if row.target is None or split_location(row.target)[0].partition(".")[0] in tops:
            return True
    return False


def _tops(package: str) -> tuple[str, ...]:
    return (IMPORT_NAMES[package],)


def _message(world: World, package: str, module: str, name: str, release: str) -> str:
    index, position = world.index, world.environment.positions[package]
    if name and not (
        index.successors(name, package, position) or index.predecessors(name, package, position)
    ):
        return f"not in {release}"
    new = find_location(world, package, module, name).replacement
    if new is None or (new.name and not name):
        return f"not in {release}"
    return f"not in {release}; there: {import_statement(new.module, new.name)}"


def _parser() -> cli.Parser:
    parser = cli.Parser(
        "compat export",
        "Write the index as rules of another tool. `ruff`: a configuration that bans what a release lacks.",
    )
    parser.add_argument("tool", choices=("ruff",))
    parser.add_argument("--sglang", metavar="VERSION", help="the release of sglang that is used")
    parser.add_argument("--vllm", metavar="VERSION", help="the release of vllm that is used")
    return parser


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
