"""A rule for imports of other projects: what is missing belongs neither to sglang nor to vllm."""

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import below_site, distribution_of, is_standard, top_of
from compat.model.diagnosis import Diagnosis, Fix


def foreign(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Name the package of an import that fails between modules of other projects.

    The cause is `unknown`: nothing that sglang and vllm are made of says which of its releases have the name.
    """
    asked = wanted(exception)
    if asked is None or asked.partial:
        return None
    top, _, inner = asked.module.partition(".")
    if top in context.index.owners or is_standard(top) or not (asked.names or inner):
        return None
    inside = any(top_of(frame.path) == top for frame in exception.frames)
    distribution = distribution_of(top)
    known = context.known(distribution)
    installed = below_site(asked.path) is not None or inside or known is not None
    what = f"{asked.names[0]} in {asked.module}" if asked.names else asked.module
    lines = [exception.line]
    if known is not None:
        lines.append(f"{distribution} {known.version}: {known.source}")
    text = (
        f"The installed {distribution} has no {what}: what imports it is made for another release of "
        f"{distribution}. Update the one that is older, from the same source."
    )
    command = None
    if not installed and asked.attribute and not inner:
        command = f"python -c 'import {top}; print({top})'"
        text = (
            f"{top} is another project's, or your own: what Python finds under that name has no {what}. It "
            "may be an incomplete installation, another release, or a folder of that name: the command shows "
            "which."
        )
    elif not installed:
        text = f"{top} is another project's, or your own: what Python finds under that name has no {what}."
    return Diagnosis(
        cause="unknown",
        package=distribution if installed else None,
        version=known.version if known else None,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=(*lines, f"{top} is no part of sglang or vllm, and neither requires {what}"),
        fix=Fix(kind="none", text=text, command=command),
    )
