"""Files that several distributions bring in different forms: which one stays is left to the installer."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Collision(NamedTuple):
    """Distributions that bring the same files or modules in different forms."""

    distributions: tuple[str, ...]
    """Canonical names, sorted."""
    names: tuple[str, ...]
    """The paths below site-packages, or the modules, in different forms, sorted."""


def find_collisions(brought: Mapping[str, Mapping[str, object]]) -> tuple[Collision, ...]:
    """Return what several distributions bring in different forms, sorted.

    Args:
        brought: the digest of each file or module, by distribution and name.
    """
    owners: dict[str, dict[str, object]] = {}
    for distribution, names in brought.items():
        for name, digest in names.items():
            owners.setdefault(name, {})[distribution] = digest
    found: dict[tuple[str, ...], list[str]] = {}
    for name, digests in owners.items():
        if len(set(digests.values())) > 1:
            found.setdefault(tuple(sorted(digests)), []).append(name)
    return tuple(Collision(each, tuple(sorted(names))) for each, names in sorted(found.items()))


def described(collision: Collision) -> str:
    """Return a collision as text: who brings what."""
    count = len(collision.names)
    more = f" and {count - 1} more" if count > 1 else ""
    return f"{' and '.join(collision.distributions)} bring {collision.names[0]}{more} in different forms"
