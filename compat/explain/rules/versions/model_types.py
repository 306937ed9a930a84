"""Rules for models, configs and tokenizers that the transformers in use does not know, or has itself."""

import re
from collections.abc import Iterator

from packaging.specifiers import SpecifierSet

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.companion_releases import (
    CompanionReleases,
    releases_with_model,
    releases_with_name,
)
from compat.explain.lookup.module_paths import top_of
from compat.explain.lookup.requirement_violations import (
    USUAL,
    demands,
    excluded_above,
    next_need,
    ordered,
    violated,
)
from compat.explain.rules.call_arguments import ranges_text
from compat.explain.rules.versions.violated_requirements import of_unmet
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM, allows
from compat.requirements.graph import RequirementEdge

_TRANSFORMERS = "transformers"
_TYPE = re.compile(
    r"model type [`'\"]?([\w.-]{1,80})[`'\"]? but Transformers does not recognize this architecture"
)
_KEY = re.compile(r"['\"]([\w.-]{2,80})['\"]$")
_MAPPING = re.compile(r"_MAPPING\w*\[")
_TOKENIZER = re.compile(r"Tokenizer class (\w{2,80}) does not exist or is not currently imported")
_ARCHITECTURE = re.compile(
    r"Model architectures \['(\w{2,80})'[^\]]{0,400}\] are not supported for now\."
    r"(?: Supported architectures: (.*))?"
)


def unrecognized(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a model type or a tokenizer class that only newer releases of transformers have."""
    found = _TYPE.search(exception.text) or _of_mapping(exception)
    if found:
        return _newer(exception, context, found[1], "model type")
    found = _TOKENIZER.search(exception.text)
    return _newer(exception, context, found[1], "tokenizer class") if found else None


def unsupported(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose the class of a model that the registry of sglang or vllm does not have."""
    found = _ARCHITECTURE.search(exception.message)
    if not found:
        return None
    name = found[1]
    packages = [each for each in (VLLM, SGLANG) if each in context.release_indexes]
    having = {each: _releases_with_class(context, each, name) for each in packages or (VLLM, SGLANG)}
    spans = [
        f"{package} has {name} in {ranges_text(flags, context.index.versions(package))}"
        for package, flags in having.items()
        if any(flags)
    ]
    evidence = (exception.line[:400], *spans)
    listed = f"'{name}'" in (found[2] or "")
    lacking = [each for each, flags in having.items() if any(flags) and not _has_known(context, each, flags)]
    if listed or (packages and spans and not lacking):
        text = "The registry lists the model, so its module could not be imported: an earlier line says why."
        return _architecture("unknown", name, evidence, Fix(kind="none", text=text))
    if not spans:
        text = (
            f"No release of {' or '.join(having)} has {name}: it needs a plug-in of its own, or the "
            "implementation in transformers where the release can use it."
        )
        return _architecture("unknown", name, evidence, Fix(kind="none", text=text))
    firsts = [f"{each}>={context.index.versions(each)[having[each].index(True)]}" for each in lacking]
    gone = [each for each in lacking if packages and any(having[each][: context.release_indexes[each]])]
    if gone:
        fix = Fix(kind="install", text=f"A later release dropped the model: {'; '.join(spans)}.")
        return _architecture("symbol_removed", name, evidence, fix, gone[0])
    command = f'pip install "{firsts[0]}"' if len(firsts) == 1 else None
    text = f"Install {' or '.join(firsts)}, the first that has the model."
    package = lacking[0] if len(lacking) == 1 else None
    fix = Fix(kind="install", text=text, command=command)
    return _architecture("not_yet_added", name, evidence, fix, package)


def _architecture(
    cause: Cause, name: str, evidence: tuple[str, ...], fix: Fix, package: str | None = None
) -> Diagnosis:
    return Diagnosis(cause=cause, package=package, symbol=name, evidence=evidence, fix=fix)


def _has_known(context: RuleContext, package: str, flags: list[bool]) -> bool:
    at = context.release_indexes.get(package)
    return at is not None and flags[at]


def _releases_with_class(context: RuleContext, package: str, name: str) -> list[bool]:
    """Return for each release whether a module of its models defines or registers a class."""
    return [
        any(".models." in module for module in context.index.binders(name, package, at))
        for at in range(len(context.index.versions(package)))
    ]


def _of_mapping(exception: ExceptionInfo) -> re.Match[str] | None:
    """Return the key that a table of transformers' models does not have."""
    frame = exception.frames[-1] if exception.frames else None
    if exception.kind != "KeyError" or frame is None or top_of(frame.path) != _TRANSFORMERS:
        return None
    inside = _MAPPING.search(frame.source) or frame.path.endswith("auto/configuration_auto.py")
    return _KEY.match(exception.message) if inside else None


def _newer(exception: ExceptionInfo, context: RuleContext, model: str, what: str) -> Diagnosis:
    """Return the diagnosis: the releases that have a model, of transformers, sglang and vllm."""
    there = context.known(_TRANSFORMERS)
    having = releases_with_model(context, model) or releases_with_name(context, _TRANSFORMERS, model)
    if there is not None and having is not None and having.has(there.version):
        having = None
    lines = [exception.line]
    if having is not None:
        lines.append(f"{model} is in {having.span}")
    if there is not None:
        lines.append(f"transformers {there.version}: {there.source}")
    needs = [each for each in ordered(demands(context, _TRANSFORMERS)) if each.extra in USUAL]
    lines += map(str, needs[:2])
    lines += (f"{name} has {module} since {version}" for name, module, version in _supporting(context, model))
    broken = violated(context, _TRANSFORMERS)
    if broken and (having is None or _admits(having, broken.edge.requirement.specifier)):
        return of_unmet(broken, tuple(lines), None)
    return Diagnosis(
        cause="requirement_violated",
        package=_TRANSFORMERS,
        version=there.version if there else None,
        evidence=tuple(lines),
        fix=_older_release(context, model) or _fix(context, having, needs, model, what),
    )


def _admits(having: CompanionReleases, specifier: SpecifierSet) -> bool:
    return any(allows(specifier, having.versions[at]) for at in having.having)


def _supporting(context: RuleContext, model: str) -> Iterator[tuple[str, str, str]]:
    """Yield sglang and vllm with the module that implements a model, and the first release that has it."""
    name = model.replace("-", "_")
    packages = [each for each in (VLLM, SGLANG) if each in context.release_indexes]
    for package in packages or (VLLM, SGLANG):
        versions = context.index.versions(package)
        found = (
            (module, version)
            for at, version in enumerate(versions)
            for module in context.index.modules_named(name, package, at)
            if ".models." in module
        )
        module, version = next(found, ("", ""))
        if version and version != versions[0]:
            yield package, module, version


def _older_release(context: RuleContext, model: str) -> Fix | None:
    """Return the fix for a release of sglang or vllm that is older than its support for a model, or None."""
    for package, _, version in _supporting(context, model):
        at = context.release_indexes.get(package)
        if at is not None and at < context.index.versions(package).index(version):
            spec = f"{package}>={version}"
            text = f"Install {spec}, the first that has the model, with the transformers that it requires."
            return Fix(kind="install", text=text, command=f'pip install "{spec}"')
    return None


def _fix(
    context: RuleContext,
    having: CompanionReleases | None,
    needs: list[RequirementEdge],
    model: str,
    what: str,
) -> Fix:
    """Return the fix: a transformers that has the model and that the release admits, or both newer."""
    there = context.known(_TRANSFORMERS)
    if having is None:
        newer = f"a transformers newer than {there.version}" if there else "a newer transformers"
        text = (
            f"The checkpoint names a {what} that this transformers lacks: it needs {newer}, or its own "
            "code (--trust-remote-code). Take a release of sglang or vllm that supports the model, with the "
            "transformers that it requires."
        )
        return Fix(kind="install", text=text)
    first = having.versions[having.having[0]]
    admitted = set(having.admitted([each.requirement.specifier for each in needs]))
    choice = admitted.intersection(having.having)
    limits = _later_limits(context) if choice else needs
    excluding = next((each for each in limits if excluded_above(each, first)), None)
    if excluding is not None:
        text = f"transformers has {model} since {first}, and {excluding}: install a newer {excluding.by}."
        return Fix(kind="install", text=text)
    spec = needs[0].wanted if needs and admitted == choice else having.spec(choice, first)
    text = f"Install {spec}: transformers has {model} since {first}."
    return Fix(kind="install", text=text, command=f'pip install "{spec}"')


def _later_limits(context: RuleContext) -> list[RequirementEdge]:
    """Return the first upper bound of a later release on transformers, for each known release."""
    found = (next_need(context, name, [at], _TRANSFORMERS) for name, at in context.release_indexes.items())
    return [each for each in found if each is not None]
