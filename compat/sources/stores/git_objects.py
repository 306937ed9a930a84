"""Read commits through git's objects: nothing is checked out, and nothing of the repository is executed."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compat._util.subprocesses import CommandResult, run, running
from compat.errors import IntegrityError, MissingToolError, UsageError

_TIMEOUT = 120
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")
"""A repository may name programs in its configuration, and where to fetch what it lacks: neither is used."""
SHORT = 7
"""How many digits of a commit answers show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit of a repository."""

    id: str
    subject: str
    date: str
    """The day of the commit, `YYYY-MM-DD`."""

    @property
    def short(self) -> str:
        """The first digits of its id."""
        return self.id[:SHORT]


@dataclass(frozen=True, slots=True)
class Repository:
    """Reads commits, trees and files of a git repository.

    Args:
        folder: any folder of a work tree, or a git directory.
    """

    folder: Path

    def commit(self, ref: str, where: str) -> Commit:
        """Return the commit that a tag, a branch or digits name.

        Raises:
            UsageError: the folder is no repository, or has no such commit.
        """
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if done.code:
            inside = self._git("rev-parse", "--git-dir")
            if inside.code:
                raise UsageError(f"{where}: {self.folder} is not a git repository")
            raise UsageError(
                f"{where}: {self.folder} has no commit {ref!r}; name a commit, a tag or a branch"
            )
        return self._commits("--max-count=1", done.stdout.strip())[0]

    def commits(self, first: str, last: str, where: str) -> list[Commit]:
        """Return the commits after `first` up to `last`, oldest first, each merge as one; `first` leads them.

        Raises:
            UsageError: one of them does not exist, or `first` is not among the ancestors of `last`.
        """
        begin, end = self.commit(first, where), self.commit(last, where)
        if self._git("merge-base", "--is-ancestor", begin.id, end.id).code:
            raise UsageError(f"{where}: {first} is not an ancestor of {last}; give the older commit first")
        return [begin, *self._commits("--first-parent", "--reverse", f"{begin.id}..{end.id}")]

    def _commits(self, *arguments: str) -> list[Commit]:
        done = self._checked("log", "--no-show-signature", "--format=%H%x09%cs%x09%s", *arguments, "--")
        rows = (line.split("\t", 2) for line in done.splitlines())
        return [Commit(id=row[0], date=row[1], subject=row[2]) for row in rows]

    def inside(self) -> str:
        """Return the path of the folder below the top of its repository; empty for the top."""
        done = self._git("rev-parse", "--show-prefix")
        return "" if done.code else done.stdout.strip()

    def files(self, tree: str, folder: str = "") -> dict[str, str]:
        """Return the files of a commit below a folder, each path below it with the id of its content."""
        name = f"{tree}:{folder.rstrip('/')}" if folder else f"{tree}^{{tree}}"
        if self._git("rev-parse", "--verify", "--quiet", "--end-of-options", name).code:
            return {}
        found = {}
        for entry in self._checked("ls-tree", "--full-tree", "-r", "-z", name).split("\0"):
            head, _, path = entry.partition("\t")
            if head.split(" ")[1:2] == ["blob"] and not head.startswith("120000"):  # no links
                found[path] = head.split(" ")[2]
        return found

    def folders(self, tree: str) -> list[str]:
        """Return the paths of all folders of a commit."""
        done = self._checked("ls-tree", "--full-tree", "-r", "-d", "-z", "--name-only", tree)
        return [path for path in done.split("\0") if path]

    def tree(self, commit: str, folder: str = "") -> str:
        """Return the id of a folder of a commit, which is the same for equal contents; empty without it."""
        name = f"{commit}:{folder.rstrip('/')}" if folder else f"{commit}^{{tree}}"
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return "" if done.code else done.stdout.strip()

    def contents(self, blobs: Sequence[str]) -> Iterator[bytes]:
        """Yield the contents of files, by their ids.

        Raises:
            IntegrityError: the repository lacks one of them, as a partial clone does.
        """
        if not blobs:
            return
        command = self._command("cat-file", "--batch")
        pipe = subprocess.PIPE
        try:
            with running(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, variables=_variables()
            ) as process:
                assert process.stdin is not None  # noqa: S101 -- for the type checker
                with process.stdin:
                    for blob in blobs:
                        yield self._content(process, blob)
        except FileNotFoundError:
            raise _no_git() from None

    def _content(self, process: "subprocess.Popen[bytes]", blob: str) -> bytes:
        """Return one content; with one request at a time, neither pipe fills up while the other one waits."""
        assert process.stdin is not None  # noqa: S101 -- for the type checker
        assert process.stdout is not None  # noqa: S101 -- for the type checker
        process.stdin.write(f"{blob}\n".encode())
        process.stdin.flush()
        head = process.stdout.readline().split()
        if len(head) != 3:
            raise IntegrityError(f"{self.folder}: the repository lacks {blob[:SHORT]}; fetch it whole")
        content = process.stdout.read(int(head[2]))
        process.stdout.read(1)
        return content

    def text(self, commit: str, path: str) -> str | None:
        """Return a file of a commit as text; None if there is no such file."""
        done = self._git("cat-file", "blob", f"{commit}:{path}")
        return None if done.code else done.stdout

    def _checked(self, *arguments: str) -> str:
        done = self._git(*arguments)
        if done.code:
            raise IntegrityError(f"{self.folder}: git {arguments[0]} failed: {done.stderr.strip()[:200]}")
        return done.stdout

    def _git(self, *arguments: str) -> CommandResult:
        try:
            return run(self._command(*arguments), seconds=_TIMEOUT, variables=_variables())
        except FileNotFoundError:
            raise _no_git() from None

    def _command(self, *arguments: str) -> list[str]:
        return ["git", "--no-pager", "--no-replace-objects", *_SAFE, "-C", str(self.folder), *arguments]


def _variables() -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _no_git() -> MissingToolError:
    return MissingToolError("git is not installed; install it, or name an unpacked tree instead")
