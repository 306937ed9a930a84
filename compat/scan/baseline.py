"""Baseline files: the known findings of a project, which `compat scan` does not report again."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from compat.errors import UsageError
from compat.scan.findings import Finding

Key = tuple[str, str, str]


class Baseline:
    """The known findings that a baseline file lists.

    Args:
        path: the baseline file; paths in it are relative to its folder.

    Raises:
        UsageError: the file cannot be read or is not a baseline.
    """

    def __init__(self, path: str) -> None:
        import json  # a scan without a baseline does not load it

        self._folder = Path(path).absolute().parent
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
            self._known = {(each["path"], each["rule"], each["import"]) for each in document["findings"]}
        except OSError as error:
            raise UsageError(
                f"--baseline: {path}: {error.strerror}; create it with --write-baseline"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                f"--baseline: {path} is not a baseline; create it with --write-baseline"
            ) from None

    def __call__(self, finding: Finding) -> bool:
        """Return whether the baseline lists a finding, on whatever line of its file."""
        return _key(finding, self._folder) in self._known


def known_findings(path: str | None) -> Callable[[Finding], bool]:
    """Return a function that returns whether the baseline lists a finding; without a baseline, none is."""
    return Baseline(path) if path else lambda _: False


def write(path: str, findings: Iterable[Finding]) -> None:
    """Write a baseline file that lists the findings, notes excepted."""
    import json

    from compat._util.atomic_write import write_text

    folder = Path(path).absolute().parent
    keys = sorted({_key(finding, folder) for finding in findings if finding.level != "note"})
    rows = [{"path": name, "rule": rule, "import": statement} for name, rule, statement in keys]
    write_text(Path(path), json.dumps({"schema": 1, "findings": rows}, indent=2, sort_keys=True) + "\n")


def _key(finding: Finding, folder: Path) -> Key:
    try:
        path = os.path.relpath(finding.path, folder)
    except ValueError:  # on Windows, there is no way from one drive to another
        path = finding.path
    return path.replace(os.sep, "/"), finding.rule, finding.statement
