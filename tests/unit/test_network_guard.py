"""The guard of tests/conftest.py: other machines are out of reach, this one is not."""

import errno
import socket

import pytest

ELSEWHERE = ("192.0.2.1", 9)
"""An address that is reserved for documentation: nobody is there, whatever the guard does."""


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
def test_a_connection_to_another_machine_fails_the_test(call: str) -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as client,
        pytest.raises(pytest.fail.Exception, match="online"),
    ):
        getattr(client, call)(ELSEWHERE)


def test_a_datagram_to_another_machine_fails_the_test() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as client,
        pytest.raises(pytest.fail.Exception, match="online"),
    ):
        client.sendto(b"", ELSEWHERE)


@pytest.mark.parametrize("host", ["example.org", b"example.org", "192.0.2.1"])
def test_looking_up_another_machine_fails_the_test(host: str | bytes) -> None:
    with pytest.raises(pytest.fail.Exception, match="online"):
        socket.getaddrinfo(host, 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_local_server_is_reached(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.getpeername()[1] == port


@pytest.mark.online
def test_the_marker_opens_the_guard() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        # A datagram socket only notes the peer: no packet leaves, with or without a route.
        assert client.connect_ex(ELSEWHERE) in (0, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH)
