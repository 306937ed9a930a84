"""`compat export ruff`: the index as rules of other tools, for projects that run these anyway."""

import json
from collections.abc import Iterator, Sequence

from compat import __version__, errors
from compat._cli import console
from compat.errors import NothingSelectedError
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
from compat.model.package_names import IMPORT_NAMES, SGLANG, VLLM
from compat.model.symbols import UNUSABLE, import_statement, split_location
from compat.resolve.search import find_location

HEAD = """\
# What other releases have and {releases} {lacks}, for ruff's rule TID251 (banned-api).
# Written by `compat export ruff` of sglang-vllm-compat {version}; name it in `extend` of a ruff.toml.
[lint]
extend-select = ["TID251"]

[lint.flake8-tidy-imports.banned-api]
"""
_MOST = 8
"""Re-exports that are followed without asking: more may be a circle."""


def main(argv: Sequence[str]) -> int:
    """Run `compat export` and return its exit code."""
    arguments = _parser().parse_args(argv)
    wanted = {SGLANG: arguments.sglang, VLLM: arguments.vllm}
    index = Index()
    release_indexes = {
        package: index.release_index(package, version, f"--{package}")
        for package, version in wanted.items()
        if version
    }
    if not release_indexes:
        raise NothingSelectedError("name the release that is to be used: --sglang VERSION or --vllm VERSION")
    releases = " and ".join(
        f"{package} {index.versions(package)[at]}" for package, at in release_indexes.items()
    )
    bans = [
        ban
        for package, release_index in release_indexes.items()
        for ban in banned(index, package, release_index)
    ]
    head = HEAD.format(
        releases=releases, lacks="lacks" if len(release_indexes) == 1 else "lack", version=__version__
    )
    print(
        head, *(f"{json.dumps(path)}.msg = {json.dumps(message)}\n" for path, message in bans), sep="", end=""
    )
    return errors.CLEAN


def banned(index: Index, package: str, release_index: int) -> Iterator[tuple[str, str]]:
    """Yield the dotted paths that a release of a package lacks and another has, with what to do.

    What is below a missing module is not listed: ruff bans it with the module. Private names are left out,
    and what a module only imports from elsewhere.
    """
    here = _Here(index, package, release_index)
    top = IMPORT_NAMES[package]
    gone: set[str] = set()
    modules = dict.fromkeys(index.modules_ever(package))
    for module in modules:
        if module.rpartition(".")[0] in gone:
            gone.add(module)
        elif module not in here.modules and module.partition(".")[0] == top:
            gone.add(module)
            yield module, here.message(module, "")
    for module, name in index.own_names(package, top):
        path = f"{module}.{name}"
        if module not in gone and path not in modules and not here.has(module, name):
            yield path, here.message(module, name)


class _Here:
    """One release, read at once: most names need no more than a look at their row."""

    def __init__(self, index: Index, package: str, release_index: int) -> None:
        self.modules = index.modules(package, release_index)
        self._rows = index.release_names(package, release_index)
        self._resolver = NameResolver(index, alone(index, package, release_index))
        self._package = package
        self._release = f"{package} {index.versions(package)[release_index]}"
        self._followed = {
            each.name if each.last < release_index else each.to_name for each in index.successions(package)
        }
        """Names that became another one, or come from one, as seen from this release."""

    def has(self, module: str, name: str) -> bool:
        """Return whether a name is something real, as `NameResolver.answer` says, asked when in doubt."""
        if name not in self._rows.get(module, {}) and not self.modules[module].open:
            return f"{module}.{name}" in self.modules
        return self._defined(module, name) or self._resolver.answer(module, name).status not in UNUSABLE

    def _defined(self, module: str, name: str, steps: int = 0) -> bool:
        """Return whether a name surely leads to a definition, without a guard on the way."""
        rows = self._rows.get(module, {}).get(name, ())
        if len(rows) != 1 or rows[0].guard is not None or steps > _MOST:
            return False
        if rows[0].status == "defined":
            return True
        target = rows[0].target if rows[0].status == "reexported" else None
        return target is not None and self._defined(*split_location(target), steps + 1)

    def message(self, module: str, name: str) -> str:
        """Return what to do about what is not there."""
        new = None
        if not name or name in self._followed:
            new = find_location(self._resolver, self._package, module, name).replacement
        if new is None or (new.name and not name):
            return f"not in {self._release}"
        return f"not in {self._release}; there: {import_statement(new.module, new.name)}"


def _parser() -> console.Parser:
    parser = console.Parser(
        "compat export",
        "Write the index as rules of another tool. `ruff`: a configuration that bans what a release lacks.",
    )
    parser.add_argument("tool", choices=("ruff",))
    parser.add_argument("--sglang", metavar="VERSION", help="the release of sglang that is used")
    parser.add_argument("--vllm", metavar="VERSION", help="the release of vllm that is used")
    return parser


if __name__ == "__main__":
    raise SystemExit(console.run(main))
