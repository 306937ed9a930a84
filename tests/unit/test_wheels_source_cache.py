"""The source cache: an entry is valid, or the wheel is downloaded again."""

import errno
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
import requests

from compat.errors import IntegrityError, NetworkError
from compat.wheels.http_session import open_session
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.source_cache import FORMAT, SourceCache, default_folder
from wheelhouse import Index, Notes, build_wheel, noise, serving

FILES = {"thing/__init__.py": b"", "thing/a.py": noise(5000).hex().encode(), "thing/k.so": noise(100)}


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as index:
        index.add("thing-1.0-py3-none-any.whl", build_wheel("thing", "1.0", FILES))
        yield index


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(retries=0) as session:
        yield session


@pytest.fixture
def wheel(index: Index, session: requests.Session) -> WheelFile:
    (wheel,) = Registry(session, index.simple).wheels("thing")
    index.log.clear()
    return wheel


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path)


def test_the_second_time_nothing_is_fetched(
    index: Index, wheel: WheelFile, session: requests.Session, cache: SourceCache
) -> None:
    first = cache.get(wheel, session)
    asked = len(index.log)
    second = cache.get(wheel, session)
    assert len(index.log) == asked
    assert (first.fetched > 0, second.fetched) == (True, 0)
    assert list(second.sources.items()) == list(first.sources.items())
    assert second.sources["thing/a.py"] == FILES["thing/a.py"]
    assert (second.metadata, second.extensions) == (first.metadata, ("thing/k.so",))
    assert [path.name for path in cache.folder.iterdir()] == [f"{wheel.sha256}.z"]


def damaged(entry: bytes) -> dict[str, bytes]:
    middle = len(entry) // 2
    return {
        "flipped": entry[:middle] + bytes([entry[middle] ^ 1]) + entry[middle + 1 :],
        "truncated": entry[:-1],
        "halved": entry[:middle],
        "empty": b"",
        "longer": entry + b"x",
        "older": entry.replace(FORMAT, b"compat wheel sources 0"),
    }


@pytest.mark.parametrize("kind", sorted(damaged(b"\0")))
def test_a_damaged_entry_is_reported_removed_and_fetched_again(
    wheel: WheelFile, session: requests.Session, cache: SourceCache, kind: str
) -> None:
    first = cache.get(wheel, session)
    good = cache.path(wheel).read_bytes()
    cache.path(wheel).write_bytes(damaged(good)[kind])
    notes = Notes()
    again = cache.get(wheel, session, notes)
    assert (again.sources, again.fetched) == (first.sources, first.fetched)
    assert len(notes.lines) == 1
    assert notes.lines[0].startswith("thing-1.0-py3-none-any.whl: its cache entry is not usable (")
    assert cache.path(wheel).read_bytes() == good


def test_an_entry_under_the_name_of_another_wheel_is_not_believed(
    index: Index, wheel: WheelFile, session: requests.Session, cache: SourceCache
) -> None:
    cache.get(wheel, session)
    index.add("thing-1.1-py3-none-any.whl", build_wheel("thing", "1.1", {"thing/b.py": b"b = 1\n"}))
    other = Registry(session, index.simple).wheels("thing")[1]
    cache.path(wheel).rename(cache.path(other))
    notes = Notes()
    assert cache.get(other, session, notes).sources == {"thing/b.py": b"b = 1\n"}
    assert "it belongs to another wheel" in notes.lines[0]


def test_without_the_network_a_damaged_entry_is_gone(
    index: Index, wheel: WheelFile, session: requests.Session, cache: SourceCache
) -> None:
    cache.get(wheel, session)
    cache.path(wheel).write_bytes(b"damaged")
    index.ranges = False
    index.bodies[wheel.filename] = b"not what was promised"
    with pytest.raises(IntegrityError):
        cache.get(wheel, session)
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), NetworkError("gone")])
def test_an_interrupted_write_leaves_nothing(
    wheel: WheelFile,
    session: requests.Session,
    cache: SourceCache,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
) -> None:
    def interrupt(*_: object) -> int:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", interrupt)
        with pytest.raises(type(failure)):
            cache.get(wheel, session)
    assert list(cache.folder.iterdir()) == []
    assert cache.get(wheel, session).fetched > 0
    assert cache.get(wheel, session).fetched == 0


def test_a_killed_writer_harms_nobody(
    wheel: WheelFile, session: requests.Session, cache: SourceCache
) -> None:
    code = (
        "import os, pathlib, sys; from compat._util import atomic_write; os.fsync = lambda _: os._exit(9)\n"
        "atomic_write.write_bytes(pathlib.Path(sys.argv[1]), b'half')"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, cache.path(wheel)], cwd=root, check=False)
    assert done.returncode == 9
    notes = Notes()
    assert cache.get(wheel, session, notes).fetched > 0
    assert cache.get(wheel, session, notes).fetched == 0
    assert notes.lines == []


def test_a_full_disk_is_reported_and_costs_the_cache_only(
    wheel: WheelFile, session: requests.Session, cache: SourceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    notes = Notes()
    assert cache.get(wheel, session, notes).sources["thing/a.py"] == FILES["thing/a.py"]
    assert notes.lines == [f"{wheel}: cannot write to the cache {cache.folder} (No space left on device)"]
    assert list(cache.folder.iterdir()) == []


def _read_often(folder: Path, simple: str) -> int:
    cache = SourceCache(folder)
    with Registry(open_session(retries=0), simple) as registry:
        (wheel,) = registry.wheels("thing")
        for _ in range(20):
            if cache.get(wheel, registry.session, Failing()).sources["thing/a.py"] != FILES["thing/a.py"]:
                return 1
            cache.path(wheel).unlink(missing_ok=True)
    return 0


class Failing(Notes):
    """A progress object that fails the test on any note."""

    def note(self, message: str) -> None:
        raise AssertionError(message)


def test_processes_share_a_folder(index: Index, tmp_path: Path) -> None:
    """Processes that write and remove the same entry all the time never read a damaged one."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(_read_often, [(tmp_path, index.simple)] * 2) == [0, 0]


def test_the_folder_is_the_users_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPAT_CACHE_DIR", str(tmp_path))
    assert default_folder() == tmp_path
    assert SourceCache().folder == tmp_path / "sources"
    monkeypatch.setenv("COMPAT_CACHE_DIR", "")
    assert default_folder() == platformdirs.user_cache_path("sglang-vllm-compat")
