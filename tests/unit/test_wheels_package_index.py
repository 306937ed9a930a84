"""Listing the wheels of a distribution, choosing one, and the errors of a package index."""

import socket
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from packaging.version import Version

from compat.errors import IntegrityError, NetworkError, UsageError
from compat.wheels.http_session import LONGEST_WAIT, open_session
from compat.wheels.package_index import Registry
from wheelhouse import Fault, Index, serving


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as index:
        yield index


@pytest.fixture
def registry(index: Index) -> Iterator[Registry]:
    with Registry(open_session(retries=2, backoff=0), index.simple) as registry:
        yield registry


def test_a_wheel_is_listed_with_all_that_the_index_states(index: Index, registry: Registry) -> None:
    index.add("Some_Thing-1.0-py3-none-any.whl", b"abc", yanked="broken", **{"requires-python": ">=3.9"})
    (wheel,) = registry.wheels("some.thing")
    assert (wheel.package, wheel.version, wheel.size) == ("some-thing", Version("1.0"), 3)
    assert wheel.uploaded == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert (wheel.requires_python, wheel.yanked) == (">=3.9", True)
    assert wheel.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert wheel.url == f"{index.url}/files/Some_Thing-1.0-py3-none-any.whl"


def test_releases_come_in_version_order_and_pre_releases_count(index: Index, registry: Registry) -> None:
    for version in ("0.10.0", "0.9.0.1", "0.10.0rc1", "0.9.0.post2", "0.9.0"):
        index.add(f"thing-{version}-py3-none-any.whl", b"")
    found = [str(wheel.version) for wheel in registry.wheels("thing")]
    assert found == ["0.9.0", "0.9.0.post2", "0.9.0.1", "0.10.0rc1", "0.10.0"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["py3-none-any", "cp38-abi3-macosx_11_0_arm64"], "py3-none-any"),
        (["cp38-abi3-manylinux1_x86_64", "cp38-abi3-manylinux_2_31_aarch64"], "cp38-abi3-manylinux1_x86_64"),
        (["cp38-abi3-macosx_10_9_x86_64", "cp38-abi3-manylinux1_x86_64"], "cp38-abi3-manylinux1_x86_64"),
        (["cp38-abi3-win_amd64"], "cp38-abi3-win_amd64"),
        (["1-py3-none-any", "10-py3-none-any", "2-py3-none-any", "py3-none-any"], "10-py3-none-any"),
        (["2-cp38-abi3-manylinux2014_aarch64", "1-cp38-abi3-linux_x86_64"], "1-cp38-abi3-linux_x86_64"),
    ],
)
@pytest.mark.parametrize("step", [1, -1])
def test_one_wheel_is_chosen_whatever_the_order(
    index: Index, registry: Registry, tags: list[str], expected: str, step: int
) -> None:
    for tag in tags[::step]:
        index.add(f"thing-1.0-{tag}.whl", b"")
    assert [wheel.filename for wheel in registry.wheels("thing")] == [f"thing-1.0-{expected}.whl"]
    assert len(registry.files("thing")) == len(tags)


def test_what_is_no_wheel_of_the_package_is_passed_over(index: Index, registry: Registry) -> None:
    index.add("thing-1.0.tar.gz", b"")
    index.add("thing-not a version-py3-none-any.whl", b"")
    index.add("thing-1.1-py3-none-any.whl", b"")
    index.projects["thing"].append({**index.projects["thing"][-1], "filename": "other-1.2-py3-none-any.whl"})
    assert [str(wheel.version) for wheel in registry.wheels("thing")] == ["1.1"]


@pytest.mark.parametrize(
    ("version", "nearest"),
    [("0.9.0.2", "0.9.0.1, 0.9.1, 0.10.0"), ("5", "0.9.1, 0.10.0"), ("0.1", "0.9.0.1, 0.9.1")],
)
def test_an_unknown_version_is_answered_with_its_neighbours(
    index: Index, registry: Registry, version: str, nearest: str
) -> None:
    for known in ("0.9.0.1", "0.9.1", "0.10.0"):
        index.add(f"vllm-{known}-py3-none-any.whl", b"")
    assert str(registry.wheel("vllm", Version("0.9.1")).version) == "0.9.1"
    with pytest.raises(UsageError) as caught:
        registry.wheel("vllm", Version(version))
    assert str(caught.value) == f"the package index has no wheel of vllm {version} (nearest: {nearest})"


def test_a_package_without_wheels_has_no_neighbours(index: Index, registry: Registry) -> None:
    index.add("thing-1.0.tar.gz", b"")
    with pytest.raises(UsageError, match=r"no wheel of thing 1\.0 \(no version of it has a wheel\)"):
        registry.wheel("thing", Version("1.0"))


def test_an_unknown_package_is_the_users_error(registry: Registry) -> None:
    with pytest.raises(UsageError, match="no package vlllm; check the spelling"):
        registry.wheels("vlllm")


@pytest.mark.parametrize("hashes", [{}, {"md5": "0" * 32}, {"sha256": "../../etc/passwd"}])
def test_a_wheel_without_a_digest_is_refused(
    index: Index, registry: Registry, hashes: dict[str, str]
) -> None:
    index.add("thing-1.0-py3-none-any.whl", b"", hashes=hashes)
    with pytest.raises(
        IntegrityError, match=r"thing-1\.0-py3-none-any\.whl: the package index states no sha256"
    ):
        registry.wheels("thing")


def test_a_busy_index_is_asked_again(index: Index, registry: Registry) -> None:
    index.add("thing-1.0-py3-none-any.whl", b"")
    index.page_faults.extend([Fault(status=503), Fault(status=429, headers={"Retry-After": "0"})])
    assert len(registry.wheels("thing")) == 1
    assert len(index.log) == 3


def test_each_page_is_read_once(index: Index, registry: Registry) -> None:
    index.add("thing-1.0-py3-none-any.whl", b"")
    registry.wheels("thing")
    registry.wheel("Thing", Version("1.0"))
    assert len(index.log) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=500), "127.0.0.1 answered 500 Internal Server Error"),
        (Fault(status=403), "127.0.0.1 answered 403 Forbidden"),
        (Fault(cut=10), "127.0.0.1 closed the connection before the response was complete"),
        (Fault(headers={"Content-Type": "image/png"}), "the response of the package index cannot be read"),
        (Fault(headers={"Content-Encoding": "gzip"}), "127.0.0.1 sent an invalid response"),
    ],
)
def test_the_error_of_an_index_is_one_line(
    index: Index, registry: Registry, fault: Fault, reason: str
) -> None:
    index.add("thing-1.0-py3-none-any.whl", b"")
    index.page_faults.extend([fault] * 3)
    with pytest.raises(NetworkError) as caught:
        registry.wheels("thing")
    message = str(caught.value)
    assert message.startswith("cannot list the wheels of thing: ")
    assert reason in message
    assert "check the connection" in message
    assert "\n" not in message


def test_the_error_of_an_unreachable_index_hides_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    endpoint = f"http://user:secret@127.0.0.1:{port}/simple/"
    with (
        Registry(open_session(retries=1, backoff=0), endpoint) as registry,
        pytest.raises(NetworkError) as caught,
    ):
        registry.wheels("vllm")
    message = str(caught.value)
    assert message.startswith(
        "cannot list the wheels of vllm: 127.0.0.1 cannot be reached; check the connection"
    )
    assert "secret" not in message


def test_a_silent_index_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # the kernel connects, nobody answers
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}/simple/"
        session = open_session(retries=0, timeout=(5, 0.05))
        with (
            Registry(session, endpoint) as registry,
            pytest.raises(NetworkError, match="did not answer in time"),
        ):
            registry.wheels("vllm")


def test_a_server_cannot_make_anybody_wait_for_an_hour() -> None:
    import urllib3

    with open_session() as session:
        policy = session.get_adapter("https://localhost/").max_retries  # type: ignore[attr-defined]
    for asked, waited in (("3600", LONGEST_WAIT), ("3", 3)):
        response = urllib3.HTTPResponse(headers={"Retry-After": asked}, status=429)
        assert policy.get_retry_after(response) == waited
    assert policy.get_retry_after(urllib3.HTTPResponse(status=429)) is None
