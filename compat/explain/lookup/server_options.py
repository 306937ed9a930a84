"""The command-line options of the servers by release, from their parsers and the fields behind them."""

from collections.abc import Iterable, Iterator
from functools import cache

from compat.callables.class_definitions import class_detail
from compat.explain.context import RuleContext
from compat.model.releases import SGLANG, VLLM
from compat.source_outlines.reader import SourceOutlines
from compat.source_outlines.records import Definition

PROGRAMS = {
    "launch_server.py": SGLANG,
    "sglang": SGLANG,
    "sglang serve": SGLANG,
    "api_server.py": VLLM,
    "vllm": VLLM,
    "vllm serve": VLLM,
}
"""The program that a usage error names, and the package of its server."""
OWNERS = {SGLANG: ("sglang.srt.server_args", "ServerArgs"), VLLM: ("vllm.engine.arg_utils", "EngineArgs")}
"""The class whose fields most options of a server set, by module and name."""
_FILES: dict[str, tuple[str, ...]] = {
    SGLANG: ("sglang/srt/server_args.py", "sglang/srt/arg_groups/fields/"),
    VLLM: (
        "vllm/engine/arg_utils.py",
        "vllm/entrypoints/openai/cli_args.py",
        "vllm/entrypoints/openai/api_server.py",
        "vllm/entrypoints/cli/serve.py",
        "vllm/entrypoints/common/cli_args.py",
        "vllm/entrypoints/launchers/cli_args.py",
    ),
}
"""The files, and a folder, in which a server defines its options."""


def options_by_release(context: RuleContext, package: str) -> tuple[frozenset[str], ...]:
    """Return the options of a package's server in each release of the index; empty sets without outlines."""
    if context.outlines is None or package not in context.outlines.packages:
        return ()
    found = _options(context.outlines, package)
    versions = {version: at for at, version in enumerate(context.outlines.versions(package))}
    none: frozenset[str] = frozenset()
    return tuple(
        found[versions[version]] if version in versions else none
        for version in context.index.versions(package)
    )


@cache
def _options(outlines: SourceOutlines, package: str) -> tuple[frozenset[str], ...]:
    found: list[set[str]] = [set() for _ in outlines.versions(package)]
    for path in _paths(outlines, package):
        for content in outlines.contents(package, path):
            literal = {each.name for each in content.definitions if each.kind == "o"}
            fields = set(_fields(content.definitions))
            if 2 * len(literal & fields) >= len(fields):
                fields = set()  # the parser names its options itself; its fields are not options
            for at, options in enumerate(found):
                if content.releases >> at & 1:
                    options.update(literal | fields)
    return tuple(map(frozenset, found))


def _paths(outlines: SourceOutlines, package: str) -> Iterator[str]:
    for name in _FILES[package]:
        yield from outlines.below(package, name) if name.endswith("/") else (name,)


def _fields(definitions: Iterable[Definition]) -> Iterator[str]:
    for each in definitions:
        if each.kind == "c":
            for field in class_detail(each)[2]:
                yield f"--{field.rstrip('=').replace('_', '-')}"
