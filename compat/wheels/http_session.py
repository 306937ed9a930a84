"""An HTTP session with retries and time-outs, bounded bodies, and network errors as one-line messages."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from compat._cli.text import size
from compat.errors import NetworkError

ADVICE = (
    "check the connection and the package index configured for pip or uv (PIP_INDEX_URL, UV_DEFAULT_INDEX)"
)

LONGEST_WAIT = 60
"""Seconds: the longest pause that a `Retry-After` header can impose; a server may ask for an hour."""


PATIENCE = 30.0
"""Seconds after which a response that arrives more slowly than `SLOWEST` is given up."""

SLOWEST = 1_000
"""Bytes per second: a modem was faster. A time-out alone never ends a response that arrives byte by byte."""

_PIECE = 1 << 20


class _Retry(Retry):
    """A retry policy that honours `Retry-After`, up to `LONGEST_WAIT`."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, LONGEST_WAIT)


class _Adapter(HTTPAdapter):
    """An adapter that sets a default time-out; `requests` has none unless each call passes one."""

    def __init__(self, *, retries: Retry, connections: int, timeout: tuple[float, float]) -> None:
        self.timeout = timeout
        super().__init__(max_retries=retries, pool_maxsize=connections)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request, with the session's time-out unless the caller passes one."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self.timeout
        return super().send(request, *args, **kwargs)


def open_session(
    *,
    retries: int = 4,
    backoff: float = 0.5,
    timeout: tuple[float, float] = (10.0, 60.0),
    connections: int = 16,
) -> requests.Session:
    """Return a session that repeats a request when the server is busy or the connection fails.

    Args:
        retries: how many times a request is repeated; 0 for never.
        backoff: factor, in seconds, of the pause before a repetition; the pause doubles each time.
        timeout: seconds to wait for a connection, and between two chunks of a response.
        connections: how many threads can use the session at once without waiting.
    """
    policy = _Retry(
        total=retries,
        backoff_factor=backoff,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,  # the last response explains more than "too many retries"
    )
    session = requests.Session()
    adapter = _Adapter(retries=policy, connections=connections, timeout=timeout)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def pieces(response: requests.Response, what: str, most: int) -> Iterator[bytes]:
    """Yield the body of a response, requested with `stream=True`, as it arrives.

    Args:
        response: its content encoding is removed.
        what: the beginning of an error message.
        most: the number of bytes that are accepted, after decompression.

    Raises:
        NetworkError: the body has more than `most` bytes, or arrives too slowly.
        urllib3.exceptions.HTTPError: the connection broke; `network_errors` replaces it.
    """
    host = urlsplit(response.url).hostname or "the server"
    begun, received = time.monotonic(), 0
    while piece := response.raw.read1(_PIECE, decode_content=True):
        received += len(piece)
        seconds = time.monotonic() - begun
        if received > most:
            raise NetworkError(f"{what}: {host} sent more than {size(most)}, the most that is accepted")
        if seconds > PATIENCE and received < seconds * SLOWEST:
            raise NetworkError(
                f"{what}: {host} sent {received} bytes in {seconds:.0f} seconds, which is too slow; {ADVICE}"
            )
        yield piece


@contextmanager
def network_errors(what: str, url: str) -> Iterator[None]:
    """Replace network errors inside the block by a `NetworkError` of one line that begins with `what`.

    Raises:
        NetworkError: replaces every error of `requests` and `urllib3`; it names the host of `url`.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        # The message names the host only, since a URL may carry a password.
        host = urlsplit(url).hostname or "the server"
        raise NetworkError(f"{what}: {_reason(error, host)}; {ADVICE}") from error


def _reason(error: Exception, host: str) -> str:
    # After the last attempt, `requests` wraps the real error in a ConnectionError.
    inner = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.HTTPError):
        return f"{host} answered {error.response.status_code} {error.response.reason or ''}".rstrip()
    timeouts = (requests.Timeout, urllib3.exceptions.ReadTimeoutError)
    if isinstance(error, timeouts) or isinstance(inner, timeouts):
        return f"{host} did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"this machine does not trust the certificate of {host}"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy to {host} does not work"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return f"{host} closed the connection before the response was complete"
    if isinstance(error, requests.ConnectionError):
        return f"{host} cannot be reached"
    return f"{host} sent an invalid response ({type(error).__name__})"
