"""Collect versions from a log: from start-up lines, package lists, pip's messages and paths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

MOST = 5_000
"""Most distributions that are kept."""

_NUMBER = rb"(\d{1,6}(?:\.\d{1,8}){1,4}(?:(?:[.+_-]|post|dev|rc|a|b)[0-9a-z.+_-]{0,40})?)"
_TABLE = re.compile(
    rb"(?m)^[^\S\n]{0,8}(?:\[(?:pip3?|conda)\] )?([A-Za-z][\w.-]{0,80})(?:==|[^\S\n]{1,60})"
    + _NUMBER
    + rb"(?=\s|$)"
)
_COLUMNS = re.compile(rb"(?m)^([A-Za-z][\w.-]{0,80})[ \t]{2,60}" + _NUMBER + rb"(?=[ \t]*$|[ \t]{2})")
_PAIR = re.compile(rb"(?m)^([A-Za-z][\w.-]{0,40}) " + _NUMBER + rb"[ \t]*$")
_COLON = re.compile(
    rb"(?mi)^[ \t>*-]{0,6}([A-Za-z][\w-]{0,40})(?: version)?\*{0,2}[ \t]{0,40}:\*{0,2}[ \t]{1,40}`?"
    + _NUMBER
    + rb"`?[ \t]*(?:\([^)\n]{1,80}\)[ \t]*)?$"
)
_CELL = re.compile(
    rb"(?mi)^\|[ \t*`]{0,8}([A-Za-z][\w-]{0,40})(?: version)?[ \t*`]{0,40}\|[ \t*`v]{0,8}"
    + _NUMBER
    + rb"[ \t*`]{0,40}\|"
)
_SHOWN = re.compile(rb"(?m)^Name: ([\w.-]{1,80})\s{1,4}Version: " + _NUMBER)
_FREEZE = re.compile(
    rb"\b([A-Za-z][\w.-]{0,60})(?:\[[\w,-]{1,40}\])?[ \t]{0,2}==[ \t]{0,2}" + _NUMBER + rb"(?=[\s;'\",)\]]|$)"
)
_INSTALLED = re.compile(rb"(?m)^Successfully installed (.{1,4000})$")
_ITEM = re.compile(rb"([A-Za-z][\w.-]{0,80})-" + _NUMBER + rb"(?: |$)")
_FOLDER = re.compile(rb"/([A-Za-z][\w.]{0,60})-" + _NUMBER + rb"(?:\.dist-info|\.egg-info|-py3)")
_CLASH = re.compile(
    rb"([\w.-]{1,80}) (\d[\w.+!]{0,40}) requires ([\w.\[\]-]{1,80})[^,\n]{0,120}, but you have "
    rb"([\w.-]{1,80}) (\d[\w.+!]{0,40}) which is incompatible"
)
_STARTED = re.compile(
    rb"(?i)\b(vllm|sglang)(?:[ _-](?:API|inference|engine|server|runtime|openai)){0,3}"
    rb"(?: (?:is|running|release|installed))?[ _]{0,2}(?:__)?version(?:__)?(?: is)?"
    rb"\*{0,2}[ \t]{0,8}[:=]?\*{0,2}[ \t]{0,8}['\"]?v?" + _NUMBER
)
_ENGINE = re.compile(rb"(?i)\bLLM engine \(v" + _NUMBER)
_BESIDE = re.compile(
    rb"(?i)\b(vllm|sglang|sgl[-_]kernel|sglang[-_]kernel|vllm-openai)(?:==| \(v?| v?|:v?|-v?|@v?)" + _NUMBER
)
_CLAIM = re.compile(
    rb"(?i)\b(vllm|sglang)\b[^\n.\d]{0,40}?\b(?:to|version|release|on|with|using)\b:? {0,2}v?" + _NUMBER
)
_IN_PROSE = re.compile(
    rb"\b([A-Za-z][A-Za-z0-9_-]{2,40})(?: version)?(?:[ :@]{1,2}v?|-)(\d{1,4}\.\d{1,4}(?:\.\d{1,4})?"
    rb"(?:\.?(?:post|dev|rc)\d{1,4})?)(?![\w.]*\w)"
)
"""Any name and version in prose; a text that somebody wrote is short, so that only its start is searched."""
_NOT_IN_USE = re.compile(
    rb"(?i)\b(?:work(?:s|ed)?|fine|asks?|pin(?:s|ned)?|fix(?:es|ed)?|solve[sd]?|should|needs?|wants?|try|until|before|since|latest|older|"
    rb"newer|instead|support\w*|upgrade to|update to|revert\w*|back to|unlike|than|\d\.\d\S* and|not)\b"
)
"""Words in front of a version that somebody else has, or that was in use at another time."""
_WORKS = re.compile(
    rb"(?i)[^\n.;]{0,40}\b(?:works?|worked|is fine|fix(?:es|ed)|solve[sd]|helps|resolve[sd])\b"
)
"""The same after a version."""
_BESIDE_WORDS = re.compile(rb"(?i)\b(vllm|sglang)[ \t]{0,2}[\x80-\xff][\x80-\xff \t]{1,40}v?" + _NUMBER)
"""A version after words in another script."""
_EQUALS = re.compile(rb"(?i)\b(vllm|sglang)(?:\[[\w,-]{1,40}\])?=v?" + _NUMBER)
_PLATFORMS = (
    (b"+rocm", "ROCm"),
    (b"/opt/rocm", "ROCm"),
    (b"wheels.vllm.ai/rocm", "ROCm"),
    (b"macosx_1", "macOS"),
    (b"darwin", "macOS"),
    (b"platform plugin metal", "macOS"),
    (b"jetson", "Jetson"),
    (b"-tegra", "Jetson"),
    (b"musllinux", "musl"),
    (b"win_amd64", "Windows"),
    (b"windows\\system32", "Windows"),
    (b"\nps c:\\", "Windows"),
)
"""What only logs of a platform contain, in lower case."""
_SOURCE_ARCHIVE = re.compile(rb"\b(vllm|sglang)-(\d[\w.]{0,40}?)\.tar\.gz\b")
_CUDA_FOLDER = re.compile(rb"nvidia/cu(1\d)/")
_PREFIX = re.compile(
    rb"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[?([\w./-]{1,100}\.py):(\d{1,6})\]"
)
"""The prefix that vllm's logger writes: the file and line of the logging call."""
_WARNING = re.compile(rb":(\d{1,6}): [A-Za-z]{1,40}Warning:")
_USAGE = re.compile(rb"\busage: (?:vllm|sglang|api_server|launch_server)\b")
LONGEST_USAGE = 20_000
"""Most bytes of a usage message that are read."""
_LISTED = re.compile(rb"\[(--[a-z][\w-]{1,80})|(?<=[ \n])\{([a-z][a-z,-]{1,300})\} \.\.\.")
"""An option in brackets, or the subcommands of a program."""
MOST_PLACES = 60
"""Most places of logging calls and warnings that are kept."""
_PYTHON = re.compile(rb"/python(3\.\d{1,2})/")
_NOT_INSTALLED = re.compile(
    rb"(?i)uninstall|existing installation|requires|require |attempting|downgrad|>=|<="
)
_LISTS: tuple[tuple[tuple[bytes, ...], tuple[re.Pattern[bytes], ...]], ...] = (
    ((b"==", b"Package ", b"[pip", b"[conda]"), (_TABLE, _FREEZE)),
    ((b"  0.", b"  1.", b"  2.", b"  3.", b"  4.", b"  5."), (_COLUMNS,)),
    (
        (
            b"orch: ",
            b"orch : ",
            b"lang: ",
            b"lang : ",
            b"llm: ",
            b"llm : ",
            b"ersion: ",
            b"ersion**: ",
            b"  : ",
        ),
        (_COLON,),
    ),
    ((b"torch ",), (_PAIR,)),
    ((b"|--", b"| --", b"|:-", b"| :-", b" |\n"), (_CELL,)),
    ((b"Name: ",), (_SHOWN,)),
    ((b"-info", b"-py3"), (_FOLDER,)),
)
"""Byte strings, one of which a block must contain, and the patterns to search it for."""


@dataclass(slots=True, kw_only=True)
class LogFacts:
    """The versions that a log contains; a later line replaces an earlier one."""

    printed: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Canonical name to the version that a program printed, and the text that contains it."""
    claims: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Canonical name to the version that a person mentions in prose, and the text that contains it."""
    others: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The same for other distributions, where the text mentions one version; empty for several."""
    places: dict[tuple[str, int], bool] = field(default_factory=dict)
    """File and line of logging calls and warnings; the value is whether it is a logging call."""
    platform: str = ""
    """The platform of the log, if not CUDA on Linux: `macOS`, `ROCm`, `musl`, `Jetson` or `Windows`."""
    source_archive: tuple[str, str] = ("", "")
    """The package and version of the source archive of sglang or vllm that an installer takes, if any."""
    cuda: set[str] = field(default_factory=set)
    """The major versions of CUDA whose libraries are in the paths, as `nvidia/cu13/lib` shows."""
    usage: set[str] = field(default_factory=set)
    """The options and subcommands that a usage message of a program lists."""
    python: str | None = None
    """The version of Python in the paths, `X.Y`."""

    def read(self, block: bytes) -> None:
        """Collect the versions in a block of complete lines."""
        lower = block.lower()
        self._surroundings(block)
        if b"vllm" in lower or b"sgl" in lower or b"llm engine (v" in lower:
            self._statements(block)
        for signs, patterns in _LISTS:
            if any(sign in block for sign in signs):
                for pattern in patterns:
                    self._pairs(pattern, block)
        for found in _INSTALLED.finditer(block):
            self._pairs(_ITEM, found[1])
        if b"which is incompatible" in block:
            for found in _CLASH.finditer(block):
                self._add(found[1], found[2], found[0])
                self._add(found[4], found[5], found[0])

    def read_prose(self, block: bytes) -> None:
        """Collect the versions that a person mentions anywhere in a block of complete lines."""
        for found in _IN_PROSE.finditer(block):
            before = _line_around(block, found)
            if _NOT_IN_USE.search(before) or _NOT_INSTALLED.search(before):
                continue
            if _WORKS.match(block, found.end()):
                continue
            name: str = canonicalize_name(found[1].decode())
            name = "torch" if name == "pytorch" else name
            version, there = found[2].decode(), self.others.get(name)
            if there is not None and there[0] != version:
                version = ""  # which of them is in use, nobody knows
            words = " ".join(found[0].decode("utf-8", "replace").split())
            if name in self.others or len(self.others) < MOST:
                self.others[name] = (version, words)

    def _surroundings(self, block: bytes) -> None:
        """Collect the version of Python, those of CUDA, and the source archive that is built."""
        if self.python is None and (found := _PYTHON.search(block)):
            self.python = found[1].decode()
        if b"usage: " in block:
            for found in _USAGE.finditer(block):
                end = block.find(b": error:", found.end(), found.end() + LONGEST_USAGE)
                words = _LISTED.findall(block[found.end() : max(end, found.end())])
                self.usage.update(word.decode() for each in words for word in each[1].split(b",") if word)
                self.usage.update(each[0].decode() for each in words if each[0])
        if b".tar.gz" in block and (archive := _SOURCE_ARCHIVE.search(block)):
            self.source_archive = archive[1].decode(), archive[2].decode()
        if b"nvidia/cu1" in block:
            self.cuda.update(found[1].decode() for found in _CUDA_FOLDER.finditer(block))

    def read_places(self, block: bytes) -> None:
        """Collect the places of logging calls and warnings in a block of complete lines, and the platform."""
        if not self.platform:
            lower = block.lower()
            self.platform = next((name for sign, name in _PLATFORMS if sign in lower), "")
        for found in _PREFIX.finditer(block):
            self._place(found[1], found[2], logged=True)
        for found in _WARNING.finditer(block):
            line = block[max(0, found.start() - 500) : found.start()].rpartition(b"\n")[2]
            path = line.split()[-1:]
            if path and path[0].endswith(b".py"):
                self._place(path[0], found[1], logged=False)

    def _place(self, path: bytes, line: bytes, *, logged: bool) -> None:
        if len(self.places) < MOST_PLACES:
            self.places.setdefault((path.decode("utf-8", "replace"), int(line)), logged)

    def _statements(self, block: bytes) -> None:
        for pattern in (_CLAIM, _EQUALS, _BESIDE_WORDS):
            for found in pattern.finditer(block):
                self._add(found[1], found[2], found[0], self.claims)
        for found in _BESIDE.finditer(block):
            name = b"vllm" if found[1].lower() == b"vllm-openai" else found[1]
            line = _line_around(block, found)
            if not _NOT_INSTALLED.search(line) and b"Requirement" not in line:
                self._add(name, found[2], found[0])
        for found in _STARTED.finditer(block):
            self._add(found[1], found[2], found[0])
        for found in _ENGINE.finditer(block):
            self._add(b"vllm", found[1], found[0])

    def _pairs(self, pattern: re.Pattern[bytes], block: bytes) -> None:
        for found in pattern.finditer(block):
            if not _NOT_INSTALLED.search(_line_around(block, found)):
                self._add(found[1], found[2], found[0])

    def _add(
        self, name: bytes, version: bytes, words: bytes, into: dict[str, tuple[str, str]] | None = None
    ) -> None:
        target = self.printed if into is None else into
        key: str = canonicalize_name(name.decode("ascii", "replace"))
        key = "torch" if key == "pytorch" else key
        text = version.decode("ascii", "replace").rstrip(".-_")
        if not _is_version(text):
            text = re.split(r"[-_]", text, maxsplit=1)[0]  # the tag of an image goes on: 0.4.5-cu124
        if not _is_version(text):
            return
        if key in target or len(target) < MOST:
            target[key] = (text, " ".join(words.decode("utf-8", "replace").split())[:200])

    def versions(self) -> Mapping[str, str]:
        """Return canonical name to version, for all versions that a program printed."""
        return {name: version for name, (version, _) in self.printed.items()}


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _line_around(block: bytes, found: re.Match[bytes]) -> bytes:
    """Return the line of a match from its start to the end of the match, at most 300 bytes before it."""
    start = block.rfind(b"\n", max(0, found.start() - 300), found.start()) + 1
    return block[max(start, found.start() - 300) : found.end()]
