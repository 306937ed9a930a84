"""Parse a project page of a package index, JSON or HTML, with work proportional to its length."""

import json
from email.message import Message
from html.parser import HTMLParser
from urllib.parse import urljoin

import pypi_simple
from packaging.utils import NormalizedName


def read_page(content: bytes, content_type: str, url: str, name: NormalizedName) -> pypi_simple.ProjectPage:
    """Return the files that a project page lists; of a page in HTML, only the wheels.

    Args:
        content: the body of the response.
        content_type: the value of its header.
        url: where the page is, for relative links.
        name: the project of the page.

    Raises:
        ValueError: the page is not valid, or neither JSON nor HTML.
        RecursionError: its JSON is nested too deeply.
        pypi_simple.UnsupportedRepoVersionError: the version of the protocol is not supported.
    """
    header = Message()
    header["Content-Type"] = content_type
    kind = header.get_content_type()
    if kind.endswith("json"):
        return pypi_simple.ProjectPage.from_json_data(json.loads(content), url)
    if not kind.endswith("html"):
        raise ValueError(f"{kind} is not a type of project pages")
    links = _Links(url)
    # Without `close`, the parser does not look for tags in what follows an unfinished one, again and again.
    links.feed(_decoded(content, header.get_content_charset("utf-8")))
    wheels = (link for link in links.found if link.text.endswith(".whl"))
    files = [pypi_simple.DistributionPackage.from_link(link, name) for link in wheels]
    return pypi_simple.ProjectPage(project=name, packages=files, repository_version=None, last_serial=None)


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


class _Links(HTMLParser):
    """Collects the links of a page; a link ends where the next one begins."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.found: list[pypi_simple.Link] = []
        self._base = url
        self._attributes: dict[str, str] | None = None
        self._text: list[str] = []

    def parse_html_declaration(self, i: int) -> int:
        """Skip a declaration up to the next `>`: for a broken one, the base class raises AssertionError."""
        return self.parse_bogus_comment(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "base" and "href" in given:
            self._base = urljoin(self._base, given["href"])
        elif tag == "a":
            self._end_link()
            self._attributes = given if "href" in given else None

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._end_link()

    def handle_data(self, data: str) -> None:
        if self._attributes is not None:
            self._text.append(data)

    def _end_link(self) -> None:
        if self._attributes is not None:
            url = urljoin(self._base, self._attributes["href"])
            text = "".join(self._text).strip()
            self.found.append(pypi_simple.Link(text=text, url=url, attrs=dict(self._attributes)))
        self._attributes = None
        self._text.clear()
