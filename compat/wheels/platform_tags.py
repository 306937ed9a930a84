"""Choose the wheel that an installer takes for a Python version on Linux x86-64."""

from collections.abc import Iterable
from functools import cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags

from compat.wheels.package_index import WheelFile

GLIBC = 39
"""Minor version of the newest accepted manylinux tag: environments are made for glibc 2.39 and later."""

PLATFORM = f"x86_64-manylinux_2_{GLIBC}"
"""The same platform, as uv names it."""

_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@cache
def ranks(python: str) -> dict[Tag, int]:
    """Return each tag that CPython `python` (`X.Y`) accepts, with its rank; 0 is the best."""
    platforms = []
    for minor in range(GLIBC, 4, -1):
        platforms.append(f"manylinux_2_{minor}_x86_64")
        if minor in _OLD_NAMES:
            platforms.append(f"{_OLD_NAMES[minor]}_x86_64")
    platforms.append("linux_x86_64")
    major, minor = map(int, python.split("."))
    interpreter = f"cp{major}{minor}"
    tags = [
        *cpython_tags((major, minor), platforms=platforms),
        *compatible_tags((major, minor), interpreter, platforms),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def fitting_wheels(wheels: Iterable[WheelFile], python: str) -> list[WheelFile]:
    """Return the compatible wheels of one release, the one that an installer chooses first."""
    order = ranks(python)
    fitting = [wheel for wheel in wheels if not wheel.tags.isdisjoint(order) and _allows(wheel, python)]
    # The sorts are stable, so the least important key comes first: name, build (highest first), tag.
    fitting.sort(key=lambda wheel: wheel.filename)
    fitting.sort(key=lambda wheel: wheel.build, reverse=True)
    fitting.sort(key=lambda wheel: min(order[tag] for tag in wheel.tags if tag in order))
    return fitting


def _allows(wheel: WheelFile, python: str) -> bool:
    try:
        return SpecifierSet(wheel.requires_python or "").contains(f"{python}.99", prereleases=True)
    except InvalidSpecifier:
        return True  # installers ignore an invalid specifier
