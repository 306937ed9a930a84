"""The `matrix.toml` that `compat init` proposes for the pairs of the user's choice."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.utils import NormalizedName

from compat.errors import UsageError
from compat.index.reader import Index
from compat.model.package_names import SGLANG, VLLM
from compat.model.releases import newest
from compat.partners.clashes import direct_clashes
from compat.partners.overrides import choose
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of

PYTHON = "3.11"
NONE = "-"
"""What stands for a package that a pair does not have."""
HEAD = """\
# The pairs of releases in which the tests of this project must pass.
# "compat pairs lock ID" writes the lock of a pair, "compat matrix run ID --level tests" runs the tests in it.
[defaults]
python = "{python}"
tests = {tests}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRequest:
    """The releases of one pair; None for a package that it does not have."""

    sglang: str | None
    vllm: str | None

    @property
    def id(self) -> str:
        """The id of the pair in `matrix.toml`."""
        named = (("sglang", self.sglang), ("vllm", self.vllm))
        return "-".join(f"{package}-{version}" for package, version in named if version)


def pair_request(sglang: str, vllm: str) -> PairRequest:
    """Return a pair from the two values of `--pair`; `latest` is replaced by the newest release.

    Raises:
        UsageError: a release is not indexed, or both packages are left out.
    """
    index = Index()
    found: dict[str, str | None] = {}
    for package, text in ((SGLANG, sglang), (VLLM, vllm)):
        versions = index.versions(package)
        if text == NONE:
            found[package] = None
        elif text == "latest":
            found[package] = versions[newest(versions)]
        else:
            found[package] = versions[index.release_index(package, text, f"--pair {package}")]
    if not any(found.values()):
        raise UsageError("--pair: a pair needs a release of sglang or of vllm")
    return PairRequest(sglang=found[SGLANG], vllm=found[VLLM])


def matrix_toml(pairs: Sequence[PairRequest], tests: str) -> str:
    """Return the text of `matrix.toml` with these pairs and the command of their tests."""
    index = Index()
    head = HEAD.format(python=PYTHON, tests=json.dumps(tests))
    return "\n".join([head, *("\n".join(_entry(index, pair)) + "\n" for pair in pairs)])


def _entry(index: Index, pair: PairRequest) -> Iterator[str]:
    yield "[[pair]]"
    yield f'id = "{pair.id}"'
    needs = []
    for package, version in ((SGLANG, pair.sglang), (VLLM, pair.vllm)):
        if version:
            yield f'{package} = "{version}"'
            needs.append(_needs(index, package, version))
    if len(needs) == 2 and (clashes := direct_clashes(*needs)):
        yield f'# From the direct clashes; "compat pairs {pair.sglang} {pair.vllm} --format toml" finds all.'
        yield "[pair.overrides]"
        for override in sorted((choose(clash) for clash in clashes), key=lambda each: each.package):
            yield f"{override.package} = {json.dumps(override.specifier)}"


def _needs(index: Index, package: NormalizedName, version: str) -> ReleaseRequirements:
    at = index.release_index(package, version, package)
    return requirements_of(package, index.releases(package)[at], PYTHON)
