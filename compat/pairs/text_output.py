"""The text output of `compat pairs`, and its `matrix.toml` entries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from compat._cli.printable import printable
from compat._cli.text import aligned
from compat.pairs.json_output import ProbeAttempt
from compat.partners.clashes import Clash
from compat.partners.overrides import choose
from compat.partners.ranking_output import about
from compat.requirements.release_requirements import ReleaseRequirements

if TYPE_CHECKING:  # without a resolution, nothing of it is needed
    from compat.pairs.solve import Solution


def clashes(
    sglang: ReleaseRequirements, vllm: ReleaseRequirements, found: Sequence[Clash], *, resolvable: bool = True
) -> str:
    """Return a table of the clashes that the metadata of two releases shows, with the override to use.

    Args:
        sglang: the requirements of that release.
        vllm: the requirements of that release.
        found: the clashes.
        resolvable: whether the pair can be resolved, as it can unless one is a checkout or a build.
    """
    lines = [about(sglang.summary), about(vllm.summary)]
    rows = [(clash.package, *map(str, clash.sides), f"use {choose(clash)}") for clash in found]
    lines += aligned(rows) if rows else ["no clash"]
    advice = ": run without --offline" if resolvable else ""
    lines.append(f"only a resolver finds clashes of further requirements{advice}")
    return "\n".join(lines)


def solution(found: Solution, record: Sequence[ProbeAttempt]) -> str:
    """Return a table of the overrides of a pair and the attempts of the probe, or why it is blocked."""
    lines = [about(found.sglang.summary), about(found.vllm.summary)]
    if found.blocked:
        return "\n".join([*lines, printable(f"blocked: {found.blocked}")])
    rows = [
        (str(each), each.side, "ABI-bound" if each.bound else "soft", each.reason) for each in found.overrides
    ]
    lines += aligned([("override", "side", "kind", "why"), *rows]) if rows else ["no override is needed"]
    lines.append(
        f"{len(found.packages)} packages, {len(found.overrides)} overrides, "
        f"{found.rounds} resolutions in {found.seconds:.1f} s"
    )
    if found.overrides:
        name = f"{found.sglang.release.version} {found.vllm.release.version}"
        lines.append(f"overrides: compat pairs {name} --format overrides > overrides.txt")
    lines.append(f"install: {install_command(found)}")
    for number, attempt in enumerate(record, start=1):
        verdict = f"{attempt.modules} modules, {attempt.checked} symbols checked, "
        verdict += f"{attempt.disagreements} disagree with the index"
        verdict += f"; {attempt.without_gpu_why}" if attempt.without_gpu_why else ""
        lines.append(
            printable(f"probe {number}: {verdict if attempt.imported else attempt.problem}")
            + (f"; then {attempt.flipped}" if attempt.flipped else "")
        )
    return "\n".join(lines)


def install_command(found: Solution, overrides: str = "overrides.txt") -> str:
    """Return the command that installs a pair, with the file that `--format overrides` writes."""
    pins = " ".join(f'"{_pin(each)}"' for each in (found.sglang, found.vllm))
    given = f" --overrides {overrides}" if found.overrides else ""
    return f"uv pip install{given} {pins}"


def as_overrides(found: Solution) -> str:
    """Return the overrides of a pair as the file that uv takes, or why the pair is blocked as a comment."""
    if found.blocked:
        return printable(f"# blocked: {found.blocked}")
    each_line = [
        printable(f"{each.package}{each.specifier}  # {each.reason}")
        for each in sorted(found.overrides, key=lambda override: override.package)
    ]
    return "\n".join([f"# {install_command(found)}", *each_line])


def _pin(release: ReleaseRequirements) -> str:
    extras = f"[{','.join(release.extras)}]" if release.extras else ""
    return f"{release.release.package}{extras}=={release.release.version}"


def as_toml(found: Solution) -> str:
    """Return a pair as an entry of `matrix.toml`, or a blocked one as a comment."""
    if found.blocked:
        return printable(f"# blocked: {found.blocked}")
    sglang, vllm = found.sglang, found.vllm
    lines = ["[[pair]]", f'id = "sglang-{sglang.release.version}-vllm-{vllm.release.version}"']
    lines += [f'python = "{found.python}"', f'sglang = "{sglang.release.version}"']
    if sglang.extras:
        lines.append(f"sglang-extras = {json.dumps(sglang.extras)}")
    lines += [f'vllm = "{vllm.release.version}"']
    if found.overrides:
        lines += ["", "[pair.overrides]"]
        lines += [
            printable(f'{each.package} = "{each.specifier}"  # {each.reason}')
            for each in sorted(found.overrides, key=lambda override: override.package)
        ]
    return "\n".join(lines)
