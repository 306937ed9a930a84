"""Tell what cannot be imported in an environment whose versions are all known: for other commands."""

from collections.abc import Mapping, Sequence

from compat._cli.text import counted
from compat.check.collisions import described, find_shared, override_for
from compat.check.environment import CheckedEnvironment, Completion
from compat.check.finding_texts import CollisionText, FindingText, texts_of
from compat.check.findings import check_environment
from compat.companions.reader import Companions
from compat.index.reader import Index
from compat.locks.lockfile import Lock

_SHOWN = 3
"""Most findings that are listed before a download."""


def foretell(
    versions: Mapping[str, str],
    python: str,
    *,
    provided: frozenset[str] | None = None,
    entries: Sequence[str] = ("all",),
) -> list[FindingText | CollisionText]:
    """Return what `compat check` finds, the most important first.

    Args:
        versions: all that is installed, by canonical name.
        python: the Python version, `X.Y`.
        provided: all top-level modules that are installed; None if not known.
        entries: as for `check_environment`.
    """
    index, companions = Index(), Companions()
    environment = _whole(versions, python, index, companions, provided)
    return texts_of(check_environment(environment, index, companions, entries), index, companions)


def overrides_against_collisions(versions: Mapping[str, str], python: str) -> list[tuple[str, str, str]]:
    """Return the overrides that avoid collisions between resolved versions.

    Each is a distribution, the specifier or marker for it, and the collision as text.
    """
    index, companions = Index(), Companions()
    environment = _whole(versions, python, index, companions)
    found = []
    for each in find_shared(environment, companions):
        override = override_for(each, environment, companions)
        if override is not None:
            found.append((*override, described(each, environment.versions)))
    return found


def _whole(
    versions: Mapping[str, str],
    python: str,
    index: Index,
    companions: Companions,
    provided: frozenset[str] | None = None,
) -> CheckedEnvironment:
    return Completion(
        named=versions,
        specifiers={},
        index=index,
        companions=companions,
        python=python,
        complete=True,
        provided=provided,
    ).run()


def lock_warnings(lock: Lock) -> list[str]:
    """Return what should be known about a lock before it is downloaded: what breaks, the worst first."""
    pair = lock.pair
    versions = {str(name): str(version) for name, version in lock.packages.items()}
    provided = frozenset(top for tops in lock.imports.values() for top in tops)
    texts = foretell(versions, lock.inputs.python, provided=provided)
    lines = [f"{pair}: {line}" for line in foretold(texts[:_SHOWN])]
    if len(texts) > _SHOWN:
        lines.append(
            f'{pair}: {counted(len(texts) - _SHOWN, "more finding")}; see "compat check --pair {pair}"'
        )
    return lines


def foretold(texts: Sequence[FindingText | CollisionText]) -> list[str]:
    """Return one line for each finding: where, what, and what mends it."""
    return [f"{each.place}: {each.headline}. {each.fix.text}" for each in texts]
