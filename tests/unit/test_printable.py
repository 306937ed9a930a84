"""Characters that would control a terminal, break a line or damage a document are escaped everywhere."""

from xml.etree import ElementTree as ET

import pytest

from compat._cli.printable import github_message, github_property, html, printable

ORDINARY = "é \u2026 \u3000 \N{GRINNING FACE} \N{WOMAN}\N{ZERO WIDTH JOINER}\N{ROCKET} a\xa0b"
HOSTILE = {
    "\x1b[31m": r"\x1b[31m",
    "\r": r"\r",
    "\n::error::": r"\n::error::",
    "\t": r"\t",
    "\x9b": r"\x9b",
    "\x7f": r"\x7f",
    "\x00": r"\x00",
    "\u2028": r"\u2028",
    "\N{RIGHT-TO-LEFT OVERRIDE}": r"\u202e",
    "\N{POP DIRECTIONAL ISOLATE}": r"\u2069",
    "\udc80": r"\udc80",
    "\ufffe": r"\ufffe",
    "\U0001ffff": r"\U0001ffff",
}


@pytest.mark.parametrize(("text", "spelt"), HOSTILE.items())
def test_every_writer_escapes_control_characters(text: str, spelt: str) -> None:
    assert printable(f"a{text}b") == html(f"a{text}b") == f"a{spelt}b"
    printed = printable(text) + html(text) + github_message(text) + github_property(text)
    assert printed.isprintable()
    document = ET.tostring(ET.Element("a", b=printable(text)), encoding="unicode")
    assert ET.fromstring(document).get("b") == spelt  # noqa: S314 -- our own text


def test_other_text_is_unchanged() -> None:
    assert printable(ORDINARY) == html(ORDINARY) == github_message(ORDINARY) == ORDINARY


def test_markup_is_escaped() -> None:
    assert html("<a \"'&>") == "&lt;a &quot;&#x27;&amp;&gt;"
    assert github_message("50%\r\n::error::") == "50%25%0D%0A::error::"
    assert github_property("a:b,c\n") == "a%3Ab%2Cc%0A"
