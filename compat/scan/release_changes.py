"""Find what changed between two releases of what a tree uses, although the tree's code goes on working."""

import contextlib
from collections.abc import Iterator, Sequence

from compat.index.query.answers import Answer
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
from compat.model.signatures import changes, parameter_names
from compat.model.symbols import UNUSABLE, location
from compat.scan.check.file_checker import AXES, Analysis
from compat.scan.check.replacements import wanted
from compat.scan.comparison import Comparison
from compat.scan.release_facts import Change
from compat.scan.sources.discovery import Unreadable

_FORMS = frozenset({"from", "import", "attribute"})


def changes_of(
    analysis: Analysis, paths: Sequence[str], compared: Sequence[Comparison]
) -> tuple[Change, ...]:
    """Return what changed of what files use, the most used first.

    Args:
        analysis: the scan of the two releases.
        paths: the files.
        compared: the two releases of each package.
    """
    uses: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    releases = {each.package: each for each in compared}
    for path in paths:
        with contextlib.suppress(Unreadable, OSError, RecursionError):
            for reference in analysis.references(path):
                package = AXES[reference.top]
                if package in releases and reference.form in _FORMS:
                    lookup = analysis.checkers[package].lookup
                    line = reference.node.lineno  # type: ignore[attr-defined]
                    uses.setdefault((package, *wanted(lookup, reference)), []).append((path, line))
    resolvers = {
        each.package: (
            _resolver(analysis.index, each.package, each.old),
            _resolver(analysis.index, each.package, each.new),
        )
        for each in compared
    }
    found = []
    for (package, module, name), where in uses.items():
        old, new = resolvers[package]
        what = tuple(_differences(old, new, module, name))
        if what:
            path, line = where[0]
            found.append(Change(package, f"{module}.{name}".rstrip("."), what, len(where), path, line))
    return tuple(sorted(found, key=lambda each: (-each.uses, each.name)))


def _resolver(index: Index, package: str, version: str) -> NameResolver:
    return NameResolver(index, alone(index, package, index.versions(package).index(version)))


def _differences(old: NameResolver, new: NameResolver, module: str, name: str) -> Iterator[str]:
    """Yield what differs between the objects that two releases have under a name."""
    was, now = old.answer(module, name), new.answer(module, name)
    if was.status in UNUSABLE or now.status in UNUSABLE or not name:
        return
    homes = _home(was, module, name), _home(now, module, name)
    if homes[0] != homes[1]:
        yield f"is defined in {homes[1]} now, no longer in {homes[0]}"
    if was.kind != now.kind and was.kind and now.kind:
        yield f"is a {now.kind} now, no longer a {was.kind}"
    before, after = (each.index.signature(answer.signature) for each, answer in ((old, was), (new, now)))
    if before and after and was.kind == now.kind:
        yield from _call_changes(before, after)


def _home(answer: Answer, module: str, name: str) -> str:
    return (answer.origin or location(module, name)).replace(":", ".")


def _call_changes(before: str, after: str) -> Iterator[str]:
    """Yield how the parameters of a function, of the constructor and of public methods changed."""
    methods = []
    for change in changes(before, after):
        if change.method not in ("", "__init__"):
            if not change.method.startswith("_"):
                methods.append(change.method)
            continue
        old, new = (parameter_names(each) if each else () for each in (change.old, change.new))
        parts = [
            f"{verb} {', '.join(names)}"
            for verb, names in (
                ("takes", [each for each in new if each not in old]),
                ("no longer takes", [each for each in old if each not in new]),
            )
            if names
        ]
        yield " and ".join(parts) or "has other defaults or another order of parameters"
    if methods:
        shown = ", ".join(methods[:3]) + (f" and {len(methods) - 3} more" if len(methods) > 3 else "")
        yield f"other parameters of {shown}"
