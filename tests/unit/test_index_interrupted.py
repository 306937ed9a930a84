"""A build of the index that is killed or finds the disk full leaves no process and says what to do."""

import os
import select
import subprocess
import sys
from pathlib import Path

from compat.errors import ENVIRONMENT

ROOT = Path(__file__).parents[2]

POOL = """
import signal
from compat.index.build.parse_pool import processes

if __name__ == "__main__":
    with processes() as pool:
        pool.submit(int).result()
        print(flush=True)
        signal.pause()
"""

CACHE = """
import sys
from pathlib import Path
from compat._cli import console
from compat.index.build.parse_pool import ModuleReader

def main(argv):
    reader = ModuleReader(None, Path(sys.argv[1]))
    for number in range(200):
        source = "".join(f"name_{number}_{n} = {n}\\n" for n in range(200)).encode()
        reader.read({(f"m{number}", str(number)): (source, False)})
    return 0

sys.exit(console.run(main))
"""


def test_the_processes_of_a_killed_build_end(tmp_path: Path) -> None:
    """A pipe that all of them inherit ends when the last one has ended."""
    (tmp_path / "build.py").write_text(POOL)
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "build.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=writer,
    ) as build:
        os.close(writer)
        assert build.stdout is not None
        build.stdout.readline()
        build.kill()
        try:
            while True:  # the tracker of semaphores may write a warning before it ends
                assert select.select([reader], [], [], 30)[0], "a process holds standard error"
                if not os.read(reader, 1000):
                    break
        finally:
            os.close(reader)


def cached(folder: Path, limit: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["prlimit", f"--fsize={limit}", sys.executable, "-c", CACHE, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_full_disk_under_the_cache_is_one_line(tmp_path: Path) -> None:
    """A limit on the file size stands in for a full disk."""
    done = cached(tmp_path / "cache", 100_000)
    assert done.returncode == ENVIRONMENT
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"compat: error: cannot use the cache {tmp_path}/cache/modules-")
    assert line.endswith("; free disk space and run it again")


def test_a_damaged_cache_is_one_line(tmp_path: Path) -> None:
    assert cached(tmp_path / "cache", 10**8).returncode == 0
    (database,) = (tmp_path / "cache").glob("modules-*.sqlite")
    database.write_bytes(b"x" * 5000)
    done = cached(tmp_path / "cache", 10**8)
    assert done.returncode == ENVIRONMENT
    (line,) = done.stderr.splitlines()
    assert f"the cache {database} is damaged (file is not a database); delete it" in line
