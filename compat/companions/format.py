"""The format of the file of companions, for its reader and its writer."""

from os.path import abspath, dirname, join

SHIPPED = join(dirname(dirname(abspath(__file__))), "data", "companions.sqlite")  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The path of the file in this package, which "compat index companions" writes."""

SCHEMA_VERSION = 2
NEEDS_TOGETHER = 64
"""The number of lines in a row of `need_sets`: they are alike, and ten times as large if compressed alone."""

TABLES = """
CREATE TABLE versions (package TEXT PRIMARY KEY, versions TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE demands (
    package TEXT NOT NULL, target INTEGER NOT NULL, module INTEGER NOT NULL, form INTEGER NOT NULL,
    guard INTEGER, line INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE INDEX demands_by_target ON demands (package, target);
CREATE TABLE distributions (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, read INTEGER NOT NULL);
CREATE TABLE imports (
    top TEXT NOT NULL, distribution INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (top, distribution, first)) WITHOUT ROWID;
CREATE TABLE releases (
    distribution INTEGER NOT NULL, release_index INTEGER NOT NULL, version TEXT NOT NULL, uploaded TEXT,
    yanked INTEGER NOT NULL, requires_python TEXT, requires_dist INTEGER NOT NULL,
    PRIMARY KEY (distribution, release_index)) WITHOUT ROWID;
CREATE TABLE requirement_lists (id INTEGER PRIMARY KEY, lines NOT NULL);
CREATE TABLE states (
    distribution INTEGER NOT NULL, target INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    state INTEGER NOT NULL, needs INTEGER, PRIMARY KEY (distribution, target, first)) WITHOUT ROWID;
CREATE TABLE need_sets (part INTEGER PRIMARY KEY, needs NOT NULL);
CREATE TABLE broken_pairs (
    sglang TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, module INTEGER NOT NULL,
    target INTEGER NOT NULL, PRIMARY KEY (sglang, first)) WITHOUT ROWID;
CREATE TABLE checks (
    distribution INTEGER NOT NULL, first INTEGER NOT NULL, module TEXT NOT NULL, requirement TEXT NOT NULL,
    last INTEGER NOT NULL, PRIMARY KEY (distribution, first, module, requirement)) WITHOUT ROWID;
"""
"""`demands` is what sglang and vllm take, `states` what releases of other distributions have of it, both as
ranges of releases, whose indexes count in the ordered list of a package's releases. Of a distribution that is
not `read`, nothing is demanded, and only the newest release is known. `needs` is
the number of a set, whose line is in the row `needs // NEEDS_TOGETHER` of `need_sets`. `broken_pairs`
has ranges of vllm releases. Columns without a type hold what
`compat.index.format.packed` makes."""

FORMS = ("import", "attribute", "deferred")
STATES = ("present", "uncertain", "absent")
