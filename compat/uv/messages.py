"""Parse the error messages of uv and pip, from logs as well as from a uv that has just run.

The patterns match the messages of pip 23 to 26 and of uv 0.4, 0.6, 0.8 and 0.13.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from compat.model.releases import allows
from compat.requirements.graph import RequirementEdge
from compat.requirements.specifiers import named_version, pinned

CONFLICT = "The conflict is caused by:"
UNSOLVED = "No solution found when resolving dependencies"
ABSENT = "Could not find a version that satisfies the requirement"
REFUSALS = (CONFLICT, UNSOLVED, ABSENT)
"""Phrases with which the message of a failed resolution begins; a text without any of them contains none."""
FAILED = "version solving failed"
"""The phrase with which poetry's message of a failed resolution ends."""

_CROSS = "\N{MULTIPLICATION SIGN}"
_DRAWN = f" \t{_CROSS}╰─▶│├"
"""The characters with which uv draws a frame around its explanations."""
_FRAME = re.compile(rf"^(?:[\s{_DRAWN}]|cause:)+")

_BOUND = r"[<>=!~]=?=? ?[\w.*+!-]{1,60}"
_SPEC = rf"{_BOUND}(?:(?:,| and) ?{_BOUND}){{0,6}}"
_NAME = r"[A-Za-z](?:[A-Za-z0-9._-]{0,80}[A-Za-z0-9])?"
_EXTRAS = r"(?:\[[^\]]{1,80}\]|\{[^}]{1,200}\}){0,2}"
"""Extras, and markers as in `torchcodec{sys_platform != 'linux'}==0.11.1`."""
_DEPENDS = re.compile(
    rf"(?<!your )\b(?P<by>{_NAME}){_EXTRAS}(?: (?P<version>\d[\w.+!]{{0,60}})|(?P<range>{_SPEC}))?"
    " depends? on "
    rf"(?P<name>{_NAME})(?P<extras>{_EXTRAS})(?P<spec>{_SPEC})?"
)
_REQUESTED = re.compile(
    rf"The user requested ({_NAME}{_EXTRAS}{_SPEC})"
    r"|(?<!conclude that )\b(?:you require|your (?:project|workspace) (?:depends on|requires)) ([^.]\S{0,80}"
    r"(?:(?:,| and|, and) [A-Za-z]\S{0,80}){0,8})"
)
_ONE = re.compile(rf"(?P<name>{_NAME}){_EXTRAS}(?P<spec>{_SPEC})")
_PYTHON = re.compile(
    r"the (?:requested|current) Python version \((?P<python>[^)]{1,40})\) does not satisfy "
    rf"Python(?P<wanted>{_SPEC}) and (?P<name>{_NAME}){_EXTRAS}(?P<spec>{_SPEC}) depends on Python"
)
_NO_VERSION = re.compile(rf"there (?:is|are) no versions? of {_ONE.pattern}")
_UNLISTED = re.compile(
    rf"\b(?P<name>{_NAME}) (?:was|were) not found in the "
    r"(?:package registry|cache|provided package locations)"
)
_ONLY = re.compile(rf"\bonly {_ONE.pattern} (?:is|are) available")
_NO_WHEEL = re.compile(rf"\b{_ONE.pattern} has no (?:usable )?wheels")
_MISSING = re.compile(
    rf"{ABSENT} {_ONE.pattern}[^(]{{0,200}}(?:\(from (?P<by>[\w.-]{{1,80}})[^)]{{0,100}}\))?"
)
_WANTED = re.compile(rf"{ABSENT} (\S[^(]{{0,300}}?)(?: \(from (?!versions)([^)]{{1,200}})\))?(?: \(|$)")
_POETRY_EDGE = re.compile(
    rf"\b(?P<by>{_NAME}) \((?P<at>[^()]{{1,60}})\) (?:depends on|requires) "
    rf"(?P<name>{_NAME}) \((?P<spec>[^()]{{1,60}})\)"
)
_POETRY_BOTH = re.compile(
    rf"\b({_NAME}) depends on both ({_NAME}) \(([^()]{{1,60}})\) and ({_NAME}) \(([^()]{{1,60}})\)"
)
_IGNORED = "Ignored the following versions that require a different python version: "
_OTHER_PYTHON = re.compile(r"(\d[\w.+!]{0,60}) Requires-Python ([^;]{1,80})")
_STEP = re.compile(r"Because (.+?), we can conclude that")
_AVAILABLE = re.compile(
    r"(?:Because|because|and) ((?:only|there is no version of|there are no versions of) .+?)(?: and |, )"
)
_WHEELS = re.compile(rf"({_NAME}{_EXTRAS}(?:{_SPEC})? has no (?:usable )?wheels[^,]*?)(?: and |, )")
INCOMPATIBLE = re.compile(
    r"\b([\w.-]{1,80}) (\d\S{0,40}) requires ([\w.-]{1,80})(?:\[[^\]]{0,80}\])?"
    r"([^,][^,\s]{0,80}(?:,[^,\s]{1,80}){0,4})(?:; [^,\n]{1,400})?, "
    r"but you have ([\w.-]{1,80}) (\S{1,40}) which is incompatible"
)
"""pip's warning after an installation: package, its version, name and specifier of the requirement, and name
and version of the installed distribution."""
_UNREACHABLE = re.compile(
    r"Failed to fetch|client error|HTTP status|operation timed out|dns error", re.IGNORECASE
)
_CACHE = re.compile(r"Failed to initialize cache|Could not acquire lock")
"""What uv says first when its cache folder is a file, or cannot be written."""
_DISK = re.compile(
    "|".join(
        (
            *(re.escape(os.strerror(code)) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)),
            rf"{re.escape(os.strerror(errno.EACCES))} \(os error",
            _CACHE.pattern,
        )
    )
)
_URL = re.compile(r"https?://[^\s`'\")]*")
_FETCHES = re.compile(r"urlopen|URLError|ConnectionError|download_|HTTPError")


def refusal(line: str, rest: Iterable[str], before: str) -> str:
    """Return the message of a failed resolution in one line.

    Args:
        line: a line with one of `REFUSALS`.
        rest: the lines after it.
        before: the line before it.
    """
    if CONFLICT in line:
        return f"{CONFLICT} {'; '.join(_paragraph(rest))}"
    if UNSOLVED in line:
        return f"{UNSOLVED} {' '.join(_paragraph(chain([line.partition(UNSOLVED)[2]], rest)))}"
    found = _WANTED.search(line)
    if not found:
        return line[:400]
    wanted = found[1].strip()
    message = f"{ABSENT} {wanted}" + (f" (from {found[2]})" if found[2] else "")
    try:
        specifier = Requirement(wanted).specifier
    except InvalidRequirement:
        return message
    if "(from versions: none)" in line:
        message += "; the index has no version of it"
    every = _OTHER_PYTHON.findall(before.partition(_IGNORED)[2])
    fitting = [
        f"{version} Requires-Python {python.strip()}"
        for version, python in every
        if allows(specifier, version)
    ]
    return f"{message}; {_IGNORED}{'; '.join(fitting[-3:])}" if fitting else message


def edges(text: str) -> Iterator[RequirementEdge]:
    """Yield the requirements in an explanation, in order, except those on a Python version."""
    for found in _DEPENDS.finditer(_folded(text)):
        if found["name"] != "Python":
            at = f"=={found['version']}" if found["version"] else found["range"]
            yield _edge(found["by"], at, _requirement(found["name"], found["spec"], found["extras"]))


def poetry_edges(text: str) -> Iterator[RequirementEdge]:
    """Yield the requirements in poetry's explanation, in order."""
    for found in _POETRY_EDGE.finditer(_folded(text)):
        yield _edge(
            found["by"], poetry_spec(found["at"]), _requirement(found["name"], poetry_spec(found["spec"]))
        )
    for found in _POETRY_BOTH.finditer(_folded(text)):
        for name, spec in ((found[2], found[3]), (found[4], found[5])):
            yield _edge(found[1], None, _requirement(name, poetry_spec(spec)))


def poetry_spec(text: str) -> str:
    """Return a constraint of poetry as a specifier: `2.7.0` is `==2.7.0`, `^2.6.0` is `>=2.6.0,<3`."""
    bare = text.strip().removeprefix("v")
    if bare[:1] == "^":
        parts = bare[1:].split(".")
        at = next((place for place, part in enumerate(parts) if part.strip("0")), len(parts) - 1)
        if all(part.isdigit() for part in parts):
            upper = ".".join([*parts[:at], str(int(parts[at]) + 1)])
            return f">={bare[1:]},<{upper}"
    return f"=={bare}" if bare[:1].isdigit() else bare


def requested(text: str) -> Iterator[Requirement]:
    """Yield the requirements in an explanation that the user has requested directly."""
    for found in _REQUESTED.finditer(text):
        for one in _ONE.finditer(found[1] or found[2]):
            yield _requirement(one["name"], one["spec"])


def other_python(text: str) -> tuple[RequirementEdge, str | None] | None:
    """Return the requirement of a release on another Python version, and the requested version if stated."""
    if found := _PYTHON.search(text):
        return _edge(found["name"], found["spec"], _requirement("python", found["wanted"])), found["python"]
    missing, found = absent(text), _OTHER_PYTHON.search(text)
    if missing is None or found is None:
        return None
    return _edge(missing.name, f"=={found[1]}", _requirement("python", found[2])), None


def no_version(text: str) -> Requirement | None:
    """Return the requirement of which uv reports that no version exists, or None."""
    found = _NO_VERSION.search(text)
    return _requirement(found["name"], found["spec"]) if found else None


def not_listed(text: str) -> str | None:
    """Return the name of which uv reports that the package index does not have it, or None."""
    found = _UNLISTED.search(_folded(text))
    return canonicalize_name(found["name"]) if found else None


def only_offered(text: str) -> Requirement | None:
    """Return the only versions that uv finds, where these are not the required ones, or None."""
    found = _ONLY.search(_folded(text))
    return _requirement(found["name"], found["spec"]) if found else None


def no_wheel(text: str) -> Requirement | None:
    """Return the requirement of which uv finds no wheel for this Python version and platform, or None."""
    found = _NO_WHEEL.search(_folded(text))
    return _requirement(found["name"], found["spec"]) if found else None


def absent(text: str) -> RequirementEdge | None:
    """Return the requirement of which pip finds no version, or None; `by` may be empty."""
    found = _MISSING.match(text)
    return _edge(found["by"] or "", None, _requirement(found["name"], found["spec"])) if found else None


def first_step(explanation: str) -> str | None:
    """Return the first step of uv's explanation, which names the conflicting requirements, or None."""
    found = _STEP.search(_folded(explanation))
    return found[1] if found else None


def conflict_reason(explanation: str) -> str:
    """Return the shortest reason in an explanation: a missing version or wheel, or else the first step."""
    text = _folded(explanation)
    for pattern in (_AVAILABLE, _WHEELS):
        if found := pattern.search(text):
            asking = _DEPENDS.search(text, found.end())
            return f"{found[1]}, and {asking[0]}" if asking else found[1]
    return complaint(first_step(text) or text) or "uv gave no reason"


def complaint(stderr: str) -> str:
    """Return uv's error message in one line and without URLs, since those of an index may be private."""
    return re.sub(r"\w+://\S+", "(address)", _folded(stderr).removeprefix("error: "))


def failure_reason(output: str, code: int) -> str:
    """Return the reason why uv failed, in one line: its first error message and, if any, the root cause.

    Where uv cannot use its cache, the line also says what to do.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", output)
    lines = [line.strip(_DRAWN) for line in text.splitlines()]
    marks = [at for at, line in enumerate(text.splitlines()) if line.startswith("error:") or _CROSS in line]
    if not marks:
        last = next((line for line in reversed(lines) if line), "no output")
        return _file_names(f"uv exited with code {code}: {last}")
    head = lines[marks[0]].removeprefix("error:").strip()
    rest = [line for line in lines[marks[0] + 1 :] if line]
    causes = _causes(lines[marks[0] + 1 :]) or rest[:1]
    advice = "; set UV_CACHE_DIR to a folder that can be written" if _CACHE.match(head) else ""
    return _file_names(": ".join(["uv", head.rstrip(":"), *causes[-1:]])) + advice


def is_unreachable(stderr: str) -> bool:
    """Return whether uv failed because it cannot reach the package index."""
    return _UNREACHABLE.search(stderr) is not None


def is_disk_failure(output: str) -> bool:
    """Return whether uv, or a build that it ran, failed because nothing can be written to the disk."""
    return _DISK.search(output) is not None


def fetches_elsewhere(output: str) -> bool:
    """Return whether the output of a failed build shows that it tried to download something."""
    return _FETCHES.search(output) is not None


def nothing_to_download(code: int, output: str) -> bool:
    """Return whether uv's cache holds every package, given exit code and output of `cache_query`."""
    return code == 0 and "Would download" not in output


def _paragraph(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of the next paragraph, without uv's frame characters."""
    begun = False
    for line in lines:
        text = _FRAME.sub("", line).strip()
        if text:
            yield text
        elif begun:
            return
        begun = begun or bool(text)


def _causes(lines: Sequence[str]) -> list[str]:
    """Return the causes below an error, each joined to one line, since uv wraps long lines."""
    causes: list[str] = []
    inside = False
    for line in lines:
        found = re.match(r"(?:Caused by|cause):\s*(.*)", line)  # older and newer versions of uv
        if found:
            causes.append(found[1])
        elif inside and line:
            causes[-1] += f" {line}"
        inside = bool(found) or (inside and bool(line))
    return causes


def _file_names(line: str) -> str:
    """Return the line with URLs shortened to their last part, since those of an index may be private."""
    return _URL.sub(lambda found: found[0].removesuffix("/").rpartition("/")[2], line)


def _folded(text: str) -> str:
    return " ".join(text.split())


def _edge(by: str, at: str | None, requirement: Requirement) -> RequirementEdge:
    versions = _specifiers(at)
    return RequirementEdge(
        by=canonicalize_name(by), version=str(pinned(versions) or versions), requirement=requirement
    )


def _requirement(name: str, spec: str | None, extras: str = "") -> Requirement:
    found = Requirement(canonicalize_name(name))
    found.specifier = _specifiers(spec)
    listed = ",".join(re.findall(r"\[([^\]]*)\]", extras)).split(",")
    found.extras = {extra.strip() for extra in listed if extra.strip()}
    return found


def _specifiers(text: str | None) -> SpecifierSet:
    """Return a specifier set; an empty one if the text is not valid or names no version (`===x`)."""
    try:
        found = SpecifierSet((text or "").replace(" and ", ",").strip(" ,."))
        for each in found:
            named_version(each)
    except (InvalidSpecifier, InvalidVersion):
        return SpecifierSet()
    return found
