"""A rule for source archives of vllm and sglang that an installer builds where no wheel fits."""

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.model.diagnosis import Diagnosis, Fix


def on_windows(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a failed build of vllm or sglang on Windows, for which neither has wheels."""
    facts = context.contents.facts
    if exception.kind or facts.platform != "Windows" or not facts.source_archive[0]:
        return None
    name, version = facts.source_archive
    index = context.index
    wheel = ""
    if index.knows(name, version):
        wheel = index.releases(name)[index.release_index(name, version, "log")].wheel
    return Diagnosis(
        cause="requirement_violated",
        package=name,
        version=version,
        evidence=tuple(
            filter(
                None,
                (
                    exception.line,
                    f"the installer builds {name} {version} from its source archive on Windows",
                    wheel and f"the wheel of {name} {version} is {wheel}",
                ),
            )
        ),
        fix=Fix(
            kind="environment",
            text=f"{name} has wheels for Linux only, and its build does not support Windows: install it in "
            "WSL 2, in a container, or on a Linux machine.",
        ),
    )
