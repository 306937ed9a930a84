"""The text output of `compat pairs`, and its `matrix.toml` entries."""

import json
from collections.abc import Sequence

from compat._cli.printable import printable
from compat._cli.text import aligned
from compat.pairs.clashes import Clash
from compat.pairs.json_output import ProbeAttempt
from compat.pairs.overrides import choose
from compat.pairs.ranking_output import about
from compat.pairs.solve import Solution
from compat.requirements.release_requirements import ReleaseRequirements


def clashes(sglang: ReleaseRequirements, vllm: ReleaseRequirements, found: Sequence[Clash]) -> str:
    """Return a table of the direct clashes of two releases, with the override to use."""
    lines = [about(sglang.summary), about(vllm.summary)]
    rows = [(clash.package, *map(str, clash.sides), f"use {choose(clash)}") for clash in found]
    lines += aligned(rows) if rows else ["no direct clash"]
    lines.append("only a resolver finds clashes of further requirements: run without --offline")
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
    for number, attempt in enumerate(record, start=1):
        verdict = f"{attempt.modules} modules, {attempt.checked} symbols checked, "
        verdict += f"{attempt.disagreements} disagree with the index"
        verdict += f"; {attempt.without_gpu_why}" if attempt.without_gpu_why else ""
        lines.append(
            printable(f"probe {number}: {verdict if attempt.imported else attempt.problem}")
            + (f"; then {attempt.flipped}" if attempt.flipped else "")
        )
    return "\n".join(lines)


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
