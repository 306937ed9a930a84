"""One patient HTTP session, and its errors as lines a person can act on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from compat.errors import NetworkError

ADVICE = (
    "check the connection and the index that pip or uv is configured with (PIP_INDEX_URL, UV_DEFAULT_INDEX)"
)

LONGEST_WAIT = 60
"""Seconds: a server may ask for a pause in `Retry-After`; nobody wants to sit through an hour of it."""


class _Retry(Retry):
    """Retries that honour `Retry-After`, up to `LONGEST_WAIT`."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, LONGEST_WAIT)


class _Adapter(HTTPAdapter):
    """Gives every request a time-out, which `requests` itself does only when asked each time."""

    def __init__(self, *, retries: Retry, connections: int, timeout: tuple[float, float]) -> None:
        self.timeout = timeout
        super().__init__(max_retries=retries, pool_maxsize=connections)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send it, with the session's time-out when the caller names none."""
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
    """Return a session that tries again when a server is busy or a connection fails.

    Args:
        retries: how often a request is repeated; 0 for never.
        backoff: seconds that grow twofold with each repetition.
        timeout: seconds to wait for a connection, and between two pieces of an answer.
        connections: how many threads may use the session at once without waiting.
    """
    policy = _Retry(
        total=retries,
        backoff_factor=backoff,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,  # the last answer says more than "too many retries"
    )
    session = requests.Session()
    adapter = _Adapter(retries=policy, connections=connections, timeout=timeout)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


@contextmanager
def network_errors(what: str, url: str) -> Iterator[None]:
    """Turn what goes wrong on the network inside the block into one line that begins with `what`.

    Raises:
        NetworkError: in place of every error of `requests` and `urllib3`; it names the host of `url`.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        # The host alone: an address may carry a password.
        host = urlsplit(url).hostname or "the server"
        raise NetworkError(f"{what}: {_reason(error, host)}; {ADVICE}") from error


def _reason(error: Exception, host: str) -> str:
    # After the last attempt `requests` hides what happened inside a ConnectionError.
    inner = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.HTTPError):
        return f"{host} answered {error.response.status_code} {error.response.reason or ''}".rstrip()
    if isinstance(error, requests.Timeout) or isinstance(inner, urllib3.exceptions.ReadTimeoutError):
        return f"{host} did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"{host} has no certificate that is trusted here"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy to {host} does not work"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"{host} broke off its answer"
    if isinstance(error, requests.ConnectionError):
        return f"{host} cannot be reached"
    return f"{host} gave an answer that cannot be used ({type(error).__name__})"
