"""Escape text from outside: file names, logs and metadata may contain any character.

Characters that could control a terminal, break a line or damage a document are escaped as in Python source:
control characters, line separators, bidirectional marks, lone surrogates and noncharacters.
"""


def printable(text: str) -> str:
    r"""Return a text with its control characters and line separators escaped, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(ascii(letter)[1:-1] if _acts(ord(letter)) else letter for letter in text)


def html(text: str) -> str:
    """Return a text escaped for an HTML page or an attribute in it."""
    from html import escape

    return escape(printable(text))


def github_message(text: str) -> str:
    """Return a text escaped for the message of a workflow command of GitHub Actions."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(escaped)


def github_property(text: str) -> str:
    """Return a text escaped for a property of a workflow command of GitHub Actions, such as a file name."""
    return github_message(text).replace(":", "%3A").replace(",", "%2C")


def _acts(code: int) -> bool:
    return (
        code < 0x20
        or 0x7F <= code < 0xA0
        or code in {0x061C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF}
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or 0xD800 <= code <= 0xDFFF
        or 0xFDD0 <= code <= 0xFDEF
        or code & 0xFFFE == 0xFFFE
    )
