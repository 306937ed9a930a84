"""Find the fenced blocks of Markdown that are scripts, configuration files or Python."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from compat.scan.settings.kinds import Kind

_FENCE = re.compile(r"^[ \t>]{0,20}(?P<fence>`{3,9}|~{3,9})(?P<info>[^`\n]{0,80})$", re.MULTILINE)
_LANGUAGES: dict[str, Kind | None] = {
    **dict.fromkeys(("", "bash", "sh", "shell", "zsh", "console", "shell-session", "shellsession"), "shell"),
    **dict.fromkeys(("terminal", "text", "cmd", "bat"), "shell"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    **dict.fromkeys(("dockerfile", "docker"), "dockerfile"),
    **dict.fromkeys(("makefile", "make"), "make"),
    **dict.fromkeys(("dotenv", "env", "ini"), "env"),
    **dict.fromkeys(("python", "py", "python3"), None),
}


class Block(NamedTuple):
    """The body of a fenced block."""

    kind: Kind | None
    """None for Python."""
    start: int
    end: int


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown file that can be read, in order."""
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(text):
        if opened is None:
            opened = match
        elif match["fence"].startswith(opened["fence"]) and not match["info"].strip():
            words = re.split(r"[\s,{]", opened["info"].strip().lower().lstrip("{."))
            language = words[0].rstrip("}")
            if language in _LANGUAGES:
                yield Block(_LANGUAGES[language], min(opened.end() + 1, match.start()), match.start())
            opened = None
