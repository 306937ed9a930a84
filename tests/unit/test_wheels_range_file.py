"""Byte ranges over HTTP, from servers that support them and from servers that fail."""

import io
import zipfile
from collections.abc import Callable, Iterator

import pytest
import requests

from compat.errors import IntegrityError, NetworkError
from compat.wheels import range_file
from compat.wheels.http_session import open_session
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.range_file import GAP, TAIL, RemoteFile
from wheelhouse import Fault, Index, Notes, build_wheel, noise, serving

BODY = noise(1_500_000)
NAME = "thing-1.0-py3-none-any.whl"

Publish = Callable[..., WheelFile]


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as index:
        yield index


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(retries=2, backoff=0) as session:
        yield session


@pytest.fixture
def publish(index: Index, session: requests.Session) -> Publish:
    """Publishes a file, and clears the log of requests."""

    def publish(body: bytes = BODY, **changes: object) -> WheelFile:
        index.add(NAME, body, **changes)
        (wheel,) = Registry(session, index.simple).wheels("thing")
        index.log.clear()
        return wheel

    return publish


@pytest.mark.parametrize("stated", [{}, {"size": None}])
def test_reading_anywhere_gives_the_bytes_that_are_there(
    publish: Publish, session: requests.Session, stated: dict[str, None]
) -> None:
    with RemoteFile(publish(**stated), session) as file:
        assert file.size == len(BODY)
        for start, count in ((0, 10), (len(BODY) - 5, 50), (100_000, 1), (99_990, 40_000), (0, 150_000)):
            file.seek(start)
            assert file.read(count) == BODY[start : start + count]
            assert file.tell() == min(start + count, len(BODY))
        assert file.seek(-7, io.SEEK_END) == len(BODY) - 7
        assert file.seek(3, io.SEEK_CUR) == len(BODY) - 4
        assert file.read() == BODY[-4:]
        assert file.read(1) == b""
        with pytest.raises(OSError, match="before the start"):
            file.seek(-1)


def test_nothing_is_fetched_twice(index: Index, publish: Publish, session: requests.Session) -> None:
    with RemoteFile(publish(), session) as file:
        assert file.read() == BODY
        file.seek(0)
        assert file.read() == BODY
        assert file.fetched == len(BODY)
    assert [asked.range for asked in index.log] == [
        f"bytes={len(BODY) - TAIL}-{len(BODY) - 1}",
        f"bytes=0-{len(BODY) - TAIL - 1}",
    ]


def test_near_ranges_travel_together(index: Index, publish: Publish, session: requests.Session) -> None:
    far = 40 + GAP + 20 + GAP + 1
    with RemoteFile(publish(), session) as file:
        index.log.clear()
        file.prefetch([(far, far + 10), (10, 40), (40 + GAP, 40 + GAP + 20), (20, 30), (5, 5)])
        assert [asked.range for asked in index.log] == [f"bytes=10-{40 + GAP + 19}", f"bytes={far}-{far + 9}"]
        file.seek(10)
        assert file.read(30 + GAP) == BODY[10 : 40 + GAP]
        file.seek(far)
        assert file.read(10) == BODY[far : far + 10]
        assert len(index.log) == 2
        assert file.fetched == TAIL + 30 + GAP + 20 + 10


def test_a_central_directory_longer_than_the_tail_is_found(
    index: Index, publish: Publish, session: requests.Session
) -> None:
    body = build_wheel("thing", "1.0", {f"thing/{n:04}{'x' * 60}.py": b"" for n in range(1500)})
    with RemoteFile(publish(body), session) as file, zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 1503
    assert len(index.log) == 2


def test_a_file_shorter_than_the_tail_is_one_request(
    index: Index, publish: Publish, session: requests.Session
) -> None:
    with RemoteFile(publish(b"short"), session) as file:
        assert file.read() == b"short"
    assert [asked.range for asked in index.log] == ["bytes=0-4"]


@pytest.mark.parametrize(("refusal", "requests_made"), [(None, 1), (416, 2), (501, 2)])
@pytest.mark.parametrize("stated", [{}, {"size": None}])
def test_a_server_without_ranges_sends_the_whole_file_once_and_a_note_says_so(
    index: Index,
    publish: Publish,
    session: requests.Session,
    *,
    refusal: int | None,
    requests_made: int,
    stated: dict[str, None],
) -> None:
    index.ranges, index.refusal = False, refusal
    notes = Notes()
    with RemoteFile(publish(**stated), session, notes) as file:
        file.prefetch([(0, 10), (500_000, 500_010)])
        file.seek(400_000)
        assert file.read(10) == BODY[400_000:400_010]
        assert file.fetched == file.size == len(BODY)
    assert len(index.log) == requests_made
    size = " (1.5 MB)"
    assert notes.lines == [
        f"{NAME}: the server does not support byte ranges; downloading the whole wheel{size}"
    ]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_answer_that_breaks_off_is_asked_for_again(
    index: Index, publish: Publish, session: requests.Session, *, ranges: bool
) -> None:
    wheel = publish()
    index.ranges = ranges
    index.faults.extend([Fault(status=503), Fault(cut=1000), Fault(cut=0)])
    with RemoteFile(wheel, session) as file:
        assert file.read() == BODY


@pytest.mark.parametrize("ranges", [True, False])
def test_an_answer_that_always_breaks_off_is_an_error(
    index: Index, publish: Publish, session: requests.Session, *, ranges: bool
) -> None:
    wheel = publish()
    index.ranges = ranges
    index.faults.extend([Fault(cut=1000)] * range_file.ATTEMPTS)
    with pytest.raises(
        NetworkError, match=f"cannot read {NAME}: the response was cut short 3 times; check the conn"
    ):
        RemoteFile(wheel, session)


def test_the_error_of_a_server_names_the_wheel(
    index: Index, publish: Publish, session: requests.Session
) -> None:
    wheel = publish()
    index.faults.extend([Fault(status=502)] * 3)
    with pytest.raises(
        NetworkError, match=rf"cannot read {NAME}: 127\.0\.0\.1 answered 502 Bad Gateway; check"
    ):
        RemoteFile(wheel, session)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_of_another_length_than_promised_is_refused_before_it_travels(
    index: Index, publish: Publish, session: requests.Session, *, ranges: bool
) -> None:
    index.ranges = ranges
    wheel = publish(size=1_400_000)
    with pytest.raises(IntegrityError, match="the file has 1500000 bytes, the index states 1400000"):
        RemoteFile(wheel, session)


def test_a_file_that_changes_while_it_is_read_is_refused(
    index: Index, publish: Publish, session: requests.Session
) -> None:
    with RemoteFile(publish(size=None), session) as file:
        index.bodies[NAME] = BODY + b"more"
        with pytest.raises(IntegrityError, match="the file has 1500004 bytes, the index states 1500000"):
            file.read(10)


def test_a_whole_file_with_another_digest_is_refused(
    index: Index, publish: Publish, session: requests.Session
) -> None:
    wheel = publish()
    index.ranges = False
    index.bodies[NAME] = BODY[::-1]
    with pytest.raises(
        IntegrityError, match=f"{NAME}: its sha256 is .{{64}}, the index states {wheel.sha256}"
    ):
        RemoteFile(wheel, session)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Range": "nonsense"}, "a byte range without a valid Content-Range"),
        (
            {"Content-Range": f"bytes 0-{TAIL - 1}/{len(BODY)}"},
            "sends another byte range than requested",
        ),
        (
            {"Content-Range": f"bytes {len(BODY) - TAIL}-{len(BODY) - 2}/{len(BODY)}"},
            "sends another byte range",
        ),
    ],
)
def test_a_part_that_was_not_asked_for_is_refused(
    index: Index, publish: Publish, session: requests.Session, headers: dict[str, str], message: str
) -> None:
    wheel = publish()
    index.faults.append(Fault(headers=headers))
    with pytest.raises(NetworkError, match=message):
        RemoteFile(wheel, session)
