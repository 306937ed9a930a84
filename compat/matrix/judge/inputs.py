"""The inputs of a run: locks, expectations of the shipped index, and digests of everything it depends on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import compat
from compat._util import elf
from compat.locks.lockfile import Lock, read_current
from compat.matrix.install import existing
from compat.matrix.judge import compare, expected_failures, gpu_tests, rehearsals
from compat.matrix.model.outcome import Digests, Level
from compat.model.releases import Pair
from compat.probe import driver_stub, probe, probe_records, probe_runner
from compat.probe.expectation import ModuleExpectation


class Sources(Protocol):
    """A source of the locks, expectations and GPU tests that a run needs."""

    def lock(self, pair: Pair) -> Lock:
        """Return the lock of a pair."""

    def index_digest(self) -> str:
        """Return the digest of the index."""

    def expectations(self, pair: Pair, lock: Lock, *, cuda: bool) -> tuple[ModuleExpectation, ...]:
        """Return the expectation for every module to check."""

    def code(self) -> Path:
        """Return the folder of the package `compat`, which rehearses a pair in its environment."""

    def gpu_tests(self) -> Path:
        """Return the folder of the GPU tests."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """Locks from a folder, and expectations from the index that this installation ships."""

    locks: Path

    def lock(self, pair: Pair) -> Lock:
        """Return the lock of a pair.

        Raises:
            UsageError: the lock is missing, not valid or stale, or the index lacks a release of the pair.
        """
        _check_releases(pair)
        return read_current(pair, self.locks)

    def index_digest(self) -> str:
        """Return the digest of the shipped index and of the code that evaluates it."""
        from compat.index import reader
        from compat.index.extract import device_predicates
        from compat.index.query import expected_modules, name_resolution
        from compat.index.writer import data_digest
        from compat.model import guards

        return _digest(data_digest(), guards, expected_modules, device_predicates, reader, name_resolution)

    def expectations(self, pair: Pair, lock: Lock, *, cuda: bool) -> tuple[ModuleExpectation, ...]:
        """Return the expectation of the shipped index for every quantization module of the pair."""
        from compat.index.query.expected_modules import expectations

        return expectations(pair, lock, cuda=cuda)

    def code(self) -> Path:
        """Return the folder of the package `compat` that contains this module."""
        return Path(compat.__file__).parent

    def gpu_tests(self) -> Path:
        """Return the folder of the GPU tests in the project of the locks."""
        return self.locks.resolve().parent / "tests" / "gpu"


def _check_releases(pair: Pair) -> None:
    from compat.index.reader import Index

    index = Index()
    for release in pair.releases:
        index.release_index(
            release.package, str(release.version), f"matrix.toml: pair {pair.id}.{release.package}"
        )


def digests(pair: Pair, lock: Lock, sources: Sources, level: Level = Level.IMPORT) -> Digests:
    """Return the digests of all inputs of an outcome of `pair`, except the machine."""
    judging = (
        import_digest(sources.code())
        if level is Level.IMPORT
        else tests_digest(sources.gpu_tests(), sources.code())
    )
    return Digests(pair=pair_digest(pair), lock=lock.digest, index=sources.index_digest(), probe=judging)


def pair_digest(pair: Pair) -> str:
    """Return the digest of a pair's entry in `matrix.toml`."""
    expect = [[entry.location, entry.reason, entry.link, entry.when, entry.spreads] for entry in pair.expect]
    content = [pair.python, [str(requirement) for requirement in pair.requirements], expect]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def tests_digest(folder: Path, code: Path) -> str:
    """Return the digest of the GPU tests, of the code under test and of the code that runs them."""
    return _files_digest([Path(gpu_tests.__file__), Path(existing.__file__)], [folder, code / "quant"])


def import_digest(code: Path) -> str:
    """Return the digest of the probe, the rehearsal, and the code that judges what they find."""
    # A rehearsal builds layers as `compat.quant` does, from what `compat.load` finds.
    rehearsed = _files_digest([], [code / "quant", code / "runtime"])
    probing = (probe, probe_runner, probe_records, driver_stub, elf)
    return _digest(rehearsed, *probing, existing, compare, expected_failures, rehearsals)


def _files_digest(files: Sequence[Path], folders: Sequence[Path]) -> str:
    """Return the digest of some files, and of all Python files in some folders."""
    digest = hashlib.sha256()
    for path in (*files, *(path for folder in folders for path in sorted(folder.rglob("*.py")))):
        digest.update(f"{path.name} ".encode() + path.read_bytes())
    return digest.hexdigest()


def _digest(start: str, *modules: ModuleType) -> str:
    digest = hashlib.sha256(start.encode())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
