"""The output of `compat pairs --for`: the partners of a release, or the releases that require a package."""

from __future__ import annotations

from compat._cli import console
from compat._cli.text import aligned, counted, listed
from compat.model.package_names import SGLANG, VLLM
from compat.partners.indirect_clashes import IndirectClash
from compat.partners.ranking import lack
from compat.requirements.release_summary import ABI_BOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from compat.index.query.release_summaries import DirectClash
    from compat.partners.ranking import PackageUser, Partner
    from compat.requirements.release_summary import ReleaseSummary

HEAD = ("release", "torch", "same torch", "overrides", "days", "kernels", "clashes")
_SAME = {"exact": "yes", "patch": "except patch", "other": "no"}


def ranking(mine: ReleaseSummary, partners: Sequence[Partner], shown: int | None) -> str:
    """Return a release and a table of its partners, the best first."""
    lines = [about(mine)]
    usable = [partner for partner in partners if not partner.problem]
    rows = [
        (
            str(partner.candidate),
            partner.candidate.torch or "-",
            _SAME[partner.same_torch],
            str(partner.overrides),
            f"{partner.days:+d}",
            _kernels(partner.candidate),
            ", ".join(clash_texts(partner)) or "none",
        )
        for partner in usable[:shown]
    ]
    lines += aligned([HEAD, *rows]) if rows else ["no release of the other package fits"]
    if shown is not None and len(usable) > shown:
        lines.append(f"and {len(usable) - shown} more (--all)")
    for partner in usable[:shown]:
        if partner.broken is not None:
            lines.append(broken_text(partner))
    broken = [partner for partner in partners if partner.problem and not partner.wrong_python]
    if broken:
        lines.append(f"{len(broken)} more cannot start together: {broken[0].problem}")
    refused = [partner for partner in partners if partner.wrong_python]
    if refused:
        verb = "requires" if len(refused) == 1 else "require"
        lines.append(f"{len(refused)} more {verb} another Python version: {refused[-1].problem}")
    return "\n".join(lines)


def broken_text(partner: Partner) -> str:
    """Return which modules of sglang cannot be imported beside a partner whose server starts, and why."""
    if partner.broken is None:
        return ""
    failing = f"{counted(partner.broken_modules, 'module')} of sglang cannot be imported"
    return f"beside {partner.vllm}, {failing}: {lack(partner.broken, partner.vllm)}"


def users(package: str, version: str, found: Sequence[PackageUser]) -> str:
    """Return a table of the releases that require a version of a package."""
    if not found:
        return f"no release of sglang or vllm requires {package} {version}"
    through = any(user.through for user in found)
    rows: list[tuple[str, ...]] = [("release", package, "torch", "kernels", *(["how"] if through else []))]
    for user in found:
        how = f"requires {listed(map(str, user.through), 2)}" if user.through else "itself"
        release = user.release
        row = str(release), user.wanted.specifier, release.torch or "-", _kernels(release)
        rows.append((*row, how) if through else row)
    return "\n".join(aligned(rows))


def about(release: ReleaseSummary) -> str:
    """Return a release with its kernel packages in one line."""
    parts = [f"{name} {text}" for name, text in release.kernels.items()]
    day = f" of {release.uploaded}" if release.uploaded else ""
    return f"{release}{day}, Python {release.python or 'any'}: {', '.join(parts) or 'no kernel packages'}"


def ranking_document(mine: ReleaseSummary, partners: Sequence[Partner], python: str) -> str:
    """Return the whole ranking as JSON."""
    return console.document(
        "pairs for",
        release=release_document(mine),
        python=python,
        partners=[
            {
                **release_document(partner.candidate),
                "same_torch": partner.same_torch,
                "days": partner.days,
                "overrides": partner.overrides,
                "clashes": [
                    *(_clash(partner, clash) for clash in partner.clashes),
                    *(_clash(partner, clash) for clash in partner.indirect),
                ],
                "problem": partner.problem or None,
                "broken_modules": partner.broken_modules,
                "broken_import": lack(partner.broken, partner.vllm) if partner.broken else None,
            }
            for partner in partners
        ],
    )


def users_document(package: str, version: str, found: Sequence[PackageUser], python: str) -> str:
    """Return as JSON which releases ask for a distribution in a version."""
    releases = [
        {
            **release_document(user.release),
            "asks": user.wanted.specifier,
            "through": [each.version for each in user.through],
        }
        for user in found
    ]
    return console.document("pairs for", package=package, version=version, python=python, releases=releases)


def release_document(release: ReleaseSummary) -> dict[str, Any]:
    """Return the entry of a release in a JSON document."""
    return {
        "package": release.package,
        "version": release.version,
        "extras": list(release.extras) if release.package == SGLANG else [],
        "requires_python": release.python,
        "uploaded": release.uploaded,
        "torch": release.torch,
        "kernels": release.kernels,
    }


def clash_texts(partner: Partner) -> Iterator[str]:
    """Yield the distributions that clash, each with the pinned one that makes it clash, if any."""
    yield from (clash.package for clash in partner.clashes)
    yield from (f"{clash.package} (by {clash.through})" for clash in partner.indirect)


def _clash(partner: Partner, clash: DirectClash | IndirectClash) -> dict[str, Any]:
    through = {clash.side: clash.through} if isinstance(clash, IndirectClash) else {}
    asks = [
        {
            "by": through.get(side) or ("this pair" if clash.package == side else release.release),
            "side": side,
            "specifiers": specifier,
        }
        for side, release, specifier in (
            (SGLANG, partner.sglang, clash.sglang),
            (VLLM, partner.vllm, clash.vllm),
        )
    ]
    if clash.package == SGLANG:
        asks.reverse()  # the pair's own word comes last
    return {
        "package": clash.package,
        "direct": not through,
        "abi_bound": clash.package in ABI_BOUND,
        "asks": asks,
    }


def _kernels(release: ReleaseSummary) -> str:
    named = {name: text for name, text in release.kernels.items() if "torch" not in name}
    return ", ".join(f"{name.removesuffix('-python')} {text}" for name, text in named.items()) or "-"
