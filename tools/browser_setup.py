"""Set up what the tests in a browser need: Chromium, and axe-core, which checks accessibility.

`python tools/browser_setup.py` installs Chromium with apt where there is none, and fetches axe-core with npm.
It exits with 1 where something is still missing, and says how to get it. `nox -s tests` runs it first.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AXE = "4.14.1"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
AXE_FILE = ROOT / ".nox" / f"axe-core-{AXE}.js"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the path of Chromium; None if it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def axe() -> Path | None:
    """Return the file of axe-core; None if it was not fetched, or is another one."""
    if not AXE_FILE.is_file() or hashlib.sha256(AXE_FILE.read_bytes()).hexdigest() != AXE_SHA256:
        return None
    return AXE_FILE


def main() -> int:
    """Install what is missing, and return 1 if something still is."""
    if chromium() is None and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *command], check=False)
    if axe() is None and shutil.which("npm"):
        _fetch_axe()
    if chromium() is None:
        print("Chromium is not installed: install it, such as with `apt-get install chromium`")
    if axe() is None:
        print(f"axe-core {AXE} is missing: install npm, and run `python tools/browser_setup.py`")
    return int(chromium() is None or axe() is None)


def _fetch_axe() -> None:
    """Fetch axe-core from the package index that npm is configured for."""
    AXE_FILE.parent.mkdir(exist_ok=True)
    done = subprocess.run(
        ["npm", "pack", "--silent", f"axe-core@{AXE}"],
        cwd=AXE_FILE.parent,
        stdout=subprocess.PIPE,
        check=False,
    )
    archive = AXE_FILE.parent / f"axe-core-{AXE}.tgz"
    if done.returncode or not archive.is_file():
        return
    with tarfile.open(archive) as packed:
        member = packed.extractfile("package/axe.min.js")
        content = member.read() if member else b""
    archive.unlink()
    if hashlib.sha256(content).hexdigest() == AXE_SHA256:
        AXE_FILE.write_bytes(content)
    else:
        print(f"axe-core {AXE} does not have the expected hash")


if __name__ == "__main__":
    sys.exit(main())
