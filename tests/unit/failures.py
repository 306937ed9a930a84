"""The corpus of real failures: the command, its output, the environment and the expected diagnosis."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from compat.requirements.installed import InstalledEnvironment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus" / "explain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One failure of the corpus."""

    id: str
    batch: int
    """1 for those that the rules were written with, 2 and 3 for those that were made afterwards."""
    lock: str
    """The lock that the environment was made from."""
    changed: dict[str, str]
    """Distributions that were put in beside the lock, or in another version."""
    removed: tuple[str, ...]
    cause: str
    package: str | None
    module: str | None
    symbol: str | None
    statement: str | None
    """The import that must be advised; None when nothing is demanded."""
    missed: str | None
    """What is found instead, where the log does not tell enough: a known miss."""

    @property
    def log(self) -> bytes:
        """The output of the command."""
        return (CORPUS / f"{self.id}.log").read_bytes()

    @property
    def environment(self) -> InstalledEnvironment:
        """The environment of the command."""
        versions = {**pins(self.lock), **self.changed}
        return InstalledEnvironment(versions={n: v for n, v in versions.items() if n not in self.removed})

    @property
    def found(self) -> tuple[str | None, ...]:
        """The expected cause, package, module and symbol."""
        return self.cause, self.package, self.module, self.symbol


def pins(lock: str) -> dict[str, str]:
    """Return the versions that a lock installs."""
    text = (ROOT / "locks" / f"{lock}.txt").read_text(encoding="utf-8")
    lines = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", text, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def samples() -> list[Sample]:
    """Return all samples of the corpus, in the order of its manifest."""
    document: dict[str, Any] = tomllib.loads((CORPUS / "manifest.toml").read_text(encoding="utf-8"))
    return [
        Sample(
            id=entry["id"],
            batch=entry["batch"],
            lock=entry["lock"],
            changed=entry.get("changed", {}),
            removed=tuple(entry.get("removed", ())),
            cause=entry["cause"],
            package=entry.get("package"),
            module=entry.get("module"),
            symbol=entry.get("symbol"),
            statement=entry.get("import"),
            missed=entry.get("missed"),
        )
        for entry in document["failure"]
    ]
