"""Which other package an object in an error message belongs to: by its name, or by the line that uses it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import carriers, distribution_of, is_standard, shipped_companions
from compat.explain.lookup.requirement_violations import requirement_named
from compat.model.releases import SGLANG, VLLM
from compat.model.symbols import split_location

MOSTLY = 0.4
"""A name that more releases of sglang or vllm than this share define is taken for theirs."""
_STEP = 8
"""Every release of this number is looked at for that share."""
_NEWEST = 40
"""Most releases, the newest first, in which the imports of a module are looked up."""
_TRANSFORMERS = "transformers"
_OF_TRANSFORMERS = re.compile(
    r"[A-Z]\w{1,60}(?:Tokenizer(?:Fast)?|(?:Text|Vision|Audio)?Config|(?:Image|Video)?Processor(?:Fast)?"
    r"|FeatureExtractor|ForCausalLM|ForConditionalGeneration|PreTrainedModel)"
    r"|(?:Tokenizers|SentencePiece|Python|MistralCommon)Backend"
)
"""How transformers names its classes. The backends are the tokenizers of its release 5."""


class ObjectOwner(NamedTuple):
    """The distribution that an object belongs to."""

    distribution: str
    reason: str
    """A clause for people: `vllm.config imports it from transformers`."""
    target: str = ""
    """The location of the object, where sglang or vllm import it; empty if only its package is known."""
    certain: bool = True
    """Whether more than the likeness of its name says so."""


def object_owner(exception: ExceptionInfo, context: RuleContext, names: list[str]) -> ObjectOwner | None:
    """Return the distribution that a class or function belongs to, or None if it may be of sglang or vllm.

    Args:
        exception: the failure.
        context: the log and what is known about it.
        names: the class and the function in the message, the outermost first.
    """
    if not names:
        return None
    name = names[0]
    certain = _by_line(exception, context, names) or _by_imports(exception, context, name)
    if certain is not None:
        return certain
    if carriers(name) and name not in context.index.owners and not is_standard(name):
        return ObjectOwner(_distribution(context, name), f"the message names {name}")
    share = max(_defining(context, package, name) for package in (VLLM, SGLANG))
    if share > MOSTLY:
        return None
    return _by_demands(context, name) or (_by_convention(name) if not share else None)


def _defining(context: RuleContext, package: str, name: str) -> float:
    """Return the share of a package's releases that define a name, by a sample of them."""
    if not context.index.binds_ever(name, package):
        return 0.0
    sample = range(0, len(context.index.versions(package)), _STEP)
    found = [
        any(
            branch.status == "defined"
            for module in context.index.binders(name, package, at)
            for branch in context.index.branches(module, name, package, at)
        )
        for at in sample
    ]
    return sum(found) / len(sample)


def _by_line(exception: ExceptionInfo, context: RuleContext, names: list[str]) -> ObjectOwner | None:
    """Return the owner by the source line of the call: `llguidance.LLMatcher.validate_grammar(`."""
    source = exception.frames[-1].source if exception.frames else ""
    found = re.search(rf"(?<![\w.])(\w{{1,60}})\.(?:\w{{1,60}}\.){{0,4}}{re.escape(names[-1])}\b", source)
    return _imported(exception, context, found[1], f"`{found[1]}`") if found else None


def _by_imports(exception: ExceptionInfo, context: RuleContext, name: str) -> ObjectOwner | None:
    return _imported(exception, context, name, "it")


def _imported(exception: ExceptionInfo, context: RuleContext, name: str, subject: str) -> ObjectOwner | None:
    """Return the owner of a name that a module of sglang or vllm in the traceback imports."""
    for frame in reversed(exception.frames):
        module = context.module(frame)
        package = context.owner(module) if module else None
        if module is None or package is None:
            continue
        for at in list(reversed(_candidates(context, package)))[:_NEWEST]:
            for branch in context.index.branches(module, name, package, at):
                top = split_location(branch.target or "")[0].partition(".")[0]
                if top and top not in context.index.owners and not is_standard(top):
                    reason = f"{module} imports {subject} from {top}"
                    return ObjectOwner(_distribution(context, top), reason, branch.target or "")
        if carriers(name) and name not in context.index.owners:
            return ObjectOwner(_distribution(context, name), f"the line names {name}")
    return None


def _candidates(context: RuleContext, package: str) -> list[int]:
    known = context.release_index(package)
    return [known] if known is not None else context.candidate_releases(package)


def _by_demands(context: RuleContext, name: str) -> ObjectOwner | None:
    """Return the only distribution from which sglang and vllm import a name."""
    companions = shipped_companions()
    places = companions.named(name) if companions is not None else []
    tops = {split_location(target)[0].partition(".")[0] for _, target in places}
    if len(tops) != 1 or is_standard(next(iter(tops))):
        return None
    target = min((target for _, target in places), key=len)
    reason = f"{name} is a name that sglang or vllm import from {target.partition(':')[0]}"
    return ObjectOwner(_distribution(context, tops.pop()), reason, target)


def _by_convention(name: str) -> ObjectOwner | None:
    if not _OF_TRANSFORMERS.fullmatch(name):
        return None
    reason = f"{name} is named like the classes of transformers"
    return ObjectOwner(_TRANSFORMERS, reason, certain=False)


def _distribution(context: RuleContext, top: str) -> str:
    return requirement_named(context, top, distribution_of(top))


def using_releases(context: RuleContext, exception: ExceptionInfo) -> Iterator[tuple[str, list[int]]]:
    """Yield sglang and vllm with the releases that may be in use, those whose frames come last first.

    A package counts only if a version or the lines of the log narrow its releases down.
    """
    modules = [module for frame in reversed(exception.frames) if (module := context.module(frame))]
    owners = [owner for module in modules if (owner := context.owner(module))]
    for package in dict.fromkeys((*owners, *context.release_indexes, *context.fitting_releases)):
        known = context.release_index(package)
        releases = [known] if known is not None else context.fitting_releases.get(package, [])
        if releases and package in (SGLANG, VLLM):
            yield package, releases
