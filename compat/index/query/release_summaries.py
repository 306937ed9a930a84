"""Look up the requirements of sglang and vllm releases in the tables of the index.

`compat.index.build.requirement_tables` fills these tables.
"""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.model.package_names import SGLANG, VLLM
from compat.model.pythons import python_bit
from compat.requirements.release_summary import SERVING, ReleaseSummary, Wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from compat.index.reader import Index


class DirectClash(NamedTuple):
    """A distribution with two specifiers, of an sglang and a vllm release, that exclude each other."""

    package: str
    sglang: str
    """The specifier of the sglang release; its version if the distribution is sglang itself."""
    vllm: str
    """The same for the vllm release."""


def summaries(index: Index, package: str, python: str, names: Iterable[str]) -> list[ReleaseSummary]:
    """Return the releases of sglang or vllm, oldest first, with their requirements of some distributions."""
    bit, number = python_bit(python), index.packages[package]
    versions = index.versions(package)
    wants: list[dict[str, Wanted]] = [{} for _ in versions]
    marks = ", ".join("?" * len(asked := list(names)))
    for name, first, last, specifier, pin in index.rows(
        f"""
        SELECT name, first, last, text, pin FROM requirements JOIN specifiers ON specifiers.id = specifier
        WHERE package = ? AND (pythons >> ?) & 1 AND name IN ({marks})""",  # noqa: S608 -- marks
        *(number, bit, *asked),
    ):
        for release_index in range(first, last + 1):
            wants[release_index][name] = Wanted(specifier, pin)
    return [
        ReleaseSummary(
            package,
            version,
            (SERVING,) if serving >> bit & 1 else (),
            uploaded and uploaded[:10],
            admitted,
            wants[release_index],
            not pythons >> bit & 1,
            day,
        )
        for release_index, version, uploaded, day, admitted, pythons, serving in index.rows(
            """
            SELECT release_index, version, uploaded,
                CAST(julianday(substr(uploaded, 1, 10)) + 0.5 AS INTEGER), python, pythons, serving
            FROM releases JOIN release_pythons USING (package, release_index)
            WHERE package = ? ORDER BY release_index""",
            number,
        )
    ]


def direct_clashes(
    index: Index, package: str, release_index: int, python: str
) -> dict[int, tuple[DirectClash, ...]]:
    """Return the clashes of one release with each release of the other package, by index of the latter.

    Clashes about sglang and vllm themselves come first, then the others by name.
    """
    other = VLLM if package == SGLANG else SGLANG
    sglang, vllm = ("mine", "theirs") if package == SGLANG else ("theirs", "mine")
    bit = python_bit(python)
    found: dict[int, list[DirectClash]] = {}
    for first, last, *clash in index.rows(
        f"""
        SELECT theirs.first, theirs.last, mine.name, one.text, two.text
        FROM requirements AS mine JOIN requirements AS theirs ON theirs.name = mine.name
        JOIN exclusive ON exclusive.sglang = {sglang}.specifier AND exclusive.vllm = {vllm}.specifier
        JOIN specifiers AS one ON one.id = exclusive.sglang JOIN specifiers AS two ON two.id = exclusive.vllm
        WHERE mine.package = ? AND ? BETWEEN mine.first AND mine.last AND (mine.pythons >> ?) & 1
          AND theirs.package = ? AND (theirs.pythons >> ?) & 1
        ORDER BY mine.name = ? DESC, mine.name = ? DESC, mine.name""",  # noqa: S608 -- constants
        *(index.packages[package], release_index, bit, index.packages[other], bit, VLLM, SGLANG),
    ):
        for at in range(first, last + 1):
            found.setdefault(at, []).append(DirectClash(*clash))
    return {at: tuple(clashes) for at, clashes in found.items()}
