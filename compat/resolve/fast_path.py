"""The usual questions, answered from rows that are ready: before Python could load what the search needs.

What is answered here is what the search answers, byte for byte; everything else is left to it. Every import
counts: this module takes SQLite and nothing else. `compat.index.build.precompute_answers` writes what is read
here.
"""

import _sqlite3 as sqlite3  # the package around it loads datetime, for adapters of no use here
from os.path import dirname, join

from compat.resolve.canonical import nearness

FORMAT = 2
"""The `SCHEMA_VERSION` of the index."""
SHIPPED = join(dirname(dirname(__file__)), "data", "index.sqlite")  # noqa: PTH118, PTH120 -- pathlib takes too long

PACKAGES = ("sglang", "vllm", "sglang-kernel", "sgl-kernel")
"""In the order of the answers."""
STATUSES = ("defined", "reexported", "submodule", "lazy", "conditional", "placeholder", "dynamic", "missing")
KINDS = ("class", "function", "module", "value")
UNUSABLE = ("placeholder", "missing")
TOPS = ("sglang", "vllm", "sgl_kernel")
"""What stands for a package, and not for a name that modules bind."""
NOTHING = ("missing", "-", "-", "nothing binds this name")

Summary = tuple[str, str, str, str]
Stretch = tuple[int, int, Summary]
"""First and last position, and the answer there."""


class Question:
    """A bare name or a path, asked of the whole history or of one release."""

    __slots__ = ("module", "name", "package", "path", "version")

    def __init__(self, query: str, package: str, version: str) -> None:
        module, colon, name = query.partition(":")
        self.path = "" if colon else query
        """The query, when it may be the path of a module too."""
        if not colon:
            module, _, name = query.rpartition(".")
        self.module, self.name = module, name
        self.package, self.version = package, version
        """Of the one release; empty for the whole history."""


def answer(argv: list[str], path: str = SHIPPED) -> tuple[str, int] | None:
    """Return the text and the exit code for a command line, or None when the search has to answer it."""
    question = parse(argv)
    if question is None or "%" in path or "?" in path or "#" in path:
        return None
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        try:
            return _answer(database, question)
        finally:
            database.close()
    except sqlite3.Error:
        return None  # the search tells what is wrong


def parse(argv: list[str]) -> Question | None:
    """Return the question that a command line asks, or None when it is not one of the usual."""
    query = package = version = ""
    everything = False
    words = iter(argv)
    for word in words:
        if word == "--all":
            everything = True
        elif word in ("--sglang", "--vllm") and not package:
            package, version = word[2:], next(words, "")
        elif word[:1] != "-" and not query:
            query = word
        elif word != "--format" or next(words, "") != "text":
            return None
    if query in TOPS:
        return None
    usual = everything != version[:1].isdigit() and everything != bool(package)
    module, colon, name = query.partition(":")
    parts = [*module.split("."), *([name] if colon else [])]
    return Question(query, package, version) if usual and all(map(str.isidentifier, parts)) else None


BINDING_PACKAGES = """
    SELECT DISTINCT package FROM binders JOIN bindings USING (module, name)
    WHERE binders.name = ? AND package IN (SELECT id FROM packages)"""


def _answer(database: sqlite3.Connection, question: Question) -> tuple[str, int] | None:
    if database.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
        return None
    number = _number(database, "names", question.name)
    if number is None or database.execute("SELECT 1 FROM common WHERE name = ?", (number,)).fetchone():
        return None
    if "." in question.path and _number(database, "modules", question.path) is not None:
        return None
    packages = dict(database.execute("SELECT name, id FROM packages"))
    bound = set(database.execute(BINDING_PACKAGES, (number,)))
    concerned = _concerned(question, {name: at for name, at in packages.items() if (at,) in bound})
    lines: list[tuple[str, ...]] = []
    for package in concerned:
        found = _of_package(database, question, number, package, packages[package])
        if found is None:
            return None
        lines += found
    return _text(lines) if lines else None


def _concerned(question: Question, bound: dict[str, int]) -> list[str]:
    """Return the packages to answer for; none when that takes more than a look."""
    if question.package:
        kernels = question.package == "sglang" and not question.module and bound.keys() & set(PACKAGES[2:])
        chosen = [question.package] if question.package in bound and not kernels else []
    else:
        chosen = [package for package in PACKAGES if package in bound]
    if not question.module:
        return chosen
    top = question.module.partition(".")[0]
    return [top] if top in chosen else []


def _of_package(
    database: sqlite3.Connection, question: Question, number: int, package: str, at: int
) -> list[tuple[str, ...]] | None:
    rows = database.execute("SELECT version FROM releases WHERE package = ? ORDER BY position", (at,))
    versions = [version for (version,) in rows]
    stretches = _stretches(database, question.name, number, at, len(versions))
    if question.version:
        if question.version not in versions:
            return None
        position = versions.index(question.version)
        told = next(told for first, last, told in stretches if first <= position <= last)
        stretches = [(position, position, told)]
    if question.module:
        right = f"from {question.module} import {question.name}"
        if any(told[2] != right or told[0] in UNUSABLE for _, _, told in stretches):
            return None
    return [
        (package, versions[first] if first == last else f"{versions[first]}..{versions[last]}", *told)
        for first, last, told in stretches
    ]


def _stretches(
    database: sqlite3.Connection, name: str, number: int, package: int, releases: int
) -> list[Stretch]:
    """Return the answers for a name from the first release to the last."""
    known = [
        (first, last, (STATUSES[status], _kind(kind), statement, remarks))
        for first, last, status, kind, statement, remarks in database.execute(
            "SELECT first, last, status, kind, one.text, two.text FROM answers "
            "JOIN texts one ON one.id = statement JOIN texts two ON two.id = remarks "
            "WHERE name = ? AND package = ?",
            (number, package),
        )
    ]
    definitions = database.execute(
        "SELECT first, last, modules.name, kind FROM binders JOIN bindings USING (module, name) "
        "JOIN modules ON modules.id = binders.module WHERE binders.name = ? AND package = ? AND status = 0",
        (number, package),
    ).fetchall()
    definitions = sorted(definitions, key=lambda row: nearness(row[2]))
    known += [
        (first, last, ("defined", _kind(kind), f"from {module} import {name}", ""))
        for first, last, module, kind in definitions
    ]
    known.append((0, releases - 1, NOTHING))
    return _merged(known)


def _kind(number: int | None) -> str:
    return "-" if number is None else KINDS[number]


def _merged(known: list[Stretch]) -> list[Stretch]:
    """Return what holds from release to release, the first in the list going before those after it."""
    changes = sorted({at for first, last, _ in known for at in (first, last + 1)})
    found: list[Stretch] = []
    for at, end in zip(changes, changes[1:]):  # noqa: B905, RUF007 -- pairs, and no import for them
        told = next(told for first, last, told in known if first <= at <= last)
        begin = found.pop()[0] if found and found[-1][2] == told else at
        found.append((begin, end - 1, told))
    return found


def _text(lines: list[tuple[str, ...]]) -> tuple[str, int]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    text = "\n".join("  ".join(cells).rstrip() for cells in padded)
    return text, int(any(line[2] in UNUSABLE for line in lines))


def _number(database: sqlite3.Connection, table: str, text: str) -> int | None:
    """Return the number of a text in a table that is in the order of its texts."""
    low, high = 1, database.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0  # noqa: S608 -- constants
    while low <= high:
        middle = (low + high) // 2
        (found,) = database.execute(f"SELECT name FROM {table} WHERE id = ?", (middle,)).fetchone()  # noqa: S608
        if found == text:
            return middle
        low, high = (middle + 1, high) if found < text else (low, middle - 1)
    return None
