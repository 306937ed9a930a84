"""The files that `compat init` proposes: each is new, gets an addition, or stays as it is with the reason."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from compat import __version__
from compat.init.pairs_table import PairRequest, matrix_toml
from compat.init.repository import Repository

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEMPLATES = Path(__file__).with_name("templates")
PRE_COMMIT = ".pre-commit-config.yaml"
DISTRIBUTION = "sglang-vllm-compat"
UPSTREAMS = {
    "sglang": "https://github.com/sgl-project/sglang",
    "vllm": "https://github.com/vllm-project/vllm",
}
"""The repositories whose newest commits are judged."""


class Change(str, Enum):
    """What happens to a file."""

    CREATE = "create"
    ADD = "add"
    """Something is added, and nothing that is there changes."""
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One file with its content before and after."""

    name: str
    """The path of the file, relative to the repository."""
    change: Change
    before: str = ""
    after: str = ""
    reason: str = ""
    """What is added, or why the file stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """The options that decide what is proposed."""

    pairs: tuple[PairRequest, ...] = ()
    tests: str = "pytest"
    watch: bool = False
    """Whether a workflow judges the repository against the newest commits each night."""
    source: str = ""
    """The URL from which to install this project; empty for this version from the package index."""

    def requirement(self, extra: str = "") -> str:
        """Return the requirement that installs this project."""
        name = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
        return f"{name} @ {self.source}" if self.source else f"{name}=={__version__}"


def propose(repository: Repository, options: InitOptions) -> list[Proposal]:
    """Return the proposals for a repository, in the order in which they are shown."""
    return list(_proposals(repository, options))


def _proposals(repository: Repository, options: InitOptions) -> Iterator[Proposal]:
    yield _configuration(repository)
    yield _hook(repository, options)
    yield _new(
        repository, ".github/workflows/compat-scan.yml", _filled("compat-scan.yml", repository, options)
    )
    if options.watch and repository.used:
        workflow = _filled("compat-watch.yml", repository, options)
        yield _new(repository, ".github/workflows/compat-watch.yml", workflow)
    if options.pairs:
        yield _new(repository, "matrix.toml", matrix_toml(options.pairs, options.tests))
        workflow = _filled("compat-matrix.yml", repository, options)
        yield _new(repository, ".github/workflows/compat-matrix.yml", workflow)


def _new(repository: Repository, name: str, text: str) -> Proposal:
    before = repository.text(name)
    if before is None:
        return Proposal(name=name, change=Change.CREATE, after=text)
    return Proposal(name=name, change=Change.KEEP, before=before, after=before, reason="it exists")


def _filled(template: str, repository: Repository, options: InitOptions) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    for mark, value in (
        ("@REQUIREMENT_MATRIX@", options.requirement("matrix")),
        ("@REQUIREMENT@", options.requirement()),
        ("@BRANCH@", repository.branch),
        ("@UPSTREAMS@", "\n".join(map(_upstream, repository.used))),
    ):
        text = text.replace(mark, value)
    return text


def _upstream(package: str) -> str:
    """Return the line of a matrix that names a package and its repository."""
    return f"          - {{ package: {package}, upstream: {UPSTREAMS[package]} }}"


def _configuration(repository: Repository) -> Proposal:
    """Propose the table `[tool.compat]` at the end of `pyproject.toml`."""
    name = "pyproject.toml"
    before = repository.text(name)

    def keep(reason: str) -> Proposal:
        return Proposal(name=name, change=Change.KEEP, before=before or "", after=before or "", reason=reason)

    if before is None:
        return keep("it does not exist; a new one would change how pip builds the project")
    try:
        content = tomllib.loads(before)
    except tomllib.TOMLDecodeError as error:
        return keep(f"it is not valid TOML: {error}")
    if "compat" in content.get("tool", {}):
        return keep("it has [tool.compat]")
    after = f"{before.rstrip()}\n\n{_table(repository)}"
    if not _adds_only(content, after):
        return keep("[tool.compat] cannot be added at its end; add it by hand")
    return Proposal(name=name, change=Change.ADD, before=before, after=after, reason="[tool.compat]")


def _table(repository: Repository) -> str:
    lines = [
        "[tool.compat]",
        '# Which releases "compat scan" checks; further keys: exclude, ignore, select, baseline.',
    ]
    for package in repository.used:
        if pins := repository.pins.get(package):
            where = ", ".join(f"{specifier} in {name}" for specifier, name in pins.items())
            lines.append(f"# {package}: as this project pins it, {where}")
        else:
            lines.append(f'{package} = "latest"')
    return "\n".join(lines) + "\n"


def _adds_only(content: dict[str, Any], after: str) -> bool:
    """Return whether a text is valid TOML that differs from the content only by `[tool.compat]`."""
    try:
        now = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        return False
    now.get("tool", {}).pop("compat", None)
    if "tool" not in content and now.get("tool") == {}:
        del now["tool"]
    return now == content


def _hook(repository: Repository, options: InitOptions) -> Proposal:
    """Propose a hook in `.pre-commit-config.yaml`."""
    name = PRE_COMMIT
    entry = _filled("pre-commit-hook.yaml", repository, options)
    before = repository.text(name)
    if before is None:
        return Proposal(name=name, change=Change.CREATE, after="repos:\n" + _indented(entry, "  "))
    if "compat-scan" in before:
        return Proposal(name=name, change=Change.KEEP, before=before, after=before, reason="it has the hook")
    after = _with_entry(before.splitlines(keepends=True), entry)
    if after is None:
        reason = '"repos" is not a block list; add the hook by hand'
        return Proposal(name=name, change=Change.KEEP, before=before, after=before, reason=reason)
    return Proposal(name=name, change=Change.ADD, before=before, after=after, reason="a hook")


def _with_entry(lines: Sequence[str], entry: str) -> str | None:
    """Return a pre-commit configuration with an entry after the last one; None if its form is unusual."""
    start = next((at for at, line in enumerate(lines) if re.fullmatch(r"repos:\s*(#.*)?\n?", line)), None)
    if start is None:
        return None
    first = next(
        (line for line in lines[start + 1 :] if line.strip() and not line.lstrip().startswith("#")), ""
    )
    dash = re.match(r"( *)- ", first)
    if dash is None:
        return None
    key = re.compile(r"[^\s#-]")
    end = next((at for at in range(start + 1, len(lines)) if key.match(lines[at])), len(lines))
    while not lines[end - 1].strip():
        end -= 1
    last = lines[end - 1]
    head = "".join(lines[:end]) + ("" if last.endswith("\n") else "\n")
    return head + _indented(entry, dash[1]) + "".join(lines[end:])


def _indented(text: str, indent: str) -> str:
    return "".join(f"{indent}{line}" for line in text.splitlines(keepends=True))
