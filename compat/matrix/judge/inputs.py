"""The inputs of a run: locks, expectations of the shipped index, and digests of everything it depends on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import compat
from compat.locks.lockfile import Lock, read_current
from compat.matrix.judge import user_tests
from compat.matrix.judge.deciding_files import deciding_files, files_digest
from compat.matrix.model.outcome import Digests, Level
from compat.model.releases import Pair
from compat.probe.expectation import ModuleExpectation


class Sources(Protocol):
    """A source of the locks, expectations and GPU tests that a run needs."""

    def lock(self, pair: Pair) -> Lock:
        """Return the lock of a pair."""

    def index_digest(self) -> str:
        """Return the digest of the index."""

    def expectations(self, pair: Pair, lock: Lock, *, cuda: bool) -> tuple[ModuleExpectation, ...]:
        """Return the expectation for every module to check."""

    def common(self, lock: Lock) -> Mapping[str, Sequence[str]] | None:
        """Return what most modules import, by top-level package; None to let few modules share processes."""

    def code(self) -> Path:
        """Return the folder of the package `compat`, which rehearses a pair in its environment."""

    def gpu_tests(self) -> Path:
        """Return the folder of the GPU tests."""

    def root(self) -> Path:
        """Return the folder of `matrix.toml`, which holds the project of the user's own tests."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """Locks from a folder, and expectations from the index that this installation ships."""

    locks: Path
    everything: bool = field(default=False, kw_only=True)
    """Whether all modules are checked, and not only those of quantization."""

    def lock(self, pair: Pair) -> Lock:
        """Return the lock of a pair.

        Raises:
            UsageError: the lock is missing, not valid or stale, or the index lacks a release of the pair.
        """
        _check_releases(pair)
        return read_current(pair, self.locks)

    def index_digest(self) -> str:
        """Return the digest of the shipped index; the code that evaluates it is among the deciding files."""
        from compat.index.writer import data_digest

        return f"{data_digest()} everything" if self.everything else data_digest()

    def expectations(self, pair: Pair, lock: Lock, *, cuda: bool) -> tuple[ModuleExpectation, ...]:
        """Return the expectation of the shipped index for the quantization modules of the pair, or all."""
        from compat.index.query.expected_modules import expectations

        return expectations(pair, lock, cuda=cuda, everything=self.everything)

    def common(self, lock: Lock) -> Mapping[str, Sequence[str]] | None:
        """Return what most modules of the locked releases import, if all modules are checked."""
        if not self.everything:
            return None
        from compat.index.query.import_graph import common_modules
        from compat.index.reader import Index

        return common_modules(Index(), {str(name): str(each) for name, each in lock.packages.items()})

    def code(self) -> Path:
        """Return the folder of the package `compat` that contains this module."""
        return Path(compat.__file__).parent

    def gpu_tests(self) -> Path:
        """Return the folder of the GPU tests in the project of the locks."""
        return self.root() / "tests" / "gpu"

    def root(self) -> Path:
        """Return the folder that holds the locks, beside `matrix.toml`."""
        return self.locks.resolve().parent


def _check_releases(pair: Pair) -> None:
    from compat.index.reader import Index

    index = Index()
    for release in pair.releases:
        index.release_index(
            release.package, str(release.version), f"matrix.toml: pair {pair.id}.{release.package}"
        )


def digests(pair: Pair, lock: Lock, sources: Sources, level: Level = Level.IMPORT) -> Digests:
    """Return the digests of all inputs of an outcome of `pair`, except the machine."""
    tests = sources.gpu_tests() if level is Level.GPU else None
    packages = {Path(compat.__file__).resolve().parent, sources.code().resolve()}
    files = {path for package in packages for path in deciding_files(package, tests)}
    roots = [package.parent for package in packages] + ([] if tests is None else [tests.parent.parent])
    if level is Level.TESTS:
        files.update(user_tests.deciding_files(sources.root()))
        roots.append(sources.root())
    return Digests(
        pair=pair_digest(pair),
        lock=lock_digest(lock),
        index=sources.index_digest(),
        probe=files_digest(files, roots),
    )


def lock_digest(lock: Lock) -> str:
    """Return the digest of the requirements file and of the import names, by which guards are evaluated."""
    imports = {name: list(names) for name, names in lock.imports.items()}
    return hashlib.sha256(json.dumps([lock.digest, imports], sort_keys=True).encode()).hexdigest()


def pair_digest(pair: Pair) -> str:
    """Return the digest of a pair's entry in `matrix.toml`."""
    expect = [[entry.location, entry.reason, entry.link, entry.when, entry.spreads] for entry in pair.expect]
    content = [pair.python, [str(requirement) for requirement in pair.requirements], expect]
    content += [[pair.tests, *pair.tests_install]] if pair.tests else []
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
