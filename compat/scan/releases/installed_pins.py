"""Read from scripts, CI files and other configuration which releases they install or run."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from compat.scan.releases.dockerfile_pins import image_pins, image_requirement
from compat.scan.releases.project_pins import requirements_in
from compat.scan.settings.kinds import kind_of

_INSTALLS = re.compile(r"\b(?:pip3? install|uv add|poetry add|pdm add|conda install|mamba install)\b")
_IMAGE = re.compile(r"\bimage:[ \t]{0,9}[\"']?([\w./:@-]+)")
_VALUE = re.compile(r"\b(\w{1,60})(?:=|:[ \t])[\"']?(v?\d+\.\d[\w.]*)(?![\w.]*[-/])")
_TAKEN = re.compile(r"\$\{?(\w{1,60})\}?")
_DEEPEST = 3
"""Parts of the path, below the scanned folder, of the files that count: what is deeper is an example."""


def installed_pins(
    root: str, paths: Sequence[str], read: Callable[[str], bytes]
) -> dict[str, dict[str, str]]:
    """Return, per package, the specifiers of what scripts and configuration files install, with their places.

    Args:
        root: the folder of the project.
        paths: the scripts and configuration files of the scan.
        read: reads a file.
    """
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        name = path.removeprefix(f"{root}/").removeprefix("./")
        if kind_of(path) in (None, "markdown", "env") or name.count("/") >= _DEEPEST:
            continue
        text = read(path).decode("utf-8", "replace")
        for line, requirement in _requirements(path, text):
            for package, specifier in requirements_in(requirement):
                if any(operator in specifier for operator in (">", "<", "==", "~")):
                    found.setdefault(package, {}).setdefault(specifier, f"{name}:{line}" if line else name)
    return found


def _requirements(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield what may be requirements with the number of their line; 0 if it is not known."""
    if kind_of(path) == "dockerfile":
        yield from ((0, each) for each in image_pins(text))
        return
    values = dict(_values(text))
    for number, line in _logical_lines(text):
        if _INSTALLS.search(line):
            yield number, _TAKEN.sub(lambda match: values.get(match[1], match[0]), line)
        for image in _IMAGE.finditer(line):
            requirement = image_requirement(image[1])
            if requirement:
                yield number, requirement


def _values(text: str) -> Iterable[tuple[str, str]]:
    """Return the variables that a file sets to a version, without a `v` before it."""
    return ((match[1], match[2].removeprefix("v")) for match in _VALUE.finditer(text))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, each joined with the lines that continue it, without comments."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.lstrip().startswith("#"):
            parts.append(line.rstrip("\\"))
            begun = begun or number
        if not line.endswith("\\") and parts:
            yield begun, " ".join(parts)
            begun, parts = 0, []
    if parts:
        yield begun, " ".join(parts)
