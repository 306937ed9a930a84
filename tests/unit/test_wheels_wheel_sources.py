"""Reading sources and manifests of wheels, and refusing wheels that fail verification."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping

import pytest
import requests
from packaging.metadata import Metadata

from compat.errors import IntegrityError
from compat.wheels.http_session import open_session
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.wheel_sources import read_manifest, read_sources
from wheelhouse import Index, build_wheel, noise, serving

NAME = "Some_Thing-1.0-py3-none-any.whl"

FILES = {
    "some_thing/__init__.py": b"from some_thing.b import B\n",
    "some_thing/kernels.abi3.so": noise(900_000),
    "some_thing/a.pyi": b"A: int\n",
    "some_thing/b.py": "B = 'ü'\n".encode(),
    "Some_Thing-1.0.data/platlib/some_thing/c.py": b"",
    "Some_Thing-1.0.data/scripts/run.py": b"print()\n",
    "top.py": b"x = 1\n",
}

Publish = Callable[[bytes], WheelFile]


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as index:
        yield index


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(retries=0) as session:
        yield session


@pytest.fixture
def publish(index: Index, session: requests.Session) -> Publish:
    def publish(body: bytes) -> WheelFile:
        index.add(NAME, body)
        (wheel,) = Registry(session, index.simple).wheels("some-thing")
        index.log.clear()
        return wheel

    return publish


def wheel_of(files: Mapping[str, bytes] = FILES, *, record: Mapping[str, str | None] | None = None) -> bytes:
    return build_wheel("Some_Thing", "1.0", files, record=record)


@pytest.mark.parametrize("ranges", [True, False])
def test_sources_are_read_without_the_rest(
    index: Index, publish: Publish, session: requests.Session, *, ranges: bool
) -> None:
    body = wheel_of()
    wheel = publish(body)
    index.ranges = ranges
    read = read_sources(wheel, session)
    assert list(read.sources.items()) == [
        ("some_thing/__init__.py", FILES["some_thing/__init__.py"]),
        ("some_thing/b.py", FILES["some_thing/b.py"]),
        ("some_thing/c.py", b""),
        ("top.py", FILES["top.py"]),
    ]
    assert Metadata.from_email(read.metadata).name == "Some_Thing"
    assert read.extensions == ("some_thing/kernels.abi3.so",)
    assert read.wheel is wheel
    if ranges:
        assert read.fetched < len(body) / 5
    else:
        assert read.fetched == len(body)


def test_the_manifest_needs_the_end_of_the_file_alone(
    index: Index, publish: Publish, session: requests.Session
) -> None:
    body = wheel_of()
    manifest = read_manifest(publish(body), session)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert manifest.installed_bytes == sum(len(archive.read(name)) for name in archive.namelist())
    assert manifest.download_bytes == len(body)
    assert manifest.imports == ("some_thing", "top")
    assert len(index.log) == 1


def test_the_manifest_follows_pth_files(publish: Publish, session: requests.Session) -> None:
    files = {"deep/py/cut/__init__.py": b"", "deep.pth": b"deep/py\n"}
    assert read_manifest(publish(build_wheel("Some_Thing", "1.0", files)), session).imports == ("cut", "deep")


def test_a_file_that_differs_from_record_is_named(publish: Publish, session: requests.Session) -> None:
    wheel = publish(wheel_of(record={"some_thing/b.py": "sha256=" + "A" * 43}))
    with pytest.raises(IntegrityError, match=f"^{NAME}: some_thing/b.py differs from its digest in RECORD"):
        read_sources(wheel, session)


@pytest.mark.parametrize("digest", [None, "", "md5=abc", "sha256="])
@pytest.mark.parametrize(
    "path", ["top.py", "Some_Thing-1.0.data/platlib/some_thing/c.py", "Some_Thing-1.0.dist-info/METADATA"]
)
def test_a_file_without_a_digest_is_named(
    publish: Publish, session: requests.Session, path: str, digest: str | None
) -> None:
    wheel = publish(wheel_of(record={path: digest}))
    with pytest.raises(IntegrityError, match=f"^{NAME}: {path} has no digest in RECORD"):
        read_sources(wheel, session)


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_stronger_digests_count_too(publish: Publish, session: requests.Session, algorithm: str) -> None:
    import base64
    import hashlib

    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, FILES["top.py"]).digest()).decode().rstrip("=")
    wheel = publish(wheel_of(record={"top.py": f"{algorithm}={digest}"}))
    assert read_sources(wheel, session).sources["top.py"] == FILES["top.py"]


def test_a_flipped_byte_is_found(publish: Publish, session: requests.Session) -> None:
    source = noise(200).hex().encode()
    body = bytearray(wheel_of({"some_thing/a.py": source}))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        member = archive.getinfo("some_thing/a.py")
    body[member.header_offset + 30 + len(member.filename) + member.compress_size // 2] ^= 1
    with pytest.raises(IntegrityError, match=rf"^{NAME}: some_thing/a\.py cannot be unpacked"):
        read_sources(publish(bytes(body)), session)


@pytest.mark.parametrize("body", [b"", b"<html>sign in first</html>", wheel_of()[:-30], noise(200_000)])
def test_what_is_no_zip_file_is_refused(publish: Publish, session: requests.Session, body: bytes) -> None:
    wheel = publish(body)
    for read in (read_sources, read_manifest):
        with pytest.raises(IntegrityError, match=f"^{NAME}: not a valid zip file"):
            read(wheel, session)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"some_thing/a.py": b""}, "it has no RECORD"),
        ({"other-1.0.dist-info/RECORD": b""}, "it has no RECORD"),
        (
            {"Some_Thing-1.0.dist-info/RECORD": b""},
            r"it does not contain Some_Thing-1\.0\.dist-info/METADATA",
        ),
        ({"Some_Thing-1.0.dist-info/RECORD": b"a.py\n"}, "RECORD cannot be read"),
        ({"Some_Thing-1.0.dist-info/RECORD": b'a.py,"sha'}, "RECORD cannot be read"),
        ({"Some_Thing-1.0.dist-info/RECORD": b"\xff"}, "RECORD is not UTF-8 text"),
    ],
)
def test_a_zip_file_that_is_no_wheel_is_refused(
    publish: Publish, session: requests.Session, members: dict[str, bytes], message: str
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    with pytest.raises(IntegrityError, match=f"^{NAME}: .*{message}"):
        read_sources(publish(packed.getvalue()), session)


def test_the_record_of_another_distribution_is_not_used(publish: Publish, session: requests.Session) -> None:
    wheel = publish(wheel_of({"aaa-1.0.dist-info/RECORD": b"", "top.py": b"x = 1\n"}))
    assert read_sources(wheel, session).sources == {"top.py": b"x = 1\n"}
