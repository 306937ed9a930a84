"""Which releases of sglang and vllm import a name of another package, and which no longer do."""

from collections.abc import Sequence

from packaging.version import Version

from compat.explain.context import RuleContext
from compat.model.symbols import location


def imports(context: RuleContext, package: str, at: int, module: str, name: str) -> str | None:
    """Return a module of a release that imports a name of another package at its top level, or None."""
    index = context.index
    for home in index.binders(name, package, at):
        if any(each.target == location(module, name) for each in index.branches(home, name, package, at)):
            return home
    return None


def first_without_import(
    context: RuleContext, package: str, releases: Sequence[int], module: str, name: str
) -> str | None:
    """Return the first final release after the given ones that does not import a name, or None.

    None also if none of the given releases imports it at the top level of a module.
    """
    if not name or not any(imports(context, package, at, module, name) for at in releases):
        return None
    versions = context.index.versions(package)
    for at in range(max(releases) + 1, len(versions)):
        if not Version(versions[at]).is_prerelease and not imports(context, package, at, module, name):
            return versions[at]
    return None


def possible_releases(context: RuleContext, package: str) -> list[int]:
    """Return the releases of a package that may be in use: the known one, or those that its lines fit."""
    known = context.release_indexes.get(package)
    return [known] if known is not None else context.fitting_releases.get(package, [])
