"""Demangle C++ symbol names with c++filt if it is installed, else the qualified name only."""

import re
import shutil

_SYMBOL = re.compile(r"_Z[A-Za-z0-9_.$]+")
_TIMEOUT = 5.0
_SHORT = {"St": "std", "Sa": "std::allocator", "Ss": "std::string", "So": "std::ostream"}


def demangled(symbol: str) -> str:
    """Return the demangled form of a C++ symbol; any other text unchanged."""
    if not _SYMBOL.fullmatch(symbol):
        return symbol
    return _with_tool(symbol) or _nested(symbol) or symbol


def _with_tool(symbol: str) -> str | None:
    tool = shutil.which("c++filt")
    if tool is None:
        return None
    from compat._util.subprocesses import run

    try:
        done = run([tool, symbol], seconds=_TIMEOUT)
    except OSError:
        return None
    text = done.stdout.strip()
    return text if done.code == 0 and text and text != symbol else None


def _nested(symbol: str) -> str | None:
    """Return the qualified name of a symbol without its arguments, or None if it has none."""
    rest = symbol[2:]
    rest = re.sub(r"^(?:T[VIS]|GV)", "", rest)
    nested = rest[:1] == "N"
    rest = re.sub(r"^N?[KVr]{0,3}", "", rest)
    parts: list[str] = []
    while rest:
        short = next((text for text in _SHORT if rest.startswith(text)), None)
        if short and not parts:
            parts.append(_SHORT[short])
            rest = rest[2:]
            continue
        found = re.match(r"\d{1,4}", rest)
        if not found:
            break
        length = int(found[0])
        name = rest[found.end() : found.end() + length]
        if not length or len(name) < length:
            return None
        parts.append(name)
        rest = rest[found.end() + length :]
        if not nested:
            break
    if nested and parts and rest[:2] in ("C1", "C2", "D0", "D1", "D2"):
        parts.append(("~" if rest[0] == "D" else "") + parts[-1])
    return "::".join(parts) or None
