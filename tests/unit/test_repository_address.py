"""The address of the repository: one owner everywhere, so that one replacement is known to be whole."""

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = re.compile(rf"([\w-]+)/{re.escape(PROJECT['name'])}\b")
OWNED = (
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "action.yml",
    "watch/action.yml",
    "docs",
    "compat/init",
)


def owners(text: str) -> set[str]:
    return set(ADDRESS.findall(text))


def files() -> list[Path]:
    found = [ROOT / name for name in OWNED]
    return sorted(
        each
        for path in found
        for each in (path.rglob("*") if path.is_dir() else [path])
        if each.suffix in {".toml", ".md", ".yml", ".yaml", ".py"}
    )


def test_every_file_names_the_same_owner() -> None:
    (owner,) = owners(PROJECT["urls"]["Repository"])
    found = {str(path.relative_to(ROOT)): owners(path.read_text(encoding="utf-8")) for path in files()}
    named = {path: each for path, each in found.items() if each}
    assert set(named) >= {"pyproject.toml", "docs/scan.md"}
    assert {path: each for path, each in named.items() if each != {owner}} == {}


@pytest.mark.parametrize("path", ["pyproject.toml", "docs"])
def test_a_release_is_refused_while_the_owner_is_not_filled_in(path: str) -> None:
    workflow = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    (guard,) = re.findall(r"! grep .*OWNER/.*", workflow)
    assert path in guard.split()
