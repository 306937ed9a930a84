"""Text from outside made fit to be written: file names, logs and metadata may hold anything.

What could act on a terminal, break a line or spoil a document is spelt out as in Python source: control
characters, line separators, marks that change the direction of writing, lone surrogates and noncharacters.
"""


def printable(text: str) -> str:
    r"""Return a text in which what does not print, or ends a line, is spelt out, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(ascii(letter)[1:-1] if _acts(ord(letter)) else letter for letter in text)


def html(text: str) -> str:
    """Return a text for an HTML page or an attribute in it."""
    from html import escape

    return escape(printable(text))


def github_message(text: str) -> str:
    """Return a text for the message of a workflow command of GitHub Actions."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(escaped)


def github_property(text: str) -> str:
    """Return a text for a property of a workflow command of GitHub Actions, such as the name of a file."""
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
