"""A rule for messages that sglang or vllm raise or log: where they come from, and what leads to them."""

import builtins
import re
from collections.abc import Iterator

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import is_standard, top_of
from compat.explain.rules.call_arguments import ranges_text
from compat.model.diagnosis import Diagnosis, Fix
from compat.source_outlines.extract import LOGGING
from compat.source_outlines.reader import KnownMessage

FEWEST = 16
"""The fewest characters of fixed text that identify a message."""
FEWEST_OF_CUT = 24
"""The fewest characters of a message whose rest was left out."""
FEWEST_WORDS = 8
"""The fewest words of a message that can count as foreign: a shorter one may be half of another."""
WORDS_ALIKE = 5
"""Messages that share a run of this many words may be one, put together otherwise."""
MOST = 10
"""Most messages of one log that are looked up."""
LONGEST = 2_000
"""Characters of a message that are compared."""
MOST_SHOWN = 200
"""Characters of a value in a message that are shown."""
_FAILURE = re.compile(
    r"\b(?:[A-Z]\w{0,40})?[Ee]rror\b|\w(?:Error|Exception)\b"
    r"|has no attribute|unexpected keyword argument|cannot import name|No module named"
)
_OF_PACKAGES = ("ValueError", "RuntimeError", "NotImplementedError")
"""Python's own exceptions whose messages are mostly those of packages."""
_OF_PYTHON = ("AttributeError", "KeyError", "TypeError", "IndexError", "NameError", "ModuleNotFoundError")
_IMPORT = " of import "


def stated_by_package(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a message by its place in the sources of the package that raised it.

    The cause is `unknown`, since no closed cause covers the texts of the packages. The fix
    names the import that failed behind the message, if one did.
    """
    raised_in = top_of(exception.frames[-1].path) if exception.frames else None
    if raised_in is not None and raised_in not in context.index.owners and not is_standard(raised_in):
        return None  # another package raised it, whose message reads the same
    matching = _matching(exception, context)
    if not matching or context.outlines is None:
        return None
    lines = [exception.line]
    for message in matching:
        versions = context.outlines.versions(message.package)
        flags = [bool(message.releases >> at & 1) for at in range(len(versions))]
        spans = ranges_text(flags, versions)
        lines.append(f"{message.path} has this message in {message.package} {spans}")
    message = matching[0]
    if message.guard and len(matching) == 1:
        lines.append(f"it is reached under “{message.guard}”")
    behind = message.guard.partition(_IMPORT)[2]
    top = behind.partition(",")[0].strip()
    text = "The message itself tells what is wrong; the evidence tells where it is from."
    values = list(_values(message, exception.message)) if len(matching) == 1 else []
    passed_on = next((value for value in values if _FAILURE.search(value)), None)
    if passed_on:
        text = (
            f"The message passes on a failure of another place: “{passed_on}”. Look for it further up in the "
            "log, with the traceback of its own process."
        )
    elif values:
        lines.append(f"what it was given: {', '.join(values)}")
    fix = Fix(kind="none", text=text)
    if top and not top.startswith("."):
        fix = Fix(
            kind="none",
            text=f"An import failed behind this message, of {behind}: the command shows why.",
            command=f"python -c 'import {top}'",
        )
    return Diagnosis(
        cause="unknown",
        evidence=tuple(lines),
        fix=fix,
    )


def is_foreign(exception: ExceptionInfo, context: RuleContext) -> bool:
    """Return whether a message was looked up and no release of sglang or vllm has one like it."""
    if hasattr(builtins, exception.kind) and exception.kind not in _OF_PACKAGES:
        return False
    text = _looked_up(context).get((exception.kind, exception.message))
    if text is None or context.outlines is None or _matching(exception, context):
        return False
    if len(text.split()) < FEWEST_WORDS:
        return False
    runs = set(_runs(text))
    return not any(
        runs.intersection(_runs(piece))
        for package in context.outlines.packages
        for message in context.outlines.messages(package)
        for piece in _pieces(message.template)
    )


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    """Yield each run of as many words as two messages hardly share by chance."""
    words = text.split()
    yield from zip(*(words[at:] for at in range(WORDS_ALIKE)), strict=False)


def _matching(exception: ExceptionInfo, context: RuleContext) -> list[KnownMessage]:
    """Return the known message of each package that has the most fixed text in an exception's message."""
    if context.messages is None:
        context.messages = _find_all(context)
    return context.messages.get((exception.kind, exception.message), [])


def _find_all(context: RuleContext) -> dict[tuple[str, str], list[KnownMessage]]:
    """Return the messages of the first failures of a log, found in one pass over all known ones."""
    asked = _looked_up(context)
    found: dict[tuple[str, str], list[KnownMessage]] = {}
    for package in context.outlines.packages if context.outlines is not None and asked else ():
        best: dict[tuple[str, str], KnownMessage] = {}
        for message in context.outlines.messages(package) if context.outlines is not None else ():
            head = message.template.partition("\0")[0].partition("%")[0].strip()
            if not any(head in text or _is_begin(text, head) for text in asked.values()):
                continue
            for key, text in asked.items():
                if _is_raised(message, key[0]) and _fits(message, text) and _in_use(message, context):
                    best[key] = max(best.get(key, message), message, key=_weight)
        for key, message in best.items():
            found.setdefault(key, []).append(message)
    for key, messages in found.items():
        longest = max(len(each.template) for each in messages)
        found[key] = [each for each in messages if len(each.template) == longest]
    return found


def _looked_up(context: RuleContext) -> dict[tuple[str, str], str]:
    """Return the kind and message of the first failures to look up, with the text that is compared."""
    failures = (*context.contents.failures, *context.contents.mentions)
    every = dict.fromkeys((each.kind, each.message) for failure in failures for each in failure.chain)
    wanted = {
        key: text
        for key in every
        if key[0] not in _OF_PYTHON and len(text := " ".join(key[1].split())[:LONGEST]) >= FEWEST
    }
    return dict(list(wanted.items())[:MOST]) if context.outlines is not None else {}


def _weight(message: KnownMessage) -> tuple[int, int]:
    return len(message.template), message.releases


def _is_raised(message: KnownMessage, kind: str) -> bool:
    """Return whether a message may be that of an exception of a kind; Python itself raises some of them."""
    return message.kind in LOGGING if not kind else kind in (message.kind, "ValidationError")


def _in_use(message: KnownMessage, context: RuleContext) -> bool:
    """Return whether a release that may be in use has the message."""
    if context.outlines is None:
        return False
    at = context.release_index(message.package)
    possible = [at] if at is not None else context.fitting_releases.get(message.package) or []
    versions = context.outlines.versions(message.package)
    every = (context.index.versions(message.package)[each] for each in possible)
    return not possible or any(
        version not in versions or message.releases >> versions.index(version) & 1 for version in every
    )


def _fits(message: KnownMessage, text: str) -> bool:
    """Return whether the fixed parts of a message are in a text in their order, and are long enough."""
    at = total = 0
    for piece in _pieces(message.template):
        if not at and _is_begin(text, piece):
            return True
        found = text.find(piece, at)
        if found < 0:
            return False
        at, total = found + len(piece), total + len(piece)
    return total >= FEWEST


def _is_begin(text: str, piece: str) -> bool:
    """Return whether a text is the begin of the fixed part of a message, whose rest somebody left out."""
    bare = text.rstrip(" .")
    return len(bare) >= FEWEST_OF_CUT and piece.startswith(bare)


def _values(message: KnownMessage, text: str) -> Iterator[str]:
    """Yield what a message was given for the variable parts of its template."""
    at = 0
    if _is_begin(text, next(_pieces(message.template), "")):
        return
    for number, piece in enumerate(_pieces(message.template)):
        found = text.find(piece, at)
        value = text[at:found].strip(" '\"`")
        if (number or found) and value:
            yield value[:MOST_SHOWN]
        at = found + len(piece)
    if text[at:].strip(" '\"`.") and message.template.endswith(("\0", "%s", "%r", "%d")):
        yield text[at:].strip(" '\"`")[:MOST_SHOWN]


def _pieces(template: str) -> Iterator[str]:
    """Yield the fixed parts of a template, without the values and the places of `%s`."""
    for part in template.split("\0"):
        for piece in part.replace("%d", "%s").replace("%r", "%s").split("%s"):
            if piece.strip():
                yield piece.strip()
