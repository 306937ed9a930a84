"""What holds for every test: no word leaves this machine, unless the test says so with a marker."""

import importlib.util
import ipaddress
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat._cli import console

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""The workers of one run share the cores: more threads in each only wait for one another."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's background jobs ignore Ctrl-C, and so would every process that a test starts to interrupt it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

HAS_TORCH = importlib.util.find_spec("torch") is not None
collect_ignore_glob = [] if HAS_TORCH else ["unit/test_quant_*.py", "gpu"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-torch", action="store_true", help="fail where torch is not installed")
    parser.addoption("--require-browser", action="store_true", help="fail where Chromium is not installed")
    parser.addoption("--require-gpu", action="store_true", help="fail where tests on a GPU cannot run")
    parser.addoption("--back-end", action="append", help="sglang or vllm: only these of those installed")
    parser.addoption("--results", type=Path, help="write what the tests on a GPU measured to this file")


def pytest_configure(config: pytest.Config) -> None:
    if (config.getoption("--require-torch") or config.getoption("--require-gpu")) and not HAS_TORCH:
        raise pytest.UsageError("torch is not installed: `pip install 'sglang-vllm-compat[quant]'`")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not HAS_TORCH:
        terminalreporter.section("not run", yellow=True)
        terminalreporter.line(
            "tests/unit/test_quant_*.py and tests/gpu: torch is not installed (compat[quant])"
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test in a browser where Chromium or axe-core is missing, or fail it with `--require-browser`."""
    if item.get_closest_marker("browser") is None:
        return
    import browser_setup

    if browser_setup.chromium() is None or browser_setup.axe() is None:
        reason = "not set up: run `python tools/browser_setup.py`"
        (pytest.fail if item.config.getoption("--require-browser") else pytest.skip)(reason)


OPEN = ("online", "matrix", "gpu")
"""The markers of tests that may use the network."""


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when it looks up or calls another machine; a local server is allowed.

    Child processes are not watched: a test that starts one gives it a local server or nothing to fetch.
    """
    if any(request.node.get_closest_marker(marker) for marker in OPEN):
        return
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, _watched(getattr(socket.socket, name)))
    monkeypatch.setattr(socket, "getaddrinfo", _watched_lookup(socket.getaddrinfo))


def _watched(call: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[-1]
        if isinstance(address, tuple):  # others are paths of Unix sockets
            _insist_on_local(address[0])
        return call(self, *args)

    return guarded


def _watched_lookup(call: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *args: Any, **options: Any) -> Any:
        _insist_on_local(host)
        return call(host, *args, **options)

    return guarded


def _insist_on_local(host: object) -> None:
    """Fail the test for a foreign host, by an exception that no `except Exception` of the code swallows."""
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name == "localhost":
        return
    try:
        local = ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        local = False
    if not local:
        pytest.fail(f"a test without the marker `online` called {name!r}", pytrace=True)


SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
HAS_JSONSCHEMA = importlib.util.find_spec("jsonschema") is not None
"""The GPU tests run in environments with pytest and nothing else."""


@pytest.fixture(autouse=True)
def _valid_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when a command writes a document that its published schema does not allow."""
    if not HAS_JSONSCHEMA:
        return
    real = console.document

    def checked(command: str, **content: Any) -> str:
        text = real(command, **content)
        schema = SCHEMAS / f"{command.replace(' ', '-')}.json"
        if schema.exists():
            import jsonschema

            jsonschema.validate(json.loads(text), json.loads(schema.read_text(encoding="utf-8")))
        return text

    monkeypatch.setattr(console, "document", checked)
