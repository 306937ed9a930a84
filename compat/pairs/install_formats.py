"""Files with which other tools install a resolved pair: requirements.txt, pyproject.toml and conda."""

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from compat._cli.printable import printable
from compat.pairs.solve import Solution


def as_requirements(found: Solution) -> str:
    """Return the exact version of every package, for an installation without resolving."""
    return _lines(found, _requirements)


def as_pyproject(found: Solution) -> str:
    """Return the tables of a `pyproject.toml` for uv: the two releases, and the overrides."""
    return _lines(found, _pyproject)


def as_conda(found: Solution) -> str:
    """Return an `environment.yml`, into which pip installs what `as_requirements` lists."""
    return _lines(found, _conda)


def _lines(found: Solution, content: Callable[[Solution], Iterator[str]]) -> str:
    """Return the lines for a pair, or why it is blocked as a comment, which all these formats have."""
    lines = [f"# blocked: {found.blocked}"] if found.blocked else content(found)
    return "\n".join(map(printable, lines))


def _requirements(found: Solution) -> Iterator[str]:
    yield f"# {found.sglang} + {found.vllm}, Python {found.python}, Linux x86-64."
    # With its requirements, pip would refuse what an override has settled.
    yield "# uv pip install --no-deps -r requirements.txt (or pip install --no-deps -r requirements.txt)"
    for package, version in sorted(found.packages.items()):
        yield f"{package}=={version}"


def _pyproject(found: Solution) -> Iterator[str]:
    yield "[project]"
    yield f'requires-python = "=={found.python}.*"'
    yield "dependencies = ["
    for requirement in found.pair("pair").requirements:
        yield f"    {json.dumps(str(requirement))},"
    yield "]"
    if found.overrides:
        yield ""
        yield "[tool.uv]"
        yield "override-dependencies = ["
        for override in sorted(found.overrides, key=lambda each: each.package):
            yield f"    {json.dumps(str(override))},  # {override.reason}"
        yield "]"


def _conda(found: Solution) -> Iterator[str]:
    versions = f"{found.sglang.release.version} {found.vllm.release.version}"
    name = f"sglang-{found.sglang.release.version}-vllm-{found.vllm.release.version}"
    yield "# conda env create --file environment.yml"
    yield f"# compat pairs {versions} --format requirements > requirements.txt"
    yield f"# conda run --name {name} python -m pip install --no-deps -r requirements.txt"
    yield f"name: {name}"
    yield "channels: [conda-forge]"
    yield "dependencies:"
    yield f"  - python={found.python}"
    yield "  - pip"


WRITERS: Mapping[str, Callable[[Solution], str]] = MappingProxyType(
    {"requirements": as_requirements, "pyproject": as_pyproject, "conda": as_conda}
)
"""The function that writes each of these formats."""
