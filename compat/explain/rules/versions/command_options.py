"""Rules for options on command lines that a server does not have, or another program refuses."""

import re
from collections.abc import Sequence
from dataclasses import replace

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.call_errors import parameters_in
from compat.explain.lookup.server_options import OWNERS, PROGRAMS, fitting_usage, options_by_release
from compat.explain.rules.call_arguments import Ranged, by_ranges, ranges_text
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM

_OPTIONS = re.compile(r"(\S{1,80}(?: serve)?): error: unrecognized arguments: ([^\n]{1,400})")
_OPTION = re.compile(r"(?<!\S)(--?[A-Za-z][\w-]{1,80})")


def option(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a command-line option that the server has in another release only."""
    usage_error = _OPTIONS.search(exception.message)
    option_name = _OPTION.search(usage_error[2]) if usage_error else None
    package = PROGRAMS.get(usage_error[1].strip("`'\"")) if usage_error else None
    if not usage_error or not option_name or package is None:
        return None
    releases = options_by_release(context, package)
    name, known = option_name[1], context.release_index(package)
    flags = [name in options for options in releases]
    if not any(flags):
        every = (
            frozenset().union(*releases) if known is None else releases[known] if releases else frozenset()
        )
        return _misspelt(exception, package, name, every)
    candidates = [known] if known is not None else context.candidate_releases(package)
    if known is None:
        candidates = fitting_usage(context, package, candidates)
    lacking = [at for at in candidates if not flags[at]]
    if not lacking:
        return _of_another_command(exception, context, package, name, candidates) if known is None else None
    where = f"the server of {package} has the option {name}"
    found = by_ranges(
        exception, context, Ranged(package, flags, lacking, name, where, "", frozenset(releases[lacking[-1]]))
    )
    module, owner = OWNERS[package]
    field = name.strip("-").replace("-", "_")
    count = len(context.index.versions(package))
    signatures = [parameters_in(context, package, module, owner, "__init__", at) for at in range(count)]
    if any(each is not None and field in each.names for each in signatures):
        return replace(found, module=module, symbol=f"{owner}({field}=)")
    return found


def option_of_others(exception: ExceptionInfo, _: RuleContext) -> Diagnosis | None:
    """Tell which program refused an option, if it is no server. The cause is `unknown`."""
    usage_error = _OPTIONS.search(exception.message)
    option_name = _OPTION.search(usage_error[2]) if usage_error else None
    if usage_error is None or option_name is None:
        return None
    program = usage_error[1].strip("`'\"")
    package = next((each for each in (VLLM, SGLANG) if program.partition(" ")[0] == each), None)
    whose = "is" if package is None else f"of {package} is"
    return Diagnosis(
        cause="unknown",
        package=package,
        symbol=option_name[1],
        evidence=(exception.line, f"the program that refused {option_name[1]} {whose} {program}"),
        fix=Fix(
            kind="edit",
            text=f"{program} has no option {option_name[1]} in the installed version: leave it out. Its "
            "--help lists what it has.",
        ),
    )


def _of_another_command(
    exception: ExceptionInfo, context: RuleContext, package: str, name: str, candidates: Sequence[int]
) -> Diagnosis:
    """Return the diagnosis of an option that another command of the package has."""
    versions = context.index.versions(package)
    fitting = ranges_text([at in candidates for at in range(len(versions))], versions)
    return Diagnosis(
        cause="unknown",
        package=package,
        symbol=name,
        evidence=(
            exception.line,
            f"the usage message fits {package} {fitting}; another command has {name} there",
        ),
        fix=Fix(kind="edit", text=f"Leave {name} out: it is an option of another command of {package}."),
    )


def _misspelt(exception: ExceptionInfo, package: str, name: str, options: frozenset[str]) -> Diagnosis | None:
    """Diagnose an option that no release has and that is another one but for its hyphens."""
    plain = {each.strip("-").replace("_", "-"): each for each in sorted(options)}
    meant = plain.get(name.strip("-").replace("_", "-"))
    evidence = (exception.line, f"no release of {package} has the option {name} in its server")
    if meant is None:
        text = f"The option is not one of {package}'s server: leave it out, or ask the program it belongs to."
    else:
        text = f"The option is spelt {meant}."
    return Diagnosis(cause="unknown", package=package, evidence=evidence, fix=Fix(kind="edit", text=text))
