"""Drive headless Chromium over a pipe with the DevTools protocol; needs nothing but the standard library."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browser_setup

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"),
)
PATIENCE = 30.0
"""Seconds to wait for what a page has to do."""


class Page:
    """A page of a browser."""

    def __init__(self, read: int, write: int) -> None:
        self._reader = os.fdopen(read, "rb")
        self._writer = os.fdopen(write, "wb")
        self._number = 0
        self._buffer = b""
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.errors: list[str] = []
        """The exceptions and failed loads of the page so far."""

    def close(self) -> None:
        """Close both ends of the pipe."""
        self._reader.close()
        self._writer.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            answer = self._next()
            if answer.get("method") == "Runtime.exceptionThrown":
                details = answer["params"]["exceptionDetails"]
                self.errors.append(str(details.get("exception", {}).get("description", details["text"])))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = self._reader.read1(1 << 16)
            assert data, "Chromium has ended"
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, after its promise is fulfilled."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Return the value of an expression as soon as it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"never true: {expression}; {self.errors}"
            self.evaluate("new Promise((done) => setTimeout(done, 10))")
        return value

    def open(self, address: str, ready: str = "document.readyState === 'complete'") -> None:
        """Open an address, and return when `ready` is true."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait(ready)

    def window(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Set the size of the window and the colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        for letter in text:
            self.call("Input.dispatchKeyEvent", type="char", text=letter)

    def press(self, key: str) -> None:
        """Press a key such as `ArrowDown`, `Enter` or `Tab`."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowDown": 40, "ArrowLeft": 37, "End": 35, "Home": 36}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def paste(self, text: str) -> None:
        """Paste a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def violations(self) -> list[list[str]]:
        """Return the rules of accessibility that the page breaks, all details open, each with an element."""
        self.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        self.evaluate(f"{browser_setup.AXE_FILE.read_text(encoding='utf-8')};0")
        found: list[list[str]] = self.evaluate(
            "axe.run({resultTypes: ['violations']})"
            ".then(({violations}) => violations.map((each) => [each.id, each.nodes[0].html]))"
        )
        return found

    def screenshot(self, target: Path, *, whole: bool = False) -> None:
        """Write a screenshot of the window, or of the whole page."""
        import base64

        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        target.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser(program: str, profile: Path) -> Iterator[Page]:
    """Yield a page of a new browser, which ends with the block."""
    command_read, command_write = os.pipe()
    answer_read, answer_write = os.pipe()
    redirected = f'exec "$@" 3<&{command_read} 4>&{answer_write}'
    process = subprocess.Popen(
        ["bash", "-c", redirected, "bash", program, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(command_read, answer_write),
        stderr=subprocess.DEVNULL,
    )
    os.close(command_read)
    os.close(answer_write)
    page = None
    try:
        page = Page(answer_read, command_write)
        yield page
    finally:
        process.terminate()
        process.wait(30)
        if page is not None:
            page.close()
