"""A local package index for tests that serves real wheels and simulates the faults of real servers."""

import base64
import hashlib
import io
import json
import re
import sys
import threading
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def metadata(name: str, version: str, *requires: str) -> str:
    """Return the METADATA of a distribution."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {requirement}" for requirement in requires)]) + "\n"


def build_wheel(
    name: str,
    version: str,
    files: Mapping[str, bytes],
    *,
    requires: tuple[str, ...] = (),
    record: Mapping[str, str | None] | None = None,
) -> bytes:
    """Return the bytes of a wheel; the same content gives the same bytes, whenever it is built.

    Args:
        name: as in its file name.
        version: as in its file name.
        files: path to content.
        requires: its dependencies.
        record: path to what RECORD says instead of the true digest; None leaves the line out.
    """
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": metadata(name, version, *requires).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests: dict[str, str | None] = {path: _digest(content) for path, content in contents.items()}
    digests.update(record or {})
    rows = [
        f"{path},{digest},{len(contents[path])}" for path, digest in digests.items() if digest is not None
    ]
    contents[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            entry = zipfile.ZipInfo(path)  # dated 1980; by its name alone it would be dated now
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def noise(size: int) -> bytes:
    """Return `size` bytes that do not compress, always the same."""
    return b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(size // 32 + 1))[:size]


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


ENDLESS = 400_000_000
"""Bytes after which an endless response does end, so that no test runs forever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault that the server puts into one response."""

    status: int = 200
    """The status of the response; an error status comes without a body."""
    cut: int | None = None
    """Close the connection after so many bytes of the body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that replace the true ones."""
    body: bytes | None = None
    """The body instead of the true one."""
    endless: bool = False
    """Send the body again and again, up to `ENDLESS` bytes, without a length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that the server has seen."""

    path: str
    range: str | None


@dataclass(slots=True)
class Index:
    """The state of the server, which tests change and inspect."""

    url: str = ""
    ranges: bool = True
    """Whether the server supports byte ranges."""
    refusal: int | None = None
    """Without range support, the status of the response to a range request; None sends the whole file."""
    projects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    """Faults of requests for files; each request uses up one."""
    page_faults: deque[Fault] = field(default_factory=deque)
    """Faults of requests for project pages; each request uses up one."""
    log: list[Asked] = field(default_factory=list)

    @property
    def simple(self) -> str:
        """The address for `Registry` and uv."""
        return f"{self.url}/simple/"

    def add(self, filename: str, body: bytes, **changes: Any) -> None:
        """Publish a file; `changes` replace keys of its entry on the project page."""
        project = re.sub(r"[-_.]+", "-", filename.partition("-")[0]).lower()
        entry = {
            "filename": filename,
            "url": f"{self.url}/files/{filename}",
            "hashes": {"sha256": hashlib.sha256(body).hexdigest()},
            "size": len(body),
            "upload-time": "2026-01-02T03:04:05.000000Z",
            "requires-python": ">=3.8",
            "yanked": False,
        }
        entry.update(changes)
        self.projects.setdefault(project, []).append({k: v for k, v in entry.items() if v is not None})
        self.bodies[filename] = body

    def page(self, project: str) -> bytes:
        """Return a project page as JSON."""
        files = self.projects[project]
        versions = sorted({file["filename"].split("-")[1] for file in files})
        page = {"meta": {"api-version": "1.1"}, "name": project, "versions": versions, "files": files}
        return json.dumps(page).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    index: Index

    def do_GET(self) -> None:
        self.index.log.append(Asked(path=self.path, range=self.headers.get("Range")))
        _, kind, name, *_ = self.path.split("/")
        if kind == "simple":
            fault = self.index.page_faults.popleft() if self.index.page_faults else Fault()
            known = name in self.index.projects
            content_type = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
            self._answer(200 if known else 404, self.index.page(name) if known else b"", content_type, fault)
        else:
            fault = self.index.faults.popleft() if self.index.faults else Fault()
            self._file(self.index.bodies[name], fault)

    do_HEAD = do_GET  # noqa: N815 - http.server wants this name

    def _file(self, body: bytes, fault: Fault) -> None:
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None or (not self.index.ranges and self.index.refusal is None):
            self._answer(200, body, {}, fault)
        elif not self.index.ranges:
            self._answer(self.index.refusal or 416, b"", {}, fault)
        else:
            start = int(asked[1]) if asked[1] else max(0, len(body) - int(asked[2]))
            stop = min(len(body), int(asked[2]) + 1) if asked[1] and asked[2] else len(body)
            headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
            self._answer(206, body[start:stop], headers, fault)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str], fault: Fault) -> None:
        if fault.status >= 400:
            status, body = fault.status, b""
        body = body if fault.body is None else fault.body
        self.send_response(status)
        length = {} if fault.endless else {"Content-Length": str(len(body))}
        for name, value in {**length, **headers, **fault.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault.endless:
            for _ in range(ENDLESS // len(body)):
                self.wfile.write(body)
            self.close_connection = True
            return
        if self.command != "HEAD":
            self.wfile.write(body[: fault.cut])
        if fault.cut is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Notes:
    """A progress object that collects the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def advance(self, amount: int = 1) -> None:
        raise AssertionError(f"nobody asked for {amount}")

    def note(self, message: str) -> None:
        self.lines.append(message)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection; report any other error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def uv_sees_only(index: Index, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Let uv see this index and nothing else, whatever the machine is set up for; its cache starts empty."""
    patch.setenv("UV_DEFAULT_INDEX", index.simple)
    patch.setenv("UV_CACHE_DIR", str(cache))
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        patch.delenv(name, raising=False)
    patch.setenv("UV_NO_CONFIG", "1")
    patch.setenv("UV_HTTP_RETRIES", "0")


@contextmanager
def serving() -> Iterator[Index]:
    """Yield an index that is served on a free port of this machine until the block ends."""
    index = Index()
    handler = type("Handler", (_Handler,), {"index": index})
    with _Server(("127.0.0.1", 0), handler) as server:
        index.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
