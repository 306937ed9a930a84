"""Read ranges of releases as this project prints them: `0.4.7..0.4.9`, both ends included."""

from __future__ import annotations

from compat.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from compat.index.reader import Index

MARK = ".."
"""What stands between the first and the last release."""


def releases_between(index: Index, package: str, text: str, where: str) -> range:
    """Return the release indexes from the first to the last release of a range.

    Raises:
        UsageError: an end is not an indexed release, or the last is older than the first.
    """
    first, _, last = text.partition(MARK)
    begin, end = (index.release_index(package, each.strip(), where) for each in (first, last))
    if end < begin:
        raise UsageError(f"{where}: {text!r} ends before it begins; give the older release first")
    return range(begin, end + 1)
