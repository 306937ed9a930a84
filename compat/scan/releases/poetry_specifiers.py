"""Translate the version constraints of poetry, such as `^0.9.1`, into specifiers of Python packaging."""

import re
from collections.abc import Iterator

_RELEASE = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,5})((?:(?:a|b|rc|\.?post|\.?dev)\d{1,9})?)")


def poetry_specifiers(constraint: str) -> Iterator[str]:
    """Yield one specifier for each alternative of a constraint, nothing for one that is not understood."""
    for alternative in constraint.split("||"):
        clauses = [clause for clause in re.split(r"[,\s]+", _joined(alternative)) if clause]
        translated = [_translated(clause) for clause in clauses]
        if translated and all(translated):
            yield ",".join(translated)


def _joined(text: str) -> str:
    """Return a constraint without spaces between an operator and its version."""
    return re.sub(r"([<>=!~^])\s", r"\1", " ".join(text.split()))


def _translated(clause: str) -> str:
    """Return a clause as a specifier; empty if it is not understood, or admits every version."""
    if clause[:1] not in ("^", "~") or clause.startswith("~="):
        return clause if clause[:1] in tuple("<>=!~") else f"=={clause}" if clause[:1].isdigit() else ""
    match = _RELEASE.fullmatch(clause[1:])
    if match is None:
        return ""
    parts = [int(part) for part in match[1].split(".")]
    if clause.startswith("^"):  # up to the next change of the first part that is not 0
        kept = next((at for at, part in enumerate(parts) if part), len(parts) - 1)
    else:
        kept = min(1, len(parts) - 1)
    below = ".".join(map(str, [*parts[:kept], parts[kept] + 1]))
    return f">={match[1]}{match[2]},<{below}"
