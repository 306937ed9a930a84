"""The rule for failures that no other rule explains: what they are about, and whose code raised them."""

import builtins
import re
from typing import NamedTuple

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import UNDEFINED
from compat.explain.log.model import ExceptionInfo, TracebackFrame
from compat.explain.lookup.call_errors import called_names, parse_call_error, possible_callees
from compat.explain.lookup.module_paths import distribution_of, is_standard, top_of
from compat.explain.rules.missing_names import MOST_HOMES
from compat.explain.rules.package_messages import is_foreign
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM

_OBJECT = re.compile(r"^`?(?:type object )?'?(\w{3,80})'?(?: object)? has no attribute '?(\w{2,80})")
_ARGUMENT = re.compile(r"(?i)\b(?:keyword|required|positional) argument:? ['`](\w{2,80})['`]")
_BARE = re.compile(r"'?([A-Za-z_]\w{1,80})'?$")
"""The whole message of an AttributeError that code raises by hand: the name alone."""
_QUOTED = re.compile(r"""['"`]([\w./:-]{2,80})['"`]""")
_WORD = re.compile(r"(?<![\w./-])[A-Za-z_]\w{2,60}(?![\w/])")
_OF_CODE = re.compile(r"[a-z]\d|[A-Za-z]_[A-Za-z]|[a-z][A-Z]")
"""What is in a word that is a name in code and no word of a language: `olmo2`, `LlamaModel`."""
MOST_NAMES = 3
"""Most names in a message that are shown."""


class _Subject(NamedTuple):
    """What a failure is about."""

    owner: str
    """A class, or a function outside any class; empty if the message names none."""
    name: str
    """An attribute or method of it, an argument as `(name=)`, or the name alone."""

    def __str__(self) -> str:
        return f"{self.owner}{self.name}" if self.name.startswith("(") else ".".join(filter(None, self))


def unexplained(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Tell what a failure is about and whose code it is; None if neither is known. The cause is `unknown`."""
    subject = _subject(exception)
    frame = exception.frames[-1] if exception.frames else None
    raiser = _raiser(frame, context)
    if subject is None:
        return _message_of_others(exception, raiser, context) or _raised_elsewhere(exception, raiser, context)
    homes = [
        (package, home)
        for package in (VLLM, SGLANG)
        if subject.owner and (home := _home(context, package, subject.owner))
    ]
    package = homes[0][0] if len(homes) == 1 else None
    lines = [exception.line]
    lines += [f"{subject.owner} is defined in {home}, of {package}" for package, home in homes]
    fixed, fix = _fixed_signature(exception, context)
    lines += fixed
    if raiser and UNDEFINED.search(exception.message):
        text = (
            f"{raiser} uses {subject.name} without having bound it: an import that it guards failed, its own "
            "extension did not load, or it is a defect of that release."
        )
        fix = Fix(kind="none", text=text)
    if raiser:
        lines.append(f"the last frame is in {raiser}")
    known = context.known(package) if package else None
    return Diagnosis(
        cause="unknown",
        package=package,
        version=known.version if known else None,
        module=homes[0][1] if package else None,
        symbol=str(subject),
        evidence=tuple(lines),
        fix=fix
        or Fix(kind="none", text=_advice(subject, [each for each, _ in homes], raiser, frame, context)),
    )


def _raised_elsewhere(exception: ExceptionInfo, raiser: str, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of a failure of which only the package that raised it is known."""
    if not raiser or context.owner(context.module(exception.frames[-1]) or "") is not None:
        return None
    return Diagnosis(
        cause="unknown",
        package=raiser,
        evidence=(exception.line, f"the last frame is in {raiser}"),
        fix=Fix(
            kind="none",
            text=f"{raiser} raised it: its version may not fit what calls it, or it was given a wrong value.",
        ),
    )


def _message_of_others(exception: ExceptionInfo, raiser: str, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of a message that neither sglang nor vllm contains, by the names in it."""
    if exception.frames and context.module(exception.frames[-1]) is not None:
        return None  # put together at run time
    message = exception.message
    words = _WORD.findall(_QUOTED.sub(" ", message))
    names = [*_QUOTED.findall(message), *filter(_OF_CODE.search, words)]
    if not names or not exception.kind or not is_foreign(exception, context):
        return None
    about = ", ".join(dict.fromkeys(names[:MOST_NAMES]))
    who = (
        f"{raiser} raised it"
        if raiser
        else "a package that they call, or the model's code, may have raised it"
    )
    return Diagnosis(
        cause="unknown",
        symbol=names[0],
        evidence=(exception.line, f"it is about {about}"),
        fix=Fix(
            kind="none",
            text=f"No message in the sources of sglang or vllm reads like this one: {who}. Look for it "
            f"there, and for what it says about {about}.",
        ),
    )


def _advice(
    subject: _Subject, homes: list[str], raiser: str, frame: TracebackFrame | None, context: RuleContext
) -> str:
    package = homes[0] if len(homes) == 1 else None
    own = context.owner(context.module(frame) or "") if frame is not None else None
    if isinstance(getattr(builtins, subject.owner, None), type):
        whom = f", in the code of {raiser}" if raiser else ""
        return (
            f"An object of Python's own type {subject.owner} stands where one of another class is expected"
            f"{whom}: what passes it is made for another release."
        )
    if package is not None and own == package:
        return (
            f"The code of {package} itself asks for {subject}: a defect of the release, files of two "
            f"releases in one folder, or another project that changes {package} while it runs. Install "
            f"{package} anew, then try another release."
        )
    if package is not None:
        return (
            f"{subject.owner} is of {package}, and what uses it is not: that was written for another release "
            "or for another class. Find out which release it asks for."
        )
    if homes and raiser and own is None:
        return f"The {subject.owner} that {raiser} makes is not that of sglang or vllm: look there."
    if homes:
        return (
            f"{' and '.join(homes)} each define a {subject.owner}: the traceback, or which of them is "
            "installed, tells whose it is."
        )
    if subject.owner and raiser:
        return (
            f"{subject.owner} is defined neither in sglang nor in vllm, and {raiser} meets it: it is of your "
            "code or of another project, which is written for another release."
        )
    if subject.owner:
        return f"{subject.owner} is defined neither in sglang nor in vllm: look in the project that it is of."
    name = subject.name.strip("(=)")
    return f"The name {name} is all that the message tells: the traceback tells which code needs it."


def _subject(exception: ExceptionInfo) -> _Subject | None:
    """Return what a message names as missing or not fitting."""
    error = parse_call_error(exception)
    if error is not None:
        method = "" if error.function == "__init__" else error.function
        called = called_names(exception, error)
        owner = error.owner or (called[0][0] if not method and len(called) == 1 else "")
        if owner == error.function == "__init__":
            return None  # what is called is only in the message itself
        if not owner and not method:
            return None  # a class that neither the message nor the line names
        argument = f"({error.names[0]}=)" if error.names else ""
        return _Subject(owner, method or argument) if owner else _Subject(method, argument)
    found = _OBJECT.search(exception.message)
    if found:
        return _Subject(found[1], found[2])
    found = _ARGUMENT.search(exception.message) if exception.kind in ("TypeError", "") else None
    if found:
        return _Subject("", f"({found[1]}=)")
    found = UNDEFINED.search(exception.message)
    if not found and exception.kind == "AttributeError":
        found = _BARE.match(exception.message)
    return _Subject("", found[1]) if found else None


def _home(context: RuleContext, package: str, name: str) -> str | None:
    """Return the module that defines a name in the newest release of a package that may be in use."""
    if not context.index.binds_ever(name, package):
        return None
    for at in reversed(context.candidate_releases(package)):
        for module in context.index.binders(name, package, at)[:MOST_HOMES]:
            if any(each.status == "defined" for each in context.index.branches(module, name, package, at)):
                return module
    return None


def _fixed_signature(exception: ExceptionInfo, context: RuleContext) -> tuple[list[str], Fix | None]:
    """Return a line about a call that no release of the called function accepts, or that all accept.

    In the first case the caller is at fault; in the second, the fix says that another copy is installed.
    """
    error = parse_call_error(exception)
    named = error is not None and (error.owner or error.function == "__init__")
    callees = list(possible_callees(exception, context, error)) if error is not None and named else []
    if error is None or len(callees) != 1:
        return [], None
    only = callees[0]
    known = [each for each in only.parameters if each is not None]
    if all(map(error.accepted_by, known)):
        top = only.module.partition(".")[0]
        first = context.index.versions(only.package)[0]
        text = (
            f"What is installed is older than {only.package} {first}, or another copy: the command shows it."
        )
        command = f'python -c "import {top}; print({top}.__version__, {top}.__file__)"'
        line = f"{only.module}:{only.name} accepts {error.described} in {only.package} {first} and later"
        return [line], Fix(kind="environment", text=text, command=command)
    if not all(map(error.raised_by, known)):
        return [], None
    need = {"missing": "requires", "many": "does not take", "unexpected": "does not take"}[error.kind]
    line = (
        f"{only.module}:{only.name} {need} {error.described} in every release of {only.package} that has it"
    )
    return [line], None


def _raiser(frame: TracebackFrame | None, context: RuleContext) -> str:
    """Return the distribution in which a frame lies, or an empty text for the user's code."""
    if frame is None:
        return ""
    module = context.module(frame)
    owner = context.owner(module) if module else None
    top = top_of(frame.path)
    if owner is not None and module:
        return f"{owner} ({module})"
    return distribution_of(top) if top is not None and not is_standard(top) else ""
