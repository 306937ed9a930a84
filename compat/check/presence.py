"""Whether a location outside of sglang and vllm exists in an environment, and why not."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from compat._util.named_tuple import NamedTuple
from compat.check.environment import CheckedEnvironment
from compat.companions.reader import Companions
from compat.model.symbols import split_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Lack = Literal["distribution", "name", "requirement"]


class RootCause(NamedTuple):
    """Why something cannot be imported: what is lacking, and who asks for it."""

    lack: Lack
    """`distribution`: nothing carries the module; `name`: the installed release lacks it; `requirement`: the
    import of a distribution refuses the installed release of another."""
    target: str
    """The location that is lacking; for a requirement its text."""
    distribution: str | None
    """The distribution that is missing, or whose installed release is at fault."""
    installed: str | None
    by: str | None = None
    """The distribution whose own import asks for it; None if sglang or vllm ask themselves."""
    via: str | None = None
    """The module of `by` that imports it."""


class ForeignPresence:
    """Answers for one environment whether locations outside of the index can be imported."""

    def __init__(self, environment: CheckedEnvironment, companions: Companions) -> None:
        self.environment = environment
        self._companions = companions
        self._found: dict[str, tuple[bool | None, RootCause | None]] = {}
        self._indexes: dict[str, int | None] = {}
        self._refusals: dict[tuple[str, str], RootCause | None] = {}

    def exists(self, target: str) -> bool | None:
        """Return whether an import of a location succeeds; None if that is not known."""
        return self._answer(target)[0]

    def cause(self, target: str) -> RootCause | None:
        """Return why an import of a location fails; None if it does not, or that is not known."""
        return self._answer(target)[1]

    def release_index(self, distribution: str) -> int | None:
        """Return the index of the installed release of a distribution; None if it is not known."""
        if distribution not in self._indexes:
            version = self.environment.versions.get(distribution)
            known = version is not None and distribution in self._companions.distributions
            self._indexes[distribution] = (
                self._companions.release_index(distribution, str(version)) if known else None
            )
        return self._indexes[distribution]

    def _answer(self, target: str) -> tuple[bool | None, RootCause | None]:
        if target not in self._found:
            # Distributions that import each other in a circle do so without failing.
            self._found[target] = None, None
            self._found[target] = self._find(target)
        return self._found[target]

    def _find(self, target: str) -> tuple[bool | None, RootCause | None]:
        top = split_location(target)[0].partition(".")[0]
        known = self._companions.carriers(top)
        here = [name for name in known if name in self.environment.versions]
        if not here:
            return self._absent(target, top, known)
        failed: list[RootCause] = []
        for name in self._having_module(here, split_location(target)[0]):
            found, cause = self._in(name, target, top)
            if found is not False:
                return found, None
            if cause is not None:
                failed.append(cause)
        return False, next(iter(failed), None)

    def _having_module(self, names: list[str], module: str) -> list[str]:
        """Return those of some distributions that are not known to lack a module; all if none is left.

        Several may carry parts of one package: what its modules have, only those tell that bring them.
        """
        having = [name for name in names if not self._lacks(name, module)]
        return having or sorted(names, key=lambda name: not self._carries(name, module))

    def _carries(self, name: str, module: str) -> bool:
        """Return whether the installed release of a distribution may carry the package of a module."""
        at = self.release_index(name)
        return at is None or self._companions.provides(name, at, module.partition(".")[0])

    def _lacks(self, name: str, module: str) -> bool:
        if not self._carries(name, module):
            return True
        at = self.release_index(name)
        state = None if at is None else self._companions.state(name, at, module)
        return state is not None and state.state == "absent"

    def _absent(self, target: str, top: str, known: tuple[str, ...]) -> tuple[bool | None, RootCause | None]:
        """Return the answer for a module that no distribution of the environment is known to carry."""
        facts = self.environment
        named = str(canonicalize_name(top))  # of a distribution that nobody has read, only the name can tell
        if any(name in facts.unread for name in (*known, named)):
            return None, None
        if named in facts.versions and self.release_index(named) is None:
            return None, None
        # A `.pth` file may put modules on the path that no list of modules has, so one must be known to lack.
        if not known or (facts.provided is not None and top in facts.provided):
            return None, None
        return False, RootCause("distribution", target, next(iter(known), None), None)

    def _in(self, name: str, target: str, top: str) -> tuple[bool | None, RootCause | None]:
        at = self.release_index(name)
        if at is None:
            return None, None
        if not self._companions.provides(name, at, top):
            return False, RootCause("distribution", target, name, self.environment.versions[name])
        found = self._companions.state(name, at, target)
        if found is None:
            return None, None
        if found.state == "absent":
            return False, RootCause("name", target, name, self.environment.versions[name])
        refusal = self._refusal(name, at, top)
        if refusal is not None:
            return False, refusal
        for needed, via in found.needs:
            lacking = self._lacking(name, needed, via)
            if lacking is not None:
                return False, lacking
        return (None if found.state == "uncertain" else True), None

    def _lacking(self, name: str, needed: str, via: str) -> RootCause | None:
        """Return why something that a module of a distribution needs is lacking; None if it is not."""
        if ">=" in needed:
            return self._refused(name, via, needed)
        cause = self.cause(needed) if self.exists(needed) is False else None
        return cause if cause is None or cause.by is not None else cause._replace(by=name, via=via)

    def _refusal(self, name: str, at: int, top: str) -> RootCause | None:
        """Return which requirement the import of a release enforces and the environment does not meet."""
        key = name, top
        if key not in self._refusals:
            self._refusals[key] = self._find_refusal(name, at, top)
        return self._refusals[key]

    def _find_refusal(self, name: str, at: int, top: str) -> RootCause | None:
        return next(
            (
                refusal
                for module, text in self._companions.checks(name, at)
                if module.partition(".")[0] == top
                and (refusal := self._refused(name, module, text)) is not None
            ),
            None,
        )

    def _refused(self, name: str, module: str, text: str) -> RootCause | None:
        """Return the cause if the environment does not meet a requirement that a module enforces."""
        requirement = Requirement(text)
        required = canonicalize_name(requirement.name)
        installed = self.environment.versions.get(required)
        try:
            fits = installed is None or requirement.specifier.contains(Version(installed), prereleases=True)
        except InvalidVersion:
            return None
        return None if fits else RootCause("requirement", text, required, installed, name, module)
