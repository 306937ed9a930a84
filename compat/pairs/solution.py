"""How two releases install together, as a value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from packaging.utils import NormalizedName
from packaging.version import Version

from compat.pairs.clashes import Clash
from compat.pairs.needs import Needs
from compat.pairs.overrides import Override, as_mapping
from compat.releases import SGLANG, VLLM, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """How two releases install together, or why they do not."""

    sglang: Needs
    vllm: Needs
    python: str
    clashes: tuple[Clash, ...] = ()
    """Direct ones first, then those that only the resolver saw."""
    overrides: tuple[Override, ...] = ()
    packages: Mapping[NormalizedName, Version] = field(default_factory=dict)
    """What is installed; empty when blocked."""
    blocked: str = ""
    """Why no overrides help, in the shortest true words."""
    rounds: int = 0
    """How often uv was asked."""
    seconds: float = 0.0

    def pair(self, pair_id: str) -> Pair:
        """Return the solution as a pair of the matrix."""
        return pair_of(self.sglang, self.vllm, self.python, self.overrides, pair_id)


def pair_of(sglang: Needs, vllm: Needs, python: str, overrides: Iterable[Override], pair_id: str) -> Pair:
    """Return two releases with their overrides as a pair of the matrix."""
    releases = {needs.release.package: needs for needs in (sglang, vllm)}
    return Pair(
        id=pair_id,
        python=python,
        sglang=releases[SGLANG].release.version,
        sglang_extras=releases[SGLANG].extras,
        vllm=releases[VLLM].release.version,
        overrides=MappingProxyType(dict(as_mapping(overrides))),
    )
