"""The command-line options of the servers by release, from the settings that `compat scan` judges by."""

from functools import cache

from compat.explain.context import RuleContext
from compat.model.releases import SGLANG, VLLM
from compat.settings.names import SERVER
from compat.settings.releases import OPTIONS, PackageSettings, read_packages
from compat.sources.settings import put_settings

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


def options_by_release(context: RuleContext, package: str) -> tuple[frozenset[str], ...]:
    """Return the options of a package's server in each release of the index; empty where none are known."""
    settings = _settings(context.index.files)[package]
    kind = f"{OPTIONS}{SERVER}"
    options = [(name, releases) for (each, name), releases in settings.found.items() if each == kind]
    masks = {version: 1 << at for at, version in enumerate(settings.versions)}
    return tuple(
        frozenset(name for name, releases in options if releases & masks.get(version, 0))
        for version in context.index.versions(package)
    )


def fitting_usage(context: RuleContext, package: str, candidates: list[int]) -> list[int]:
    """Return the releases whose server has every option and command of the usage message in the log.

    What no release has, such as an option of argparse itself, does not count. If no release fits, all do.
    """
    found = candidates
    options = options_by_release(context, package)
    for each in sorted(context.contents.facts.usage):
        if each.startswith("--"):
            flags = [each in of_release for of_release in options]
        else:
            module = f"{package}.entrypoints.cli.{each.replace('-', '_')}"
            flags = list(context.history.flags(package, module, ""))
        if any(flags):
            found = [at for at in found if flags[at]] or found
    return found


@cache
def _settings(files: tuple[str, ...]) -> dict[str, PackageSettings]:
    """Return the settings of the releases and of the sources in some index files, by package."""
    packages = {each.package: each for each in read_packages()}
    put_settings(packages.values(), files)
    return packages
