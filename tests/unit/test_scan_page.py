"""The HTML report in Chromium: a phone shows all of it, and dark mode has a dark background."""

import html
import re
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

import browser_setup
from compat.scan.cli import main

CHROMIUM = browser_setup.chromium()
pytestmark = pytest.mark.browser

PROBE = """<script>
addEventListener("load", () => {
  const style = getComputedStyle(document.body), root = document.documentElement;
  document.title = [root.scrollWidth, root.clientWidth, style.backgroundColor, style.color,
    document.querySelectorAll("tbody tr").length, document.querySelectorAll("td.bad").length].join(" ");
});
</script></body>"""


def chromium(page: Path, *options: str, width: int) -> str:
    done = subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"),
            f"--user-data-dir={page.parent / 'profile'}",
            f"--window-size={width},800",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "code.py").write_text(
        "import vllm.worker.worker\n"
        "from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod\n"
        "from sglang.srt.layers.quantization import Fp8LinearMethod\n"
    )
    target = folder / "report.html"
    versions = ["--vllm", ">=0.10,<0.27", "--sglang", ">=0.5.0"]
    main([str(folder / "code.py"), *versions, "--format", "html", "--output", str(target)])
    return target


def measured(page: Path, *options: str, width: int) -> list[str]:
    probe = page.with_name("probe.html")
    probe.write_text(page.read_text().replace("</body>", PROBE))
    title = re.search(r"<title>(.*?)</title>", chromium(probe, "--dump-dom", *options, width=width))
    assert title
    return html.unescape(title[1]).replace(", ", ",").split()


@pytest.mark.parametrize("width", [500, 1200])
def test_nothing_is_wider_than_the_window(page: Path, width: int) -> None:
    scroll, client, _, _, rows, broken = measured(page, width=width)
    assert int(scroll) <= int(client), "tables scroll by themselves, the page does not"
    assert int(rows) == 3
    assert int(broken) > 3


def test_dark_is_dark_and_light_is_light(page: Path) -> None:
    light = measured(page, "--blink-settings=preferredColorScheme=1", width=800)
    dark = measured(page, "--blink-settings=preferredColorScheme=0", width=800)
    assert {light[2], dark[2]} == {"rgb(255,255,255)", "rgb(17,19,21)"}
    assert light[3] != dark[3]


def test_something_is_drawn(page: Path) -> None:
    target = page.with_name("shot.png")
    chromium(page, f"--screenshot={target}", width=500)
    assert len(set(pixels(target.read_bytes()))) > 50


def pixels(png: bytes) -> bytes:
    """Return the filtered scan lines of a PNG (ISO/IEC 15948), enough to tell a drawing from a blank page."""
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        if kind == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    return zlib.decompress(data)
