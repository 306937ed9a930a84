"""Resolve Requires-Dist with extras and markers into requirements, of a release or an environment.

Old installers accept broken metadata. A line that is not a requirement and a marker that cannot be evaluated
count as absent; an installed version that is not a version satisfies only a requirement without a specifier.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from compat.model.releases import allows

Node = tuple[str, str]
"""A canonical distribution name and one of its extras; the empty extra is the distribution itself."""

_canonical = cache(canonicalize_name)
_EXTRA = re.compile(r"extra == ['\"]([\w.-]+)['\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementEdge:
    """A requirement and the distribution that has it."""

    by: str
    """The canonical name of the distribution that has the requirement."""
    version: str
    """The version of that distribution; a specifier for several releases, empty if not known."""
    requirement: Requirement
    """The requirement without its marker."""
    extra: str = ""
    """The extra that has the requirement; empty if it does not depend on an extra."""

    @property
    def name(self) -> NormalizedName:
        """The canonical name of the required distribution."""
        return _canonical(self.requirement.name)

    @property
    def wanted(self) -> str:
        """The requirement without extras: `torch==2.9.1`."""
        return f"{self.requirement.name}{self.requirement.specifier}"

    @property
    def exact_version(self) -> str | None:
        """The version of the distribution that has the requirement; None if it is not known or not exact."""
        return None if self.version.startswith(("<", ">", "=", "!", "~")) else self.version or None

    def __str__(self) -> str:
        by = f"{self.by}[{self.extra}]" if self.extra else self.by
        version = f" {self.exact_version}" if self.exact_version else self.version
        return f"{by}{version} requires {self.wanted}{'' if self.requirement.specifier else ', any version'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmetRequirement:
    """A requirement that an environment does not meet."""

    edge: RequirementEdge
    installed: str | None
    """The installed version; None if the distribution is not installed."""


class RequirementGraph:
    """The requirements between the distributions of one environment."""

    def __init__(
        self,
        versions: Mapping[str, str],
        requires: Callable[[str], Iterable[str]],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Create the graph of the given distributions.

        Args:
            versions: canonical name to version.
            requires: returns the Requires-Dist lines of a distribution.
            variables: the values for markers; by default those of this interpreter.
        """
        self._versions = versions
        self._requires = requires
        self._read = _reader(tuple((variables or {}).items()))
        self._lines: dict[str, tuple[str, ...]] = {}

    def edges(self, by: str, extra: str = "") -> Iterator[RequirementEdge]:
        """Yield the requirements of a distribution without extras, or those that an extra adds."""
        for line in self._of(by):
            requirement = self._read(line, extra)
            if requirement is not None and not (extra and self._read(line, "")):
                yield RequirementEdge(by=by, version=self._versions[by], requirement=requirement, extra=extra)

    def walk(
        self, start: Iterable[Node], *, extras_only: bool = False, met_extras: bool = False
    ) -> Iterator[RequirementEdge]:
        """Yield all direct and indirect requirements of some distributions, breadth-first.

        Args:
            start: the distributions; one that is not installed has no requirements.
            extras_only: whether to follow only the extras of required distributions, not the distributions.
            met_extras: whether to follow extras only of requirements whose specifier the graph meets.
        """
        queue = deque(dict.fromkeys(start))
        seen = set(queue)
        while queue:
            by, extra = queue.popleft()
            if by not in self._versions:
                continue
            for edge in self.edges(by, extra):
                yield edge
                followed = not met_extras or self._meets(edge)
                extras = map(_canonical, sorted(edge.requirement.extras) if followed else ())
                for node in ((edge.name, each) for each in (*([] if extras_only else [""]), *extras)):
                    if node not in seen:
                        seen.add(node)
                        queue.append(node)

    def unmet(self, start: Iterable[Node], *, extras_only: bool = False) -> Iterator[UnmetRequirement]:
        """Yield the requirements of `walk` that the environment does not meet."""
        for edge in self.walk(start, extras_only=extras_only):
            installed = self._versions.get(edge.name)
            if installed is None or not allows(edge.requirement.specifier, installed):
                yield UnmetRequirement(edge=edge, installed=installed)

    def closure(self, start: Iterable[str]) -> tuple[str, ...]:
        """Return distributions and their installed dependencies, breadth-first, regardless of markers."""
        found = dict.fromkeys(start)
        queue = deque(found)
        while queue:
            names = map(required_name, self._of(queue.popleft()))
            fresh = [name for name in dict.fromkeys(names) if name in self._versions and name not in found]
            found |= dict.fromkeys(fresh)
            queue += fresh
        return tuple(found)

    def _meets(self, edge: RequirementEdge) -> bool:
        installed = self._versions.get(edge.name)
        return installed is None or allows(edge.requirement.specifier, installed)

    def _of(self, name: str) -> tuple[str, ...]:
        if name not in self._lines:
            self._lines[name] = tuple(self._requires(name))
        return self._lines[name]


def edges_to(name: str, by: str, version: str, lines: Iterable[str]) -> Iterator[RequirementEdge]:
    """Yield the requirements of a release for one distribution, with and without extras."""
    for line in lines:
        if required_name(line) != name:
            continue
        extras = _EXTRA.findall(line)
        found = (_reader()(line, extra) for extra in ("", *extras))
        if requirement := next(filter(None, found), None):
            extra = extras[0] if extras else ""
            yield RequirementEdge(by=by, version=version, requirement=requirement, extra=extra)


def required_name(line: str) -> NormalizedName:
    """Return the canonical name at the start of a Requires-Dist line; empty if there is none."""
    found = re.match(r"[\w.-]+", line)
    return canonicalize_name(found[0] if found else "")


@cache
def _reader(variables: tuple[tuple[str, str], ...] = ()) -> Callable[[str, str], Requirement | None]:
    """Return a cached parser of Requires-Dist lines for these marker values; all graphs share it."""

    @cache
    def read(line: str, extra: str) -> Requirement | None:
        """Return the requirement of a line without its marker if that is true with an extra, else None."""
        try:
            requirement = Requirement(line)
            marker, requirement.marker = requirement.marker, None
            applies = marker is None or marker.evaluate({**dict(variables), "extra": extra})
        except (KeyError, ValueError, RecursionError):  # not a requirement, or a marker without a value
            return None
        return requirement if applies else None

    return read
