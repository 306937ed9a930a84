"""What a package index may send: nothing from it takes time or memory without a bound."""

import hashlib
import tracemalloc
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from compat.errors import IntegrityError, NetworkError
from compat.wheels import http_session, package_index, range_file, wheel_sources
from compat.wheels.http_session import open_session
from compat.wheels.index_page import read_page
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.wheel_sources import read_sources
from counting import calls
from wheelhouse import Fault, Index, build_wheel, metadata, serving

NAME = "thing-1.0-py3-none-any.whl"
HTML = "application/vnd.pypi.simple.v1+html; charset=utf-8"
JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as index:
        yield index


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(retries=0) as session:
        yield session


def listed(index: Index, session: requests.Session, body: bytes, **changes: Any) -> WheelFile:
    """Publish a wheel, and return it as the project page lists it."""
    index.add(NAME, body, **changes)
    (wheel,) = Registry(session, index.simple).wheels("thing")
    return wheel


def test_a_range_that_never_ends_is_given_up_after_what_was_asked_for(
    index: Index, session: requests.Session
) -> None:
    wheel = listed(index, session, build_wheel("thing", "1.0", {"thing.py": b"x = 1\n"}))
    index.faults.append(Fault(endless=True))
    tracemalloc.start()
    with pytest.raises(NetworkError, match=r"cannot read thing-1.0.*127.0.0.1 sent more than \d+ B"):
        read_sources(wheel, session)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_page_that_never_ends_is_given_up(
    index: Index, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_index, "LARGEST_PAGE", 1_000_000)
    index.add(NAME, b"")
    index.page_faults.append(Fault(body=b" " * 1000, endless=True))
    with pytest.raises(
        NetworkError, match=r"cannot list the wheels of thing: 127.0.0.1 sent more than 1.0 MB"
    ):
        Registry(session, index.simple).wheels("thing")


def test_a_wheel_of_unstated_size_that_never_ends_is_given_up(
    index: Index, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_file, "LARGEST_WHEEL", 1_000_000)
    wheel = listed(index, session, b" " * 1000, size=None)
    index.ranges = False
    index.faults.append(Fault(endless=True))
    with pytest.raises(NetworkError, match=r"sent more than 1.0 MB, the most that is accepted"):
        read_sources(wheel, session)


@pytest.mark.parametrize("page", [True, False])
def test_a_response_that_trickles_is_given_up(
    index: Index, session: requests.Session, monkeypatch: pytest.MonkeyPatch, *, page: bool
) -> None:
    wheel = listed(index, session, build_wheel("thing", "1.0", {}))
    monkeypatch.setattr(http_session, "PATIENCE", 0)
    monkeypatch.setattr(http_session, "SLOWEST", 10**12)  # so that this machine is too slow
    read = (
        partial(Registry(session, index.simple).wheels, "thing")
        if page
        else partial(read_sources, wheel, session)
    )
    with pytest.raises(
        NetworkError, match=r"127.0.0.1 sent \d+ bytes in 0 seconds, which is too slow; check"
    ):
        read()


def test_a_small_wheel_does_not_become_a_large_file(
    index: Index, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_sources, "LARGEST_FILE", 1_000_000)
    body = build_wheel("thing", "1.0", {"thing.py": b" " * 100_000_000})
    assert len(body) < 200_000
    wheel = listed(index, session, body)
    tracemalloc.start()
    with pytest.raises(IntegrityError, match=r"thing.py has more than 1.0 MB; refused"):
        read_sources(wheel, session)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_many_files_together_have_a_limit(
    index: Index, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_sources, "LARGEST_SOURCES", 50_000)
    wheel = listed(index, session, build_wheel("thing", "1.0", {f"m{n}.py": b" " * 1000 for n in range(60)}))
    with pytest.raises(IntegrityError, match=r"its Python files have more than 50.0 kB; refused"):
        read_sources(wheel, session)


def test_a_range_is_not_larger_than_memory(
    index: Index, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_file, "LARGEST_RANGE", 1000)
    wheel = listed(index, session, build_wheel("thing", "1.0", {"thing.py": bytes(range(256)) * 20}))
    with pytest.raises(IntegrityError, match="would have to be kept in memory"):
        read_sources(wheel, session)


def test_metadata_is_checked_against_the_digest_that_the_index_states(
    index: Index, session: requests.Session
) -> None:
    body = build_wheel("thing", "1.0", {})
    true = hashlib.sha256(metadata("thing", "1.0").encode()).hexdigest()
    wheel = listed(index, session, body, **{"core-metadata": {"sha256": true}})
    assert read_sources(wheel, session).metadata == metadata("thing", "1.0")
    index.projects.clear()
    wheel = listed(index, session, body, **{"core-metadata": {"sha256": "0" * 64}})
    with pytest.raises(IntegrityError, match=f"the sha256 of its METADATA is {true}, the index states 0000"):
        read_sources(wheel, session)


def test_the_sha256_of_a_whole_wheel_is_checked_on_request(index: Index, session: requests.Session) -> None:
    """RECORD agrees with files that were exchanged with it; only the digest of the wheel does not."""
    wheel = listed(index, session, build_wheel("thing", "1.0", {"thing.py": b"a = 1\n"}), size=None)
    assert read_sources(wheel, session, whole=True).sources == {"thing.py": b"a = 1\n"}
    index.bodies[NAME] = build_wheel("thing", "1.0", {"thing.py": b"b = 1\n"})
    assert read_sources(wheel, session).sources == {"thing.py": b"b = 1\n"}
    with pytest.raises(IntegrityError, match=f"{NAME}: its sha256 is .* the index states {wheel.sha256}"):
        read_sources(wheel, session, whole=True)


def test_a_page_in_html_lists_the_same_files(index: Index, session: requests.Session) -> None:
    index.add(NAME, b"")
    links = (
        f'<a href="../../files/{NAME}#sha256={"0" * 64}" data-requires-python="&gt;=3.9" data-yanked>'
        f"{NAME}</a>"
        '<a>no link</a><a href="x">other-1.0.tar.gz'
    )
    page = f"<!DOCTYPE html><html><body><h1>Links</h1>{links}</body></html>".encode()
    index.page_faults.append(Fault(body=page, headers={"Content-Type": HTML}))
    (wheel,) = Registry(session, index.simple).wheels("thing")
    assert wheel.url == f"{index.url}/files/{NAME}"
    assert (wheel.sha256, wheel.requires_python, wheel.yanked) == ("0" * 64, ">=3.9", True)


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (b"[" * 100_000, JSON),
        (b"{", JSON),
        (b"%PDF", "application/pdf"),
        (b"", ""),
    ],
)
def test_a_page_that_is_none_is_one_line(
    index: Index, session: requests.Session, page: bytes, kind: str
) -> None:
    index.add(NAME, b"")
    index.page_faults.append(Fault(body=page, headers={"Content-Type": kind}))
    with pytest.raises(
        NetworkError, match=r"the response of the package index cannot be read \(\w+\); check"
    ):
        Registry(session, index.simple).wheels("thing")


THING = canonicalize_name("thing")
PIECES = (
    "<a ",
    "<a href=x>",
    "</a>",
    "<a href='",
    '<a href="x" b=\'',
    "<!--",
    "<!",
    "<?",
    "</",
    "<![CDATA[",
    "<script>",
    "&#",
    "&amp",
    "<",
    ">",
    "x=",
    " ",
    "<base href=/>",
    "a" * 30,
    f"<a href=y#sha256=0>{NAME}",
)


@pytest.mark.parametrize("piece", PIECES)
def test_the_work_for_a_page_grows_with_its_length(piece: str) -> None:
    def page(times: int) -> bytes:
        return (piece * times).encode()

    small, large = (
        calls(partial(read_page, page(times), HTML, "http://x/", THING)) for times in (1000, 4000)
    )
    assert large < 4.2 * small + 200


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_page_is_read(text: str) -> None:
    assert read_page(text.encode(), HTML, "http://x/", THING).project == "thing"


@example(b"<![\x00", HTML)
@example(b"<!a [ <! ]>", HTML)
@given(st.binary(max_size=300), st.sampled_from((HTML, "text/html; charset=nonsense", JSON)))
def test_any_bytes_are_a_page_or_a_value_error(content: bytes, kind: str) -> None:
    try:
        read_page(content, kind, "http://x/", THING)
    except ValueError:
        assert kind == JSON


def test_a_name_that_no_file_system_has_is_ignored(index: Index, session: requests.Session) -> None:
    long = f"thing-{'1.' * 100_000}0-py3-none-any.whl"
    index.add(long, b"", url=f"{index.url}/files/x")
    assert Registry(session, index.simple).wheels("thing") == ()


def test_a_zip_that_lies_about_a_size_is_read_to_the_limit(
    index: Index, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_sources, "LARGEST_FILE", 1_000_000)
    body = build_wheel("thing", "1.0", {"thing.py": b" " * 30_000_000})
    body = body.replace((30_000_000).to_bytes(4, "little"), (6).to_bytes(4, "little"))
    wheel = listed(index, session, body)
    tracemalloc.start()
    with pytest.raises((IntegrityError, zipfile.BadZipFile)):
        read_sources(wheel, session)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
